// What a closed period is made of. Facts are what was looked up when it was closed and is kept with it; with the billed days they give
// the same document, byte for byte, at any later time.
import type { Segment } from '#model/asset.ts'
import type { IntervalStatus } from '#model/interval.ts'
import type { Quantity } from '#model/quantity.ts'
import type { LineItem, Priced } from '#tariff/price.ts'
import type { TierState } from '#tariff/tiers.ts'
import type { BillingPeriod } from './calendar.ts'
import type { DayInterval } from './day-intervals.ts'

export const COMMODITIES = ['water', 'power', 'gas', 'heat'] as const
export type Commodity = (typeof COMMODITIES)[number]

/** What a register's use is on a bill: taken, fed back, or not charged for. */
export type BillRole = 'import' | 'export' | 'shown'

const ROLES: Partial<Record<Quantity, readonly [Commodity, BillRole]>> = {
  water_volume_m3: ['water', 'import'],
  water_volume_reverse_m3: ['water', 'shown'],
  active_energy_import_kwh: ['power', 'import'],
  active_energy_export_kwh: ['power', 'export'],
  reactive_energy_import_kvarh: ['power', 'shown'],
  reactive_energy_export_kvarh: ['power', 'shown'],
  gas_volume_m3: ['gas', 'import'],
  heat_energy_kwh: ['heat', 'import'],
}
export function commodityOf(quantity: string): Commodity | undefined {
  return ROLES[quantity as Quantity]?.[0]
}
export function billRoleOf(quantity: string): BillRole {
  return ROLES[quantity as Quantity]?.[1] ?? 'shown'
}

/** One register of a meter. */
export interface RegisterId {
  meter: string
  quantity: string
  channel: string
}
export const registerKey = (r: RegisterId): string => `${r.meter}\n${r.quantity}\n${r.channel}`
export const compareRegisters = (a: RegisterId, b: RegisterId): number => {
  const [x, y] = [registerKey(a), registerKey(b)]
  return x < y ? -1 : x > y ? 1 : 0
}

export interface BilledDay extends RegisterId {
  date: string
  rev: number
  value: number
  actual: number
  estimated: number
  missing: number
  intervals: DayInterval[]
}

/** A register read at the border of a period: the last believed one before it. */
export interface BorderRead {
  ts: string
  value: number
  receivedAt: string
  gateway: string
  quality: string
}

export interface RegisterFacts extends RegisterId {
  multiplier: number
  start: BorderRead | null
  end: BorderRead | null
}

/** A day of the period that is not in it: it will be an adjustment when it comes. */
export interface UnbilledDay extends RegisterId {
  date: string
  reason: 'held' | 'not_known'
  detail: string
}

export const TARIFF_PROBLEMS = ['no_tariff', 'tariff_unknown', 'tariff_not_valid', 'tariff_other_commodity', 'tariff_gap'] as const
export type TariffProblem = (typeof TARIFF_PROBLEMS)[number]

export interface PeriodFacts {
  period: BillingPeriod
  /** When the calendar closes it. */
  dueAt: string
  timezone: string
  account: string
  meter: string
  commodity: Commodity
  segment: Segment
  persons: number
  tariff: { code: string; revision: number } | null
  /** As the account names it; '' without one. */
  tariffCode: string
  /** Key of billing_tariffs; '' without a tariff. */
  tariffSha256: string
  tariffProblem: TariffProblem | null
  registers: RegisterFacts[]
  unbilled: UnbilledDay[]
}

export interface QualityMix {
  /** Intervals, and their volume in the quantity's unit, by status. */
  intervals: Partial<Record<IntervalStatus, number>>
  volume: Partial<Record<IntervalStatus, number>>
}

export interface RegisterDocument extends RegisterId {
  role: BillRole
  /** False for tariff registers beside a total, and for what is only shown. */
  billed: boolean
  multiplier: number
  start: BorderRead | null
  end: BorderRead | null
  /** (end - start) x multiplier; null without both, or when the register rolled over or was exchanged. */
  difference: number | null
  consumption: number
  days: number
  quality: QualityMix
}

export interface Adjustment {
  /** The closed period that it corrects, and the hash of its document. */
  period: string
  sha256: string
  days: (RegisterId & { date: string; fromRev: number | null; toRev: number; before: number; after: number; delta: number })[]
  timeOfUse: TimeOfUse[]
  /** New price less old; null where the period has no price. */
  netMinor: number | null
  taxMinor: number | null
  totalMinor: number | null
}

export interface TimeOfUse {
  register: 'import' | 'export'
  season: string
  period: string
  value: number
}

export interface PeriodDocument {
  period: string
  from: string
  to: string
  timezone: string
  /** When the calendar closes it. */
  closedAt: string
  account: string | null
  meter: string | null
  commodity: Commodity
  segment: Segment
  tariff: { code: string; revision: number } | null
  consumption: { import: number; export: number }
  registers: RegisterDocument[]
  timeOfUse: TimeOfUse[]
  tiers: TierState[]
  charges: (Pick<Priced, 'currency' | 'minorDigits' | 'netMinor' | 'taxMinor' | 'totalMinor' | 'warnings'> & { lines: LineItem[] }) | null
  adjustments: Adjustment[]
  /** Charges and adjustments together; null without charges. */
  totalMinor: number | null
  problems: { kind: UnbilledDay['reason'] | TariffProblem; meter?: string; quantity?: string; date?: string; detail: string }[]
}
