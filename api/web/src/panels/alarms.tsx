// The alarms of the shift: what stands, most urgent first; in a flood by incident, with the first one named; the quiet lists beside.
import { useState } from 'preact/hooks'
import type { AlarmView } from '#model/alarm.ts'
import { acknowledgeAll } from '../alarms/commands.ts'
import { ALARM_LISTS, type AlarmGroup, byUrgency, groupAlarms, inList, type AlarmList as ListName, TO_ANSWER } from '../alarms/groups.ts'
import { formatTime } from '../format.ts'
import { t } from '../i18n.ts'
import { alarms, nowMs, status, tickets, timezone } from '../store.ts'
import { AlarmDialog } from './alarm-dialog.tsx'
import { AlarmRow, asked, refusal } from './alarm-row.tsx'

/** More rows than anybody reads; the rest is counted. */
const ROWS_MAX = 100
/** A longer group begins folded: its most urgent ones are seen all the same. */
const SHORT = 6
const PEEK = 2

export function AlarmList() {
  const [list, setList] = useState<ListName>('standing')
  const [grouped, setGrouped] = useState(false)
  const all = [...alarms.value.values()]
  const now = nowMs.value
  const load = status.value?.alarms
  const flood = load?.floodSinceMs ?? null
  const shown = all.filter((a) => inList(list, a, now)).sort(list === 'recent' ? (a, b) => b.clearedMs - a.clearedMs : byUrgency)
  const unanswered = shown.filter((a) => TO_ANSWER.includes(a.state))
  const ask = asked.value
  return (
    <>
      <div class="list-tools">
        <select aria-label={t('alarm.lists')} value={list} onChange={(event) => setList(event.currentTarget.value as ListName)}>
          {ALARM_LISTS.map((name) => (
            <option key={name} value={name}>
              {t(`alarm.list.${name}`)} · {all.filter((a) => inList(name, a, now)).length}
            </option>
          ))}
        </select>
        <label class="choice">
          <input type="checkbox" checked={grouped || flood !== null} disabled={flood !== null} onChange={() => setGrouped(!grouped)} />
          {t('alarm.group')}
        </label>
        <button
          type="button"
          disabled={unanswered.length < 2}
          onClick={() =>
            acknowledgeAll(unanswered).catch((error: Error) => {
              refusal.value = error.message
            })
          }
        >
          {t('alarm.do.acknowledgeAll', { n: unanswered.length })}
        </button>
      </div>
      {flood !== null && (
        <p class="flood" role="status">
          {t('alarm.flood', { time: formatTime(flood, timezone.value), n: load?.last10Min ?? 0 })}
        </p>
      )}
      {refusal.value !== '' && (
        <p class="problem" role="alert">
          {t('dialog.failed', { why: refusal.value })}
        </p>
      )}
      {shown.length === 0 && <p class="empty">{list === 'standing' ? t('alarm.allQuiet') : t('alarm.none')}</p>}
      <div data-testid="open-findings">
        {grouped || flood !== null ? (
          groupAlarms(shown, tickets.value.values()).map((g) => <Group key={g.id} group={g} />)
        ) : (
          <Rows alarms={shown} />
        )}
      </div>
      <p class="hint keys">{t('alarm.keys')}</p>
      {ask !== null && (
        <AlarmDialog
          alarm={ask.alarm}
          action={ask.action}
          onClose={() => {
            asked.value = null
          }}
        />
      )}
    </>
  )
}

function Rows(props: { alarms: readonly AlarmView[]; firstOut?: string }) {
  const rest = props.alarms.length - ROWS_MAX
  return (
    <>
      <ul class="list">
        {props.alarms.slice(0, ROWS_MAX).map((a) => (
          <AlarmRow key={a.key} alarm={a} firstOut={props.alarms.length > 1 && a.key === props.firstOut} />
        ))}
      </ul>
      {rest > 0 && <p class="empty">+ {rest}</p>}
    </>
  )
}

function Group(props: { group: AlarmGroup }) {
  const g = props.group
  const [open, setOpen] = useState(g.alarms.length < SHORT)
  const unanswered = g.alarms.filter((a) => TO_ANSWER.includes(a.state))
  return (
    <section class="group">
      <div class="group-head">
        <button type="button" class="group-title" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span aria-hidden="true">{open ? '▾' : '▸'}</span>{' '}
          <b>{g.ticket === undefined ? `${t('alarm.groupOther')} · ${g.zone}` : `${g.ticket.id} ${g.ticket.title}`}</b>{' '}
          <span class="count">{g.alarms.length}</span>
        </button>
        {unanswered.length > 0 && (
          <button
            type="button"
            onClick={() =>
              acknowledgeAll(unanswered).catch((error: Error) => {
                refusal.value = error.message
              })
            }
          >
            {t('alarm.do.acknowledgeAll', { n: unanswered.length })}
          </button>
        )}
      </div>
      <Rows alarms={open ? g.alarms : g.alarms.slice(0, PEEK)} firstOut={g.firstOut.key} />
      {!open && (
        <button type="button" class="more" onClick={() => setOpen(true)}>
          + {g.alarms.length - PEEK}
        </button>
      )}
    </section>
  )
}
