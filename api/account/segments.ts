// Which segment an account belongs to. Imported ones that say more than `general` stand; a large user is found by what it uses; what a
// premise is for (customer_type) makes it special. Vulnerable is only ever said by a person or an import: meters do not know it. Pure.
import type { Segment } from '#model/asset.ts'

export interface SegmentInput {
  imported: Segment
  /** Set by a person; undefined when nobody has. */
  chosen: Segment | undefined
  kwhYear: number
  m3Year: number
  customerTypes: readonly string[]
}

export interface SegmentDecision {
  segment: Segment
  reason: 'chosen' | 'imported' | 'customer_type' | 'large_power' | 'large_water' | 'general'
}

export interface SegmentLimits {
  /** A user above is large. Defaults: 100 MWh a year is where many suppliers begin to measure load profiles (Germany, StromNZV section 12). */
  largeKwhYear: number
  largeM3Year: number
}
export const SEGMENT_LIMITS: SegmentLimits = { largeKwhYear: 100_000, largeM3Year: 5_000 }

/** Whose supply others depend on. */
const SPECIAL = new Set(['hospital', 'school', 'institution', 'care_home', 'fire_station', 'pumping_station'])

export function segmentOf(i: SegmentInput, limits: SegmentLimits = SEGMENT_LIMITS): SegmentDecision {
  if (i.chosen !== undefined) return { segment: i.chosen, reason: 'chosen' }
  if (i.imported !== 'general') return { segment: i.imported, reason: 'imported' }
  if (i.customerTypes.some((t) => SPECIAL.has(t))) return { segment: 'special', reason: 'customer_type' }
  if (i.kwhYear >= limits.largeKwhYear) return { segment: 'large', reason: 'large_power' }
  if (i.m3Year >= limits.largeM3Year) return { segment: 'large', reason: 'large_water' }
  return { segment: 'general', reason: 'general' }
}
