// Gathers an account's Green Button data: its meters from the registry, intervals from QuestDB, bills from the closed periods.
import { intervalSecondsOf } from '#model/asset.ts'
import { DAY_MS, startOfLocalDate } from '#model/time.ts'
import type { Pool } from '#runtime/postgres.ts'
import { listAssets, registryMeta } from '../queries/assets.ts'
import type { SeriesStore } from '../queries/series.ts'
import { intervalsOf } from './close-series.ts'
import {
  GREEN_BUTTON_QUANTITIES,
  type GreenButtonBill,
  type GreenButtonReading,
  type GreenButtonSeries,
  greenButton,
} from './green-button.ts'
import type { PeriodDocument } from './period-model.ts'
import { listPeriods } from './period-store.ts'

/** Intervals of one download: a year of 15 minutes of ten registers. */
export const GREEN_BUTTON_INTERVALS_MAX = 400_000
/** Days asked of QuestDB at once. */
const STEP_MS = 31 * DAY_MS
const BILLS_MAX = 40

export interface GreenButtonStores extends SeriesStore {
  pool: Pool
}

/** The download in pieces. Undefined: there is no such account. `too_many`: more intervals than one download may have. */
export async function greenButtonOf(
  stores: GreenButtonStores,
  q: { account: string; fromMs: number; toMs: number },
): Promise<Generator<string> | 'too_many' | undefined> {
  const { pool } = stores
  const { rowCount } = await pool.query('SELECT 1 FROM accounts WHERE account = $1', [q.account])
  if (rowCount === 0) return undefined
  const { rows } = await pool.query<{ id: string }>("SELECT id FROM assets WHERE properties->>'account' = $1 ORDER BY id LIMIT 200", [
    q.account,
  ])
  const assets = rows.length === 0 ? [] : await listAssets(pool, { id: rows.map((r) => r.id), limit: rows.length })
  const intervals = assets.reduce((n, a) => n + (q.toMs - q.fromMs) / 1000 / intervalSecondsOf(a.properties), 0)
  if (intervals > GREEN_BUTTON_INTERVALS_MAX) return 'too_many'
  const timezone = (await registryMeta(pool)).timezone || 'UTC'
  const meters = assets.map((a) => a.properties.id).sort()
  return greenButton({ ...q, timezone, meters: await seriesOf(stores, meters, q), bills: await billsOf(pool, q, timezone) })
}

async function seriesOf(
  store: SeriesStore,
  meters: readonly string[],
  q: { fromMs: number; toMs: number },
): Promise<{ meter: string; series: GreenButtonSeries[] }[]> {
  const found = new Map<string, Map<string, GreenButtonSeries & { readings: GreenButtonReading[] }>>(meters.map((m) => [m, new Map()]))
  for (let at = q.fromMs; at < q.toMs; at += STEP_MS) {
    for (const { register, interval, reasons } of await intervalsOf(store, meters, { fromMs: at, toMs: Math.min(q.toMs, at + STEP_MS) })) {
      if (!GREEN_BUTTON_QUANTITIES.includes(register.quantity)) continue
      const key = `${register.quantity}\n${register.channel}`
      const of = found.get(register.meter)
      const series = of?.get(key) ?? { quantity: register.quantity, channel: register.channel, readings: [] }
      of?.set(key, series)
      series.readings.push({ ...interval, reasons })
    }
  }
  return [...found].map(([meter, of]) => ({ meter, series: [...of].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, s]) => s) }))
}

/** Bills whose period touches the range, oldest first. */
async function billsOf(pool: Pool, q: { account: string; fromMs: number; toMs: number }, timezone: string): Promise<GreenButtonBill[]> {
  const periods = await listPeriods(pool, { account: q.account, after: 0, limit: 1_000 })
  return periods
    .map((p) => ({ document: JSON.parse(p.body) as BillBody, closedMs: Date.parse(p.facts.dueAt) }))
    .map(
      ({ document: d, closedMs }): GreenButtonBill => ({
        commodity: d.commodity,
        startMs: startOfLocalDate(timezone, d.from),
        endMs: startOfLocalDate(timezone, d.to),
        consumption: d.consumption.import,
        total:
          d.charges === null || d.totalMinor === null
            ? null
            : { minor: d.totalMinor, minorDigits: d.charges.minorDigits, currency: d.charges.currency },
        tariff: d.tariff?.code ?? '',
        closedMs,
      }),
    )
    .filter((b) => b.endMs > q.fromMs && b.startMs < q.toMs)
    .slice(-BILLS_MAX)
}

type BillBody = Pick<PeriodDocument, 'commodity' | 'from' | 'to' | 'consumption' | 'charges' | 'totalMinor' | 'tariff'>
