// What a utility can set for validation, with units in the names and the reason of each default. `ValidationSettings.parse({})` works.
import { z } from 'zod'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { METER_CLASSES, type MeterClass } from '#model/validation-rules.ts'
import { RuleSettings } from './rules/index.ts'
import { TOU_DEFAULT, TouSettings } from './tou.ts'

const ms = z.number().int().positive()
const range = z.tuple([z.number(), z.number()])

const Common = z.object({
  /** A jump, fall or restart of a register is believed when this many reads in a row agree with it. */
  confirmReads: z.number().int().min(2).max(6).default(3),
  /** Gaps up to this are filled with a straight line (customary limit 2 h), longer ones with the meter's own like-day shape. */
  linearUpToMs: ms.default(2 * HOUR_MS),
  /** A gap's intervals are written this long after the last read that touched it, so that a block of late reads makes one revision. */
  settleMs: ms.default(5 * MINUTE_MS),
  /** An interval without a later read is declared missing after this. */
  missingAfterMs: ms.default(24 * HOUR_MS),
  /** Storm mode: when this share of a zone's registers is silent, missing is declared only after stormLimitMs. */
  stormShare: z.number().min(0).max(1).default(0.5),
  stormLimitMs: ms.default(72 * HOUR_MS),
  /** A day whose value late reads may still change waits this long after its end before its first revision; one whose quality may, before its second. */
  dayHoldMs: ms.default(6 * HOUR_MS),
  /** Bands of time of use by which days are split. */
  tou: TouSettings.default(() => TouSettings.parse(TOU_DEFAULT)),
  /** Readings older than this before the newest one of their series are refused. */
  windowMs: ms.default(40 * DAY_MS),
  /** Short gaps between known registers within one day, and gaps in which the register stood still, stay open to late reads this long; all others as long as windowMs. */
  briefKeepMs: ms.default(12 * HOUR_MS),
  /** Longer gaps within one day, their register known at both ends, this long: a gateway that was away sends what it kept within hours of its return. */
  firmKeepMs: ms.default(3 * DAY_MS),
  /** A register that reads on but stands still is suspect after this long (customary 24 h for a residence that never shows zero) ... */
  stuckAfterMs: ms.default(24 * HOUR_MS),
  /** ... and after this multiple of its longest natural stand-still ... */
  stuckFactor: z.number().min(1).default(4),
  /** ... known from at least this much history. */
  stuckHistoryMs: ms.default(7 * DAY_MS),
  /** Interval above this multiple of the highest seen: named `spike`, still actual (UBP practice: 180 % above the third highest). */
  spikeFactor: z.number().min(1).default(2.8),
  /** Device clock against ours: named `clock_drift` beyond this (customary 3 min). */
  clockToleranceMs: ms.default(3 * MINUTE_MS),
  /** Limits of a register whose connection is not described: highest rate in units per hour, before and after a week of history. */
  maxPerHour: z.record(z.string(), z.number().positive()).default({
    water_volume_m3: 250,
    water_volume_reverse_m3: 250,
    gas_volume_m3: 1000,
    heat_energy_kwh: 2000,
    register_count: 1e6,
    active_energy_import_kwh: 5000,
    active_energy_export_kwh: 5000,
    reactive_energy_import_kvarh: 5000,
    reactive_energy_export_kvarh: 5000,
  }),
  /** After a week: this multiple of the highest rate seen, but never below the floor (a DN20 service pipe, a 3 x 63 A fuse). */
  learnedFactor: z.number().min(2).default(10),
  floorPerHour: z.record(z.string(), z.number().positive()).default({
    water_volume_m3: 5,
    water_volume_reverse_m3: 5,
    gas_volume_m3: 10,
    heat_energy_kwh: 50,
    register_count: 1000,
    active_energy_import_kwh: 44,
    active_energy_export_kwh: 44,
    reactive_energy_import_kvarh: 44,
    reactive_energy_export_kvarh: 44,
  }),
  /** Physical range of instantaneous values; outside is suspect. */
  ranges: z.record(z.string(), range).default({
    flow_m3h: [-20_000, 20_000],
    pressure_bar: [-1, 40],
    level_m: [-1, 60],
    temperature_c: [-60, 125],
    power_kw: [-100_000, 100_000],
    voltage_v: [0, 500_000],
    current_a: [0, 20_000],
    power_factor: [-1, 1],
    frequency_hz: [40, 70],
    battery_v: [0, 60],
    battery_pct: [0, 100],
    rssi_dbm: [-160, 20],
    valve_open_pct: [0, 100],
    pump_running: [0, 1],
  }),
  /** An instantaneous value that leaves its neighbourhood by this multiple of its usual step, and by more than jumpShare of its level, is suspect until the next one agrees. */
  jumpFactor: z.number().min(2).default(30),
  jumpShare: z.number().positive().default(0.5),
  /** A value is stuck after this multiple of its longest natural run of equal readings, at least stuckReadings. */
  stuckReadings: z.number().int().min(3).default(12),
  /** A reading stamped later than its receipt by more than this share of the interval is named `time_tolerance`. */
  aheadShare: z.number().positive().default(1),
  /** Rules of days and of zones, each with settings of its own and `enabled`. */
  rules: RuleSettings.prefault({}),
})
type Common = z.infer<typeof Common>

/** Settings of a class over the common ones; rules one by one. */
function over(s: Common, own: Record<string, unknown>): Record<string, unknown> {
  const rules: Record<string, unknown> = { ...s.rules }
  for (const [name, r] of Object.entries((own.rules ?? {}) as Record<string, object>)) rules[name] = { ...(rules[name] as object), ...r }
  return { ...s, ...own, rules }
}

/** `classes`: class of meters -> any of the settings, for meters of that class. */
export const ValidationSettings = Common.extend({
  classes: z.partialRecord(z.enum(METER_CLASSES), z.record(z.string(), z.unknown())).default({}),
}).superRefine((s, ctx) => {
  for (const [cls, own] of Object.entries(s.classes)) {
    for (const key of Object.keys(own))
      if (!(key in Common.shape)) ctx.addIssue({ code: 'custom', path: ['classes', cls, key], message: 'there is no such setting' })
    const parsed = Common.safeParse(over(s, own))
    for (const i of parsed.error?.issues ?? []) ctx.addIssue({ code: 'custom', path: ['classes', cls, ...i.path], message: i.message })
  }
})
export type ValidationSettings = z.infer<typeof ValidationSettings>

/** What is set for a class of meters. */
export function settingsOfClass(s: ValidationSettings, cls: MeterClass): ValidationSettings {
  const own = s.classes[cls]
  return own === undefined ? s : { ...Common.parse(over(s, own)), classes: {} }
}
