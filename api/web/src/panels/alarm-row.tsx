// One alarm of a list: its priority as shape, number and colour; its state in words; what can be done.
import { signal } from '@preact/signals'
import { useState } from 'preact/hooks'
import { type AlarmAction, type AlarmView, RESPOND_MINUTES } from '#model/alarm.ts'
import type { Finding } from '#model/finding.ts'
import { actOnAlarm } from '../alarms/commands.ts'
import { TO_ANSWER } from '../alarms/groups.ts'
import { formatAge, formatTime } from '../format.ts'
import { t } from '../i18n.ts'
import { findings, nowMs, selected, timezone } from '../store.ts'
import type { TextKey } from '../texts.ts'
import type { AskedAction } from './alarm-dialog.tsx'
import { Evidence, FindingFacts, titleOf } from './evidence.tsx'

/** The step that a dialog is open for. */
export const asked = signal<{ alarm: AlarmView; action: AskedAction } | null>(null)
/** Why the last step was refused; shown above the list. */
export const refusal = signal('')

const ASKED: readonly string[] = ['shelve', 'out_of_service', 'note']
const KEYS: Record<string, AlarmAction[]> = {
  a: ['acknowledge'],
  r: ['reset'],
  s: ['shelve', 'unshelve'],
  o: ['out_of_service', 'return_to_service'],
  n: ['note'],
}

export function start(alarm: AlarmView, action: AlarmAction): void {
  refusal.value = ''
  if (ASKED.includes(action)) asked.value = { alarm, action: action as AskedAction }
  else
    actOnAlarm(alarm.key, action).catch((error: Error) => {
      refusal.value = error.message
    })
}

const HELPED = ['outage', 'burst', 'low_pressure', 'overload', 'leak', 'comms_failure', 'sensor_fault']

export function PriorityMark(props: { priority: AlarmView['priority'] }) {
  return (
    <span class={`prio p${props.priority}`} title={t(`alarm.priority.${props.priority}`)}>
      {props.priority}
    </span>
  )
}

function onKey(event: KeyboardEvent, alarm: AlarmView): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  const action = KEYS[event.key.toLowerCase()]?.find((a) => alarm.actions.includes(a))
  if (action !== undefined) {
    event.preventDefault()
    start(alarm, action)
    return
  }
  const step = event.key === 'ArrowDown' || event.key === 'j' ? 1 : event.key === 'ArrowUp' || event.key === 'k' ? -1 : 0
  if (step === 0) return
  event.preventDefault()
  const rows = [...((event.currentTarget as HTMLElement).closest('.side-body, .board')?.querySelectorAll<HTMLElement>('.row-main') ?? [])]
  rows[rows.indexOf(event.currentTarget as HTMLElement) + step]?.focus()
}

export function AlarmRow(props: { alarm: AlarmView; firstOut?: boolean }) {
  const a = props.alarm
  const [unfolded, setUnfolded] = useState(false)
  const finding = findings.value.get(a.finding)
  const open = TO_ANSWER.includes(a.state)
  const answer = a.actions.find((x) => x === 'acknowledge' || x === 'reset' || x === 'unshelve' || x === 'return_to_service')
  return (
    <li class={`row alarm p${a.priority}${open ? ' unanswered' : ''}`} data-alarm={a.key} data-kind={a.kind} data-state={a.state}>
      <button
        type="button"
        class="row-main"
        onKeyDown={(event) => onKey(event, a)}
        onClick={() => {
          selected.value = a.scope.id
        }}
      >
        <PriorityMark priority={a.priority} />
        <span class="title">{titleOf(a)}</span>
        <span class="scope">{a.scope.id}</span>
        <span class="meta">
          {t(`alarm.state.${a.state}`)}
          {props.firstOut === true && <b class="tag"> {t('alarm.firstOut')}</b>}
          {a.chattering && <b class="tag"> {t('alarm.chattering', { n: a.annunciations24h })}</b>}
        </span>
        <span class="age" title={formatTime(a.activeSinceMs, timezone.value)}>
          {a.active ? formatAge(nowMs.value - a.activeSinceMs) : formatTime(a.clearedMs || a.activeSinceMs, timezone.value)}
        </span>
        {finding !== undefined && <FindingFacts finding={finding} />}
        <WhyQuiet alarm={a} />
      </button>
      {answer !== undefined && (
        <button type="button" class="answer" onClick={() => start(a, answer)}>
          {t(`alarm.do.${answer}`)}
        </button>
      )}
      <details onToggle={(event) => setUnfolded(event.currentTarget.open)}>
        <summary>{t('col.evidence')}</summary>
        {unfolded && <Unfolded alarm={a} finding={finding} answer={answer} />}
      </details>
    </li>
  )
}

/** Rendered when it is looked at: two hundred folded rows cost nothing. */
function Unfolded(props: { alarm: AlarmView; finding: Finding | undefined; answer: AlarmAction | undefined }) {
  const { alarm: a, finding, answer } = props
  return (
    <>
      <div class="row-actions">
        {a.actions
          .filter((action) => action !== answer)
          .map((action) => (
            <button type="button" key={action} onClick={() => start(a, action)}>
              {t(`alarm.do.${action}`)}
            </button>
          ))}
      </div>
      <Help alarm={a} />
      {finding !== undefined && <Evidence finding={finding} />}
    </>
  )
}

function WhyQuiet(props: { alarm: AlarmView }) {
  const a = props.alarm
  const at = (ms: number) => formatTime(ms, timezone.value)
  const lines: string[] = []
  if (a.shelved !== null) lines.push(t('alarm.until', { time: at(a.shelved.untilMs), who: a.shelved.by, reason: a.shelved.reason }))
  if (a.outOfService !== null)
    lines.push(t('alarm.oosBy', { time: at(a.outOfService.atMs), who: a.outOfService.by, reason: a.outOfService.reason }))
  if (a.suppressed !== null) lines.push(t(`alarm.rule.${a.suppressed.rule}`, { by: a.suppressed.by }))
  return lines.length === 0 ? null : <span class="facts">{lines.join(' · ')}</span>
}

function Help(props: { alarm: AlarmView }) {
  const a = props.alarm
  const about = HELPED.includes(a.kind) ? a.kind : 'other'
  return (
    <dl class="evidence help">
      <dt>{t('help.consequence')}</dt>
      <dd>{t(`what.${about}` as TextKey)}</dd>
      <dt>{t('help.action')}</dt>
      <dd>{t(`do.${about}` as TextKey)}</dd>
      {a.priority < 4 && (
        <>
          <dt>{t('help.respond')}</dt>
          <dd>{RESPOND_MINUTES[a.priority as 1 | 2 | 3]} min</dd>
        </>
      )}
      {a.acknowledged !== null && (
        <>
          <dt>{t('alarm.state.acknowledged')}</dt>
          <dd>{t('alarm.ackedBy', { who: a.acknowledged.by, time: formatTime(a.acknowledged.atMs, timezone.value) })}</dd>
        </>
      )}
    </dl>
  )
}
