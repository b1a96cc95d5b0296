// Every rule of validation. Rules of days are asked in this order when a register's day is published; a new one is a file beside this one, a
// line here and one in core/model/validation-rules.ts. The others are asked where the work is done: `ASKED` says where.
import { z } from 'zod'
import type { ValidationRule } from '#model/validation-rules.ts'
import { highUsage } from './high-usage.ts'
import { inactiveAccount } from './inactive-account.ts'
import { intervalSize } from './interval-size.ts'
import { lowUsage } from './low-usage.ts'
import { missingSibling } from './missing-sibling.ts'
import { prolongedEstimation } from './prolonged-estimation.ts'
import { reactive } from './reactive.ts'
import type { AnyDayRule } from './rule.ts'
import { sumCheck } from './sum-check.ts'
import { DistrictSettings } from './sum-check-district.ts'
import { sumCheckTariffs } from './sum-check-tariffs.ts'
import { TransformerSettings } from './sum-check-transformer.ts'
import { unitMultiplier } from './unit-multiplier.ts'
import { zeroUsage } from './zero-usage.ts'

export const DAY_RULES: readonly AnyDayRule[] = [
  sumCheck,
  sumCheckTariffs,
  highUsage,
  lowUsage,
  zeroUsage,
  inactiveAccount,
  reactive,
  unitMultiplier,
  prolongedEstimation,
  intervalSize,
  missingSibling,
]

/** Where the rules of reads, of intervals and of whole zones are asked: a file of validation. */
export const ASKED: Partial<Record<ValidationRule, string>> = {
  duplicate: 'dedupe.ts',
  conflicting_value: 'dedupe.ts',
  time_tolerance: 'rules/time-tolerance.ts',
  clock_drift: 'rules/clock-drift.ts',
  late: 'registers.ts',
  out_of_line: 'gap.ts',
  negative: 'register.ts',
  high: 'register.ts',
  rollover: 'register.ts',
  range: 'values.ts',
  stuck: 'values.ts',
  transient_spike: 'chain.ts',
  step: 'chain.ts',
  silent_exchange: 'chain.ts',
  erratic: 'chain.ts',
  meter_exchange: 'events.ts',
  register_reset: 'events.ts',
  stuck_register: 'rules/stuck-register.ts',
  spike: 'rules/spike.ts',
  gap: 'flush.ts',
  no_read: 'flush.ts',
  sum_check_transformer: 'rules/sum-check-transformer.ts',
  sum_check_district: 'rules/sum-check-district.ts',
}

const enabled = { enabled: z.boolean().default(true) }
const own = (s: unknown) => (s as z.ZodObject).extend(enabled).prefault({})

/** Settings of the rules of days and zones, by name: their own and `enabled`. */
export const RuleSettings = z.object({
  ...Object.fromEntries(DAY_RULES.map((r) => [r.name, own(r.settings)])),
  sum_check_transformer: TransformerSettings.extend(enabled).prefault({}),
  sum_check_district: DistrictSettings.extend(enabled).prefault({}),
}) as unknown as z.ZodType<
  Record<string, { enabled: boolean }> & {
    sum_check_transformer: z.infer<typeof TransformerSettings> & { enabled: boolean }
    sum_check_district: z.infer<typeof DistrictSettings> & { enabled: boolean }
  }
>
