// Keys that work everywhere, and the list of them. A key typed into a field is text.
import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { t } from './i18n.ts'
import { go, VIEWS } from './router.ts'
import { selected, sideTab, wall } from './store.ts'
import { setWall } from './wall.ts'

const shown = signal(false)
const TABS = { g: 'alarms', t: 'tickets', y: 'system' } as const

function typing(event: KeyboardEvent): boolean {
  const at = event.target
  return at instanceof HTMLElement && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName))
}

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') !== null) return
  if (event.key === 'Escape') {
    if (typing(event)) (event.target as HTMLElement).blur()
    else if (wall.peek()) setWall(false)
    else selected.value = null
    return
  }
  if (typing(event)) return
  const view = VIEWS[Number(event.key) - 1]
  const tab = TABS[event.key as keyof typeof TABS]
  if (event.key === '?') shown.value = true
  else if (view !== undefined) go(view)
  else if (tab !== undefined) {
    sideTab.value = tab
    requestAnimationFrame(() => document.querySelector<HTMLElement>('.side-body .row-main')?.focus())
  } else if (event.key === '/') document.querySelector<HTMLElement>('input[type=search]')?.focus()
  else return
  event.preventDefault()
}

export function KeyHelp() {
  const box = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  useEffect(() => {
    if (shown.value) box.current?.showModal()
  }, [shown.value])
  if (!shown.value) return null
  const lines: [string, string][] = [
    ['1 – 5', t('keys.views')],
    ['G T Y', t('keys.lists')],
    ['/', t('keys.find')],
    ['↑ ↓ J K', t('keys.move')],
    ['Enter', t('keys.show')],
    ['A', t('alarm.do.acknowledge')],
    ['S', `${t('alarm.do.shelve')}, ${t('alarm.do.unshelve')}`],
    ['R', t('alarm.do.reset')],
    ['O', `${t('alarm.do.out_of_service')}, ${t('alarm.do.return_to_service')}`],
    ['N', t('alarm.do.note')],
    ['Esc', t('keys.close')],
    ['?', t('keys.help')],
  ]
  return (
    <dialog
      ref={box}
      class="ask"
      aria-labelledby="keys-title"
      onClose={() => {
        shown.value = false
      }}
    >
      <h2 id="keys-title">{t('keys.title')}</h2>
      <dl class="evidence">
        {lines.map(([key, what]) => (
          <>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </>
        ))}
      </dl>
      <form method="dialog" class="buttons">
        <button type="submit">{t('detail.close')}</button>
      </form>
    </dialog>
  )
}
