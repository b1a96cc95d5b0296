// The proof that nothing was lost, what was refused, and how the parts are.
import { useEffect, useState } from 'preact/hooks'
import { DAY_MS, HOUR_MS, toIso } from '#model/time.ts'
import { get } from '../connection.ts'
import { formatTime } from '../format.ts'
import { t } from '../i18n.ts'
import { nowMs, status, timezone } from '../store.ts'
import { type UnclaimedDevice, UnclaimedList } from './unclaimed.tsx'

interface LedgerRow {
  gateway: string
  hour: string
  received: number
  accepted: number
  duplicate: number
  quarantined: number
  stored: number | null
  difference: number
  settled: boolean
  messages: { present: number; missing: number }
}
interface QuarantineRow {
  id: string
  reason: string
  field: string
  message: string
  gateway: string
  device: string
  receivedAt: string
}

const REFRESH_MS = 10_000

function usePolled<T>(path: () => string): T | string | null {
  const [data, setData] = useState<T | string | null>(null)
  useEffect(() => {
    let current = true
    const load = () =>
      get<T>(path()).then(
        (d) => {
          if (current) setData(d)
        },
        (e: Error) => {
          if (current) setData(e.message)
        },
      )
    void load()
    const timer = setInterval(load, REFRESH_MS)
    return () => {
      current = false
      clearInterval(timer)
    }
  }, [])
  return data
}

export function SystemBoard() {
  const ledger = usePolled<{ entries: LedgerRow[] }>(() => {
    const now = nowMs.peek() || Date.now()
    return `/v1/ledger?from=${toIso(Math.floor((now - DAY_MS) / HOUR_MS) * HOUR_MS)}&to=${toIso(now + HOUR_MS)}`
  })
  const quarantine = usePolled<{ entries: QuarantineRow[] }>(() => '/v1/quarantine?state=open&limit=50')
  const unclaimed = usePolled<{ devices: UnclaimedDevice[] }>(() => '/v1/devices/unclaimed?limit=50')
  return (
    <>
      <h3>{t('sys.parts')}</h3>
      <ul class="parts">
        {(status.value?.parts ?? []).map((p) => (
          <li key={p.part} class={p.state}>
            <b>{p.part}</b> {p.state} <small>{p.detail}</small>
          </li>
        ))}
      </ul>
      <h3>{t('sys.ledger')}</h3>
      {typeof ledger === 'string' ? (
        <p class="empty">{t('sys.unavailable', { why: ledger })}</p>
      ) : (
        ledger !== null && <LedgerTable rows={ledger.entries} />
      )}
      <h3>{t('sys.unclaimed')}</h3>
      {typeof unclaimed === 'string' ? (
        <p class="empty">{t('sys.unavailable', { why: unclaimed })}</p>
      ) : (
        unclaimed !== null && <UnclaimedList devices={unclaimed.devices} />
      )}
      <h3>{t('sys.quarantine')}</h3>
      {typeof quarantine === 'string' ? (
        <p class="empty">{t('sys.unavailable', { why: quarantine })}</p>
      ) : (
        quarantine !== null &&
        (quarantine.entries.length === 0 ? (
          <p class="empty">{t('sys.quarantineNone')}</p>
        ) : (
          <ul class="quarantine">
            {quarantine.entries.map((q) => (
              <li key={q.id}>
                <b>{q.reason}</b> {q.device || q.gateway}{' '}
                <small>
                  {q.field} {q.message} · {formatTime(Date.parse(q.receivedAt), timezone.value)}
                </small>
              </li>
            ))}
          </ul>
        ))
      )}
    </>
  )
}

/** What does not add up: entries lost or doubled, messages that never came. */
const off = (r: LedgerRow): number => Math.abs(r.difference) + r.messages.missing

/** The day summed per gateway; any difference of a settled hour is red: of the others something is on its way. */
function LedgerTable(props: { rows: LedgerRow[] }) {
  const by = new Map<string, LedgerRow>()
  for (const row of props.rows) {
    const r = row.settled ? row : { ...row, difference: 0, messages: { ...row.messages, missing: 0 } }
    const sum = by.get(r.gateway)
    if (sum === undefined) by.set(r.gateway, { ...r })
    else {
      sum.received += r.received
      sum.accepted += r.accepted
      sum.duplicate += r.duplicate
      sum.quarantined += r.quarantined
      sum.stored = sum.stored === null || r.stored === null ? null : sum.stored + r.stored
      sum.difference += r.difference
      sum.messages = { present: sum.messages.present + r.messages.present, missing: sum.messages.missing + r.messages.missing }
    }
  }
  return (
    <div class="table-box">
      <table>
        <caption>{t('sys.hours')}</caption>
        <thead>
          <tr>
            {(['gateway', 'messages', 'missing', 'received', 'accepted', 'duplicate', 'quarantined', 'stored', 'difference'] as const).map(
              (k) => (
                <th key={k} scope="col">
                  {t(`sys.${k}`)}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>
          {[...by.values()]
            .sort((a, b) => off(b) - off(a) || a.gateway.localeCompare(b.gateway))
            .map((r) => (
              <tr key={r.gateway} class={off(r) === 0 ? '' : 'bad'}>
                <th scope="row">{r.gateway}</th>
                <td>{r.messages.present}</td>
                <td>{r.messages.missing}</td>
                <td>{r.received}</td>
                <td>{r.accepted}</td>
                <td>{r.duplicate}</td>
                <td>{r.quarantined}</td>
                <td>{r.stored ?? '—'}</td>
                <td>{r.difference}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </div>
  )
}
