// Puts the account page together from the stores; what it says is decided in api/account.
import { DAY_MS, localDate, startOfLocalDate } from '#model/time.ts'
import { addDays, startOfMonth } from '#tariff/calendar.ts'
import { countsFrom } from '#tariff/price.ts'
import type { Tariff } from '#tariff/tariff.ts'
import { type Notice, noticeOf, plannedNotice } from '../account/notices.ts'
import { type CostView, costView, type MeterUse, type Neighbours, neighboursOf, type UsageView, usageView } from '../account/view.ts'
import type { ApiDeps } from '../app.ts'
import {
  type AccountMeter,
  type AccountRow,
  daysOfMeter,
  findingsAbout,
  metersOf,
  neighbourSums,
  plannedOutages,
  QUANTITY_OF,
  usageOfMeter,
} from './account.ts'
import { registryMeta } from './assets.ts'
import { validTariffs } from './tariffs.ts'

export interface CommodityView {
  commodity: 'water' | 'power'
  unit: 'm3' | 'kWh'
  usage: UsageView
  neighbours: Neighbours | null
  cost: CostView | null
  /** Why there is no cost: `no_tariff`, `tariff_unknown`, `tariff_not_in_force`. */
  costProblem: string | null
}

export interface AccountView {
  account: string
  segment: string
  language: string
  timezone: string
  now: string
  commodities: CommodityView[]
  notices: Notice[]
  greenButton: string
}

type Deps = Pick<ApiDeps, 'pool' | 'questdb' | 'prefix' | 'nowMs'>

/** Ended notices are told for this long, planned work this long ahead. */
const TOLD_MS = 7 * DAY_MS
const AHEAD_MS = 14 * DAY_MS
const NEIGHBOURS_KEPT_MS = 600_000
const NEIGHBOURS_KEPT_MAX = 500

/** Sums of neighbours change once a day, and a page is asked for often: kept for ten minutes, the oldest dropped beyond 500. */
export type NeighbourCache = Map<string, { atMs: number; sums: number[] }>

export async function accountView(deps: Deps, account: AccountRow, cache: NeighbourCache): Promise<AccountView> {
  const { pool } = deps
  const nowMs = deps.nowMs()
  const timezone = (await registryMeta(pool)).timezone || 'UTC'
  const meters = await metersOf(pool, account.account)
  const codes = [account.tariffWater, account.tariffPower].filter((c) => c !== '')
  const tariffs = await validTariffs(pool, codes)
  const commodities: CommodityView[] = []
  for (const commodity of ['water', 'power'] as const) {
    const mine = meters.filter((m) => m.commodity === commodity)
    if (mine.length > 0) commodities.push(await commodityView(deps, { account, commodity, meters: mine, tariffs, nowMs, timezone, cache }))
  }
  const findings = await findingsAbout(pool, { meters, sinceMs: nowMs - TOLD_MS })
  const planned = await plannedOutages(pool, { meters, nowMs, untilMs: nowMs + AHEAD_MS })
  const notices = [...planned.map(plannedNotice), ...findings.flatMap((f) => noticeOf(f) ?? [])]
  notices.sort((a, b) => Number(b.urgent) - Number(a.urgent) || (a.from < b.from ? 1 : -1))
  return {
    account: account.account,
    segment: account.segment,
    language: account.language,
    timezone,
    now: new Date(nowMs).toISOString(),
    commodities,
    notices: notices.slice(0, 20),
    greenButton: `/v1/accounts/${encodeURIComponent(account.account)}/green-button`,
  }
}

interface CommodityInput {
  account: AccountRow
  commodity: 'water' | 'power'
  meters: readonly AccountMeter[]
  tariffs: ReadonlyMap<string, Tariff>
  nowMs: number
  timezone: string
  cache: NeighbourCache
}

async function commodityView(deps: Deps, i: CommodityInput): Promise<CommodityView> {
  const { account, commodity, nowMs, timezone } = i
  const code = commodity === 'water' ? account.tariffWater : account.tariffPower
  const tariff = i.tariffs.get(code)
  const today = localDate(timezone, nowMs)
  const month = startOfMonth(today)
  const yearFrom = tariff === undefined ? month : countsFrom(tariff, month)
  const lastMonth = startOfMonth(addDays(month, -1))
  const daysFrom = [yearFrom, lastMonth, addDays(today, -36)].sort()[0] as string
  const uses: MeterUse[] = []
  for (const m of i.meters) {
    const quantity = QUANTITY_OF[commodity]
    const range = { fromMs: startOfLocalDate(timezone, month), toMs: nowMs + DAY_MS }
    uses.push({
      meter: m.id,
      days: await daysOfMeter(deps.pool, { meter: m.id, quantity, from: daysFrom }),
      intervals: await usageOfMeter(deps, { meter: m.id, quantity, ...range }),
      exported: commodity === 'power' ? await usageOfMeter(deps, { meter: m.id, quantity: 'active_energy_export_kwh', ...range }) : [],
    })
  }
  const usage = usageView(uses, nowMs, timezone)
  const whole = usage.days.filter((d) => d.date >= month && d.date < today).reduce((n, d) => n + d.value, 0)
  const cost = tariff === undefined ? null : costView({ tariff, uses, nowMs, timezone, segment: account.segment, persons: account.persons })
  return {
    commodity,
    unit: commodity === 'water' ? 'm3' : 'kWh',
    usage,
    neighbours: today === month ? null : neighboursOf(whole, await sumsOfNeighbours(deps, i, month, today)),
    cost,
    costProblem: code === '' ? 'no_tariff' : tariff === undefined ? 'tariff_unknown' : cost === null ? 'tariff_not_in_force' : null,
  }
}

async function sumsOfNeighbours(deps: Deps, i: CommodityInput, from: string, to: string): Promise<number[]> {
  const zone = i.meters[0]?.zone ?? ''
  if (zone === '') return []
  const key = [i.account.account, i.commodity, zone, i.account.segment, from, to].join('|')
  const nowMs = Date.now()
  const known = i.cache.get(key)
  if (known !== undefined && nowMs - known.atMs < NEIGHBOURS_KEPT_MS) return known.sums
  const sums = await neighbourSums(deps.pool, {
    account: i.account.account,
    segment: i.account.segment,
    commodity: i.commodity,
    zone,
    from,
    to,
  })
  i.cache.set(key, { atMs: nowMs, sums })
  if (i.cache.size > NEIGHBOURS_KEPT_MAX) i.cache.delete(i.cache.keys().next().value as string)
  return sums
}
