// Customer meters of a zone, water and power, by number: what the columns of detectors that think in days are indexed by.

import type { Segment } from '#model/asset.ts'
import type { Interval, MeterDay } from '#model/interval.ts'
import { HOUR_MS, offsetMs } from '#model/time.ts'
import type { ZoneContext } from '../../fold.ts'

export interface Customer {
  id: string
  commodity: 'water' | 'power'
  quantity: 'water_volume_m3' | 'active_energy_import_kwh'
  /** One step of the register, m3 or kWh. */
  step: number
  segment: Segment
  account: string
  /** The registry says that nobody is supplied here: `status` inactive, closed or disconnected. */
  closed: boolean
  /** A totalising meter stands above it. */
  totalised: boolean
}

export interface Customers {
  ids: string[]
  index: Map<string, number>
  list: Customer[]
  /** Share of them that have an account. */
  accountShare: number
}

const CLOSED = new Set(['inactive', 'closed', 'disconnected'])
const made = new WeakMap<ZoneContext, Customers>()

/** Made once for each definition of the zone. */
export function customersOf(zone: ZoneContext): Customers {
  let c = made.get(zone)
  if (c === undefined) {
    c = make(zone)
    made.set(zone, c)
  }
  return c
}

function make(zone: ZoneContext): Customers {
  const list: Customer[] = []
  const totalised = new Set(
    zone
      .devicesOf('electric_meter')
      .flatMap(({ asset: a }) => (a.kind === 'electric_meter' && a.role === 'transformer' ? [a.transformer] : [])),
  )
  for (const { asset: a, segment = 'general' } of [...zone.devicesOf('water_meter'), ...zone.devicesOf('electric_meter')]) {
    const closed = 'status' in a && typeof a.status === 'string' && CLOSED.has(a.status)
    if (a.kind === 'water_meter') {
      const step = 10 ** -(a.decimals ?? 3) * (a.multiplier ?? 1)
      list.push({
        id: a.id,
        commodity: 'water',
        quantity: 'water_volume_m3',
        step,
        segment,
        account: a.account ?? '',
        closed,
        totalised: false,
      })
    } else if (a.kind === 'electric_meter' && a.role === 'customer') {
      const step = 10 ** -(a.decimals ?? 2) * (a.multiplier ?? 1)
      const above = a.transformer !== undefined && totalised.has(a.transformer)
      list.push({
        id: a.id,
        commodity: 'power',
        quantity: 'active_energy_import_kwh',
        step,
        segment,
        account: a.account ?? '',
        closed,
        totalised: above,
      })
    }
  }
  const ids = list.map((c) => c.id)
  const withAccount = list.filter((c) => c.account !== '').length
  return { ids, index: new Map(ids.map((id, k) => [id, k])), list, accountShare: list.length === 0 ? 0 : withAccount / list.length }
}

/** Share of a day that may be estimated or missing; more, and the day neither triggers nor clears anything. */
const UNCERTAIN_SHARE = 0.1

/** Days since 1970-01-01 of a local date. */
export function dayNo(date: string): number {
  return Date.parse(`${date}T00:00:00Z`) / 86_400_000
}

/** UTC instant at which a local day begins. */
export function dayStartMs(timezone: string, no: number): number {
  const naive = no * 86_400_000
  return naive - offsetMs(timezone, naive - offsetMs(timezone, naive))
}

/** The day as first published, of the meter's main register. */
export function isMainDay(day: MeterDay, c: Customer): boolean {
  return day.rev === 1 && day.channel === '' && day.quantity === c.quantity
}

/** And read nearly without a hole. */
export function countsDay(day: MeterDay, c: Customer): boolean {
  const uncertain = day.estimated + day.missing
  return isMainDay(day, c) && uncertain <= UNCERTAIN_SHARE * (day.actual + uncertain)
}

/** Number of the local day of an interval that validation gave this reason; undefined for others. */
export function markedDay(i: Interval, reason: 'outage' | 'stuck_register', timezone: string): number | undefined {
  if (!i.reasons.includes(reason)) return undefined
  return Math.floor((i.startMs + offsetMs(timezone, i.startMs)) / (24 * HOUR_MS))
}
