// Sum check over a district: what flowed in by its flow meters, integrated, against what its customers' meters counted on the same day.
// Only where the registry does not say that the district is not fully metered.
import { z } from 'zod'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import type { ZoneContext } from '../../fold.ts'
import type { DayWindow } from '../days.ts'

export const DistrictSettings = z.object({
  lossShareMin: z.number().default(-0.05),
  /** Old networks lose a third; half of the water is nobody's normal. */
  lossShareMax: z.number().default(0.5),
  /** Part of the day, and of the customers, that must have been measured. */
  coverShare: z.number().min(0.5).max(1).default(0.98),
})
type Settings = z.infer<typeof DistrictSettings>

/** Inflow of one local day: m3, and the time in which each flow meter was measured, summed. */
export interface Inflow {
  no: number
  m3: number
  coveredMs: number
}

const DAYS_MAX = 3
/** Two values further apart than this say nothing of the time between them. */
const SPAN_MS_MAX = HOUR_MS

/** Adds the water between two values of a flow meter (trapezoid, on the day of the later). `sign` as in the meter's `flows`. */
export function addInflow(
  days: Inflow[],
  no: number,
  sign: number,
  a: { tsMs: number; value: number },
  b: { tsMs: number; value: number },
): void {
  const span = b.tsMs - a.tsMs
  if (span <= 0 || span > SPAN_MS_MAX) return
  let d = days.find((x) => x.no === no)
  if (d === undefined) {
    d = { no, m3: 0, coveredMs: 0 }
    days.push(d)
    if (days.length > DAYS_MAX) days.shift()
  }
  d.m3 += (sign * ((a.value + b.value) / 2) * span) / HOUR_MS
  d.coveredMs += span
}

/** Sign of a flow meter in this district; 0 when it does not border on it. */
export function signOf(zone: ZoneContext, asset: { kind: string; flows?: unknown }): number {
  if (zone.def.kind !== 'dma' || asset.kind !== 'flow_meter') return 0
  return (asset.flows as { dma: string; sign: number }[]).find((f) => f.dma === zone.def.zone)?.sign ?? 0
}

/** Share of a day's inflow that customers did not use; NaN when too little was measured. `used` and `measured` over `customers` meters. */
export function districtLoss(
  zone: ZoneContext,
  day: DayWindow,
  inflow: Inflow | undefined,
  x: { used: number; measured: number; customers: number },
  c: Settings,
): number {
  const area = zone.def.area as { fully_metered?: unknown } | undefined
  const meters = zone.devicesOf('flow_meter').filter((d) => signOf(zone, d.asset as { kind: string }) !== 0).length
  if (area?.fully_metered === false || inflow === undefined || meters === 0 || x.customers === 0) return Number.NaN
  const dayMs = Math.min(day.endMs - day.startMs, 2 * DAY_MS)
  if (inflow.coveredMs < c.coverShare * meters * dayMs || x.measured < c.coverShare * x.customers) return Number.NaN
  return inflow.m3 > 0 ? (inflow.m3 - x.used) / inflow.m3 : Number.NaN
}

export function districtFires(loss: number, c: Settings): boolean {
  return loss < c.lossShareMin || loss > c.lossShareMax
}
