// Asks for what a step on an alarm needs: why, and for shelving how long.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { AlarmView } from '#model/alarm.ts'
import { HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { actOnAlarm } from '../alarms/commands.ts'
import { t } from '../i18n.ts'
import { nowMs } from '../store.ts'
import { titleOf } from './evidence.tsx'

export type AskedAction = 'shelve' | 'out_of_service' | 'note'
const TITLES = { shelve: 'shelve.title', out_of_service: 'oos.title', note: 'note.title' } as const
const SPANS_MS = [15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, 8 * HOUR_MS, 24 * HOUR_MS]
const spanText = (ms: number): string =>
  ms < HOUR_MS ? t('shelve.minutes', { n: ms / MINUTE_MS }) : t('shelve.hours', { n: ms / HOUR_MS })

export function AlarmDialog(props: { alarm: AlarmView; action: AskedAction; onClose: () => void }) {
  const { alarm, action, onClose } = props
  const box = useRef<HTMLDialogElement>(null)
  const [spanMs, setSpanMs] = useState(HOUR_MS)
  const [problem, setProblem] = useState('')
  useEffect(() => {
    box.current?.showModal()
  }, [])
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const reason = String(new FormData(event.currentTarget as HTMLFormElement).get('reason') ?? '')
    try {
      await actOnAlarm(alarm.key, action, { reason, ...(action === 'shelve' ? { until: toIso(nowMs.peek() + spanMs) } : {}) })
      onClose()
    } catch (error) {
      setProblem((error as Error).message)
    }
  }
  return (
    <dialog ref={box} class="ask" onClose={onClose} aria-labelledby="ask-title">
      <form onSubmit={submit}>
        <h2 id="ask-title">{t(TITLES[action], { what: `${titleOf(alarm)} ${alarm.scope.id}` })}</h2>
        {action === 'shelve' && (
          <fieldset>
            <legend>{t('shelve.for')}</legend>
            {SPANS_MS.map((ms) => (
              <label key={ms} class="choice">
                <input type="radio" name="span" checked={spanMs === ms} onChange={() => setSpanMs(ms)} />
                {spanText(ms)}
              </label>
            ))}
          </fieldset>
        )}
        <label>
          {t('shelve.reason')}
          <textarea name="reason" required maxLength={1000} rows={3} placeholder={t('shelve.reasonHint')} />
        </label>
        {problem !== '' && (
          <p class="problem" role="alert">
            {t('dialog.failed', { why: problem })}
          </p>
        )}
        <div class="buttons">
          <button type="button" onClick={onClose}>
            {t('dialog.cancel')}
          </button>
          <button type="submit" class="primary">
            {t(`alarm.do.${action}`)}
          </button>
        </div>
      </form>
    </dialog>
  )
}
