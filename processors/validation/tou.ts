// Time-of-use bands of a day: which part of a day's use fell into peak hours. The calendar is the utility's, in its own time zone, so days
// of 23 and 25 hours get the bands that the clock on the wall showed. An interval belongs to the band in which it begins.
import { z } from 'zod'
import { localHour, MINUTE_MS } from '#model/time.ts'
import type { DayWindow } from './days.ts'

/** Bands kept beside the base band, which is the rest. */
export const BANDS = 3

const time = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'HH:MM')

export const TouSettings = z
  .object({
    /** The first is the base band: all that no rule names. At most four. */
    bands: z
      .array(z.string().min(1).max(40))
      .min(1)
      .max(BANDS + 1),
    /** The last rule that fits counts. Months 1 to 12; all when left out. */
    rules: z
      .array(
        z.object({
          band: z.string(),
          from: time,
          to: time,
          days: z.enum(['all', 'weekdays', 'weekends']).default('all'),
          months: z.array(z.number().int().min(1).max(12)).optional(),
        }),
      )
      .max(48),
    quantities: z.array(z.string()),
  })
  .superRefine((s, ctx) => {
    for (const [i, r] of s.rules.entries())
      if (!s.bands.includes(r.band)) ctx.addIssue({ code: 'custom', path: ['rules', i, 'band'], message: `${r.band} is not one of bands` })
  })
export type TouSettings = z.infer<typeof TouSettings>

/** Peak 08:00 to 22:00, valley by night: the plainest of the published residential calendars (Zhejiang price notice). */
export const TOU_DEFAULT: z.input<typeof TouSettings> = {
  bands: ['valley', 'peak'],
  rules: [{ band: 'peak', from: '08:00', to: '22:00' }],
  quantities: ['active_energy_import_kwh', 'active_energy_export_kwh'],
}

const STEP_MS = 15 * MINUTE_MS
const minuteOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))

/** Bands of the quarter hours of a day. */
function table(s: TouSettings, timezone: string, day: DayWindow, weekend: boolean): Uint8Array {
  const month = Number(day.date.slice(5, 7))
  const rules = s.rules.filter(
    (r) => (r.months === undefined || r.months.includes(month)) && (r.days === 'all' || (r.days === 'weekends') === weekend),
  )
  return Uint8Array.from({ length: Math.ceil((day.endMs - day.startMs) / STEP_MS) }, (_, i) => {
    const minute = localHour(timezone, day.startMs + i * STEP_MS).minuteOfDay
    const r = rules.findLast(({ from, to }) => {
      const [a, b] = [minuteOf(from), minuteOf(to)]
      return a <= b ? minute >= a && minute < b : minute >= a || minute < b
    })
    return r === undefined ? 0 : s.bands.indexOf(r.band)
  })
}

// Derived from settings and calendar, the same for everyone, and bounded: not part of any state.
const TABLES_MAX = 256
const tables = new WeakMap<TouSettings, Map<string, Uint8Array>>()
let lastSettings: TouSettings | undefined
let lastDay: DayWindow | undefined
let lastWeekend = false
let lastTable: Uint8Array = new Uint8Array(0)

/** Band at an instant of a day, 0 for the base. */
export function bandOf(s: TouSettings, timezone: string, day: DayWindow, ms: number, holiday: boolean): number {
  const weekend = day.weekend || holiday
  if (day !== lastDay || s !== lastSettings || weekend !== lastWeekend) {
    let known = tables.get(s)
    if (known === undefined) {
      known = new Map()
      tables.set(s, known)
    }
    const key = `${timezone}|${day.no}|${weekend}`
    let t = known.get(key)
    if (t === undefined) {
      t = table(s, timezone, day, weekend)
      if (known.size >= TABLES_MAX) known.clear()
      known.set(key, t)
    }
    lastSettings = s
    lastDay = day
    lastWeekend = weekend
    lastTable = t
  }
  return lastTable[Math.floor((ms - day.startMs) / STEP_MS)] ?? 0
}

/** A day's value by band; the base band is the rest, so that the bands add up to the value. */
export function byBand(s: TouSettings, value: number, bands: readonly number[], tidy: (v: number) => number): Record<string, number> {
  const out: Record<string, number> = {}
  let rest = value
  for (let b = 1; b < s.bands.length; b++) {
    const v = tidy(bands[b - 1] ?? 0)
    out[s.bands[b] as string] = v
    rest -= v
  }
  return { [s.bands[0] as string]: tidy(rest), ...out }
}
