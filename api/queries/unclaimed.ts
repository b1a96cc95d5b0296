// Devices that report and that the registry does not know, from the open entries of quarantine.
import { isQuantity } from '#model/quantity.ts'
import { parseIso } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'

export interface LastValue {
  quantity: string
  value: number
  /** Time of measurement; null when the device gave none. */
  tsMs: number | null
  channel: string
}

export interface Unclaimed {
  id: string
  /** By which it was heard last, and all others within the time asked for. */
  gateway: string
  gateways: string[]
  formats: string[]
  /** Readings and events kept. */
  count: number
  firstSeenMs: number
  lastSeenMs: number
  /** The newest reading of each quantity. */
  values: LastValue[]
  /** Strongest of the newest signals by which gateways heard it, dBm. */
  signalDbm: number | null
}

export interface UnclaimedQuery {
  fromMs: number
  gateway?: string | undefined
  id?: string | undefined
  /** Last seen before this, for the next page. */
  before?: { lastSeenMs: number; id: string } | undefined
  limit: number
}

/** Payloads looked at for each device: the newest ones hold every quantity that it reports. */
const NEWEST = 40

interface Row {
  id: string
  gateway: string
  gateways: string[]
  formats: string[]
  count: number
  first_ms: number
  last_ms: number
  payloads: string[]
}

/** Last seen first, one more than `limit`. */
export async function listUnclaimed(db: Queryable, q: UnclaimedQuery): Promise<Unclaimed[]> {
  const { rows } = await db.query<Row>(
    `WITH seen AS (
       SELECT device AS id, sum(entries)::bigint AS count, min(received_at) AS first, max(received_at) AS last,
         array_agg(DISTINCT gateway) AS gateways, array_agg(DISTINCT format) AS formats
       FROM quarantine
       WHERE state = 'open' AND reason = 'unknown_device' AND device <> '' AND received_at >= to_timestamp($1::float8 / 1000)
         AND ($2::text IS NULL OR gateway = $2) AND ($3::text IS NULL OR device = $3)
       GROUP BY device
     ), page AS (
       SELECT * FROM seen
       WHERE $4::float8 IS NULL OR (last, id) < (to_timestamp($4::float8 / 1000), $5)
       ORDER BY last DESC, id DESC LIMIT $6
     )
     SELECT p.id, p.count, p.gateways, p.formats, (extract(epoch FROM p.first) * 1000)::bigint AS first_ms,
       (extract(epoch FROM p.last) * 1000)::bigint AS last_ms, n.payloads, n.gateway
     FROM page p CROSS JOIN LATERAL (
       SELECT array_agg(payload ORDER BY received_at DESC) AS payloads, (array_agg(gateway ORDER BY received_at DESC))[1] AS gateway FROM (
         SELECT payload, gateway, received_at FROM quarantine
         WHERE device = p.id AND state = 'open' AND reason = 'unknown_device' AND encoding = 'utf8' AND length(payload) < 4096
         ORDER BY received_at DESC LIMIT $7
       ) newest
     ) n ORDER BY p.last DESC, p.id DESC`,
    [q.fromMs, q.gateway ?? null, q.id ?? null, q.before?.lastSeenMs ?? null, q.before?.id ?? null, q.limit + 1, NEWEST],
  )
  return rows.map(({ first_ms, last_ms, payloads, ...r }) => {
    const { values, signalDbm } = newestValues(payloads ?? [])
    return { ...r, gateway: r.gateway ?? '', firstSeenMs: first_ms, lastSeenMs: last_ms, values, signalDbm }
  })
}

const VALUES_MAX = 12

/** From entries of quarantine, newest first. */
export function newestValues(payloads: readonly string[]): { values: LastValue[]; signalDbm: number | null } {
  const found = new Map<string, LastValue>()
  let signalDbm: number | null = null
  for (const payload of payloads) {
    const r = readingOf(payload)
    if (r === undefined) continue
    const key = `${r.quantity}|${r.channel}`
    if (found.has(key)) continue
    found.set(key, r)
    if (r.quantity === 'rssi_dbm') signalDbm = Math.max(r.value, signalDbm ?? Number.NEGATIVE_INFINITY)
  }
  return { values: [...found.values()].filter((v) => v.quantity !== 'rssi_dbm').slice(0, VALUES_MAX), signalDbm }
}

function readingOf(payload: string): LastValue | undefined {
  let r: Record<string, unknown> | null
  try {
    r = JSON.parse(payload) as Record<string, unknown> | null
  } catch {
    // Not every entry is a reading; this one has nothing to show.
    return undefined
  }
  if (typeof r !== 'object' || r === null || typeof r.quantity !== 'string' || !isQuantity(r.quantity) || typeof r.value !== 'number')
    return undefined
  const tsMs = typeof r.ts === 'string' ? parseIso(r.ts) : Number.NaN
  const parts = [r.phase, typeof r.tariff === 'number' ? `t${r.tariff}` : undefined, r.channel].filter(
    (p) => typeof p === 'string' && p !== '',
  )
  return { quantity: r.quantity, value: r.value, tsMs: Number.isNaN(tsMs) ? null : tsMs, channel: parts.join('/') }
}
