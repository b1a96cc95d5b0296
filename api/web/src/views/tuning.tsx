// The alarm rules: change, replay over what really happened, look, save with a reason.
import { useEffect, useState } from 'preact/hooks'
import { get, send } from '../connection.ts'
import { formatTime } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { PriorityMark } from '../panels/alarm-row.tsx'
import { timezone } from '../store.ts'

interface Rule {
  kind: string
  scope?: string
  priority: 1 | 2 | 3 | 4
  delayOnS: number
  delayOffS: number
  latching: boolean
}
interface Policy {
  rules: Rule[]
  shelveHoursMax: number
  lapseHours: number
  operators: number
}
interface Answer {
  current: { version: number; policy: Policy }
  versions: { version: number; at: string; who: string; reason: string }[]
}
interface Call {
  key: string
  atMs: number
  priority: 1 | 2 | 3 | 4
}
interface Replay {
  before: number
  after: number
  appear: Call[]
  vanish: Call[]
  move: { before: Call; after: Call }[]
  same: number
}
const DAYS = 7
const GENERAL = [
  ['shelveHoursMax', 'tuning.shelveMax'],
  ['lapseHours', 'tuning.lapse'],
  ['operators', 'tuning.operators'],
] as const

export function View() {
  const [answer, setAnswer] = useState<Answer | null>(null)
  const [policy, setPolicy] = useState<Policy | null>(null)
  const [replay, setReplay] = useState<Replay | null>(null)
  const [said, setSaid] = useState('')
  const load = () =>
    get<Answer>('/v1/alarms/policy').then(
      (a) => {
        setAnswer(a)
        setPolicy(structuredClone(a.current.policy))
      },
      (error: Error) => setSaid(error.message),
    )
  useEffect(() => {
    void load()
  }, [])
  if (answer === null || policy === null) return <p class="empty">{said === '' ? t('detail.loading') : said}</p>
  const change = (i: number, next: Partial<Rule>) => {
    setReplay(null)
    setPolicy({ ...policy, rules: policy.rules.map((r, k) => (k === i ? { ...r, ...next } : r)) })
  }
  const run = () =>
    send<Replay>('POST', '/v1/alarms/policy/replay', { days: DAYS, policy }).then(setReplay, (error: Error) => setSaid(error.message))
  const save = async (event: SubmitEvent) => {
    event.preventDefault()
    const reason = String(new FormData(event.currentTarget as HTMLFormElement).get('reason') ?? '')
    try {
      await send('PUT', '/v1/alarms/policy', { after: answer.current.version, reason, policy })
      setSaid(t('tuning.saved'))
      await load()
    } catch (error) {
      setSaid((error as Error).message)
    }
  }
  const numberOf = (event: Event) => Math.max(0, Number((event.currentTarget as HTMLInputElement).value) || 0)
  return (
    <div class="board">
      <h2>{t('tuning.title')}</h2>
      <p class="hint">{t('tuning.hint')}</p>
      <div class="table-box">
        <table class="rules" data-testid="rules">
          <thead>
            <tr>
              {(['kind', 'scope', 'priority', 'delayOn', 'delayOff', 'latching'] as const).map((k) => (
                <th key={k} scope="col">
                  {t(`tuning.${k}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {policy.rules.map((r, i) => {
              const name = `${tData('kind', r.kind)} ${r.scope ?? t('tuning.any')}`
              return (
                <tr key={`${r.kind} ${r.scope ?? ''}`}>
                  <th scope="row">{tData('kind', r.kind)}</th>
                  <td>{r.scope ?? t('tuning.any')}</td>
                  <td>
                    <PriorityMark priority={r.priority} />{' '}
                    <select
                      aria-label={`${t('tuning.priority')} ${name}`}
                      value={r.priority}
                      onChange={(event) => change(i, { priority: Number(event.currentTarget.value) as Rule['priority'] })}
                    >
                      {[1, 2, 3, 4].map((p) => (
                        <option key={p}>{p}</option>
                      ))}
                    </select>
                  </td>
                  <td>
                    <input
                      type="number"
                      min={0}
                      max={86_400}
                      aria-label={`${t('tuning.delayOn')} ${name}`}
                      value={r.delayOnS}
                      onChange={(event) => change(i, { delayOnS: numberOf(event) })}
                    />
                  </td>
                  <td>
                    <input
                      type="number"
                      min={0}
                      max={86_400}
                      aria-label={`${t('tuning.delayOff')} ${name}`}
                      value={r.delayOffS}
                      onChange={(event) => change(i, { delayOffS: numberOf(event) })}
                    />
                  </td>
                  <td>
                    <input
                      type="checkbox"
                      aria-label={`${t('tuning.latching')} ${name}`}
                      checked={r.latching}
                      onChange={(event) => change(i, { latching: event.currentTarget.checked })}
                    />
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
      <p class="choices">
        {GENERAL.map(([key, text]) => (
          <label key={key}>
            {t(text)}{' '}
            <input
              type="number"
              min={0}
              max={720}
              value={policy[key]}
              onChange={(event) => setPolicy({ ...policy, [key]: numberOf(event) })}
            />
          </label>
        ))}
        <button type="button" class="primary" onClick={() => void run()}>
          {t('tuning.replay', { n: DAYS })}
        </button>
      </p>
      {replay !== null && <Outcome replay={replay} />}
      <form class="save" onSubmit={save}>
        <label>
          {t('tuning.reason')} <input name="reason" type="text" required maxLength={1000} size={40} />
        </label>
        <button type="submit">{t('tuning.save', { n: answer.current.version + 1 })}</button> <span role="status">{said}</span>
      </form>
      <h3>{t('tuning.versions')}</h3>
      <ul class="timeline">
        {answer.versions.map((v) => (
          <li key={v.version}>
            <b>{v.version}</b> <time>{v.version === 0 ? '' : formatTime(Date.parse(v.at), timezone.value)}</time> {v.who}
            <small> {v.reason}</small>
          </li>
        ))}
      </ul>
    </div>
  )
}

function Outcome(props: { replay: Replay }) {
  const r = props.replay
  const line = (c: Call) => `${formatTime(c.atMs, timezone.value)} P${c.priority} ${c.key}`
  return (
    <section data-testid="replay">
      <p>
        {t('tuning.now')} <b>{r.before}</b> · {t('tuning.then')} <b>{r.after}</b> · {t('tuning.same')} {r.same}
      </p>
      <div class="columns">
        {(['appear', 'vanish'] as const).map((k) => (
          <div key={k}>
            <h3>
              {t(`tuning.${k}`)} {r[k].length}
            </h3>
            <ul class="timeline">
              {r[k].slice(0, 100).map((c) => (
                <li key={`${c.key} ${c.atMs}`}>{line(c)}</li>
              ))}
            </ul>
          </div>
        ))}
        <div>
          <h3>
            {t('tuning.move')} {r.move.length}
          </h3>
          <ul class="timeline">
            {r.move.slice(0, 100).map((m) => (
              <li key={`${m.before.key} ${m.before.atMs}`}>
                {line(m.before)} → {line(m.after)}
              </li>
            ))}
          </ul>
        </div>
      </div>
    </section>
  )
}
