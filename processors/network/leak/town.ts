// The second stage's view of a town: its districts, its calendar, what is announced; and the settings of the leak tests.
import { z } from 'zod'
import type { Calendar } from './baseline.ts'
import { commonFactors, type KnownAt } from './common.ts'
import type { District } from './district.ts'

export const LeakSettings = z.object({
  falseAlarmsPerDistrictMonth: z.number().positive().max(10).default(0.05).describe('Allowed by chance alone; thresholds follow from it'),
  leakMinM3h: z.number().positive().default(0.15).describe('A step below this is not worth a crew'),
  leakMinShare: z.number().min(0).max(1).default(0.015).describe('... nor below this share of typical inflow'),
  hydrantMinM3h: z
    .number()
    .positive()
    .default(10)
    .describe('From this flow on a draw may be a fire hose: a C nozzle gives 100 to 235 l/min'),
  hydrantMinutes: z.number().min(0).max(600).default(90).describe('... and is waited for this long'),
  nightShiftMaxShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.15)
    .describe('A step up to this share may be a factory at night; the morning tells'),
  relearnDays: z.number().int().min(1).max(28).default(7).describe('Baselines are learnt anew this often'),
  learnLagDays: z
    .number()
    .int()
    .min(0)
    .max(21)
    .default(5)
    .describe('... from days older than this, so that a leak not yet seen is not learnt'),
  warmupDays: z.number().int().min(4).max(28).default(7).describe('Silence at first where the registry names no warm-up'),
  reopenDays: z.number().min(0).max(60).default(7).describe('A leak this soon after another one of the district ended is linked to it'),
})
export type LeakSettings = z.infer<typeof LeakSettings>

export interface Announced {
  zone: string
  kind: string
  scopeType: string
  scope: string
  startMs: number
  endMs: number
}

/** State of the stage. */
export interface Town {
  districts: Map<string, District>
  calendar: Calendar
  announced: Announced[]
  learntBin: number
  /** Next bin to judge in all districts. */
  nextBin: number
}

/** A town with its districts in one order, so that sums over districts are always the same; made anew for each bin. */
export interface View {
  town: Town
  settings: LeakSettings
  all: readonly District[]
}

export function viewOf(town: Town, settings: LeakSettings): View {
  return { town, settings, all: [...town.districts.values()].sort((a, b) => (a.zone < b.zone ? -1 : 1)) }
}

/** Leaks known in a district at a bin, m3/h. */
export const known: KnownAt = (d, bin) => (d.leaks.some((l) => bin >= l.onsetBin) ? Math.max(0, d.filter.x[3] as number) * d.typical : 0)

/** Common deviation at a bin for one district. */
export function commonOf(v: View, d: District, bin: number) {
  return commonFactors(v.all, bin, v.town.calendar, known)[v.all.indexOf(d)] as { value: number; added: number }
}
