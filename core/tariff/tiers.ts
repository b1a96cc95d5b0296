// Blocks that fill with use, in order of time: over a bill, a month or a year, larger for larger households.
import type { Segment } from '#model/asset.ts'
import { nextMonth, startOfMonth, startOfYear } from './calendar.ts'
import type { Piece } from './slices.ts'
import type { Charge, TariffVersion } from './tariff.ts'

type Energy = Extract<Charge, { type: 'energy' }>
type Tiers = NonNullable<Energy['tiers']>

/** Where the blocks of each charge stand. */
export interface TierWalk {
  persons: number
  /** Days of the bill. */
  days: number
  /** Charge and window -> thousandths used. The same charge goes on counting when a new version changes its price. */
  used: Map<string, number>
}

export function createMeter(how: { persons: number; days: number }): TierWalk {
  return { ...how, used: new Map() }
}

/** Upper end of a block in thousandths; infinite for the last. */
export function limitMilli(tiers: Tiers, block: number, how: { persons: number; days: number }): number {
  const b = tiers.blocks[block]
  if (b === undefined || b.upTo === null) return Number.POSITIVE_INFINITY
  const upTo = b.upTo + b.upToPerPerson * Math.max(0, how.persons - tiers.personsIncluded)
  return Math.round(upTo * 1000 * (tiers.accumulate === 'period_days' ? how.days : 1))
}

function windowOf(tiers: Tiers, date: string): string {
  if (tiers.accumulate === 'year') return startOfYear(date, tiers.yearStart)
  return tiers.accumulate === 'month' ? startOfMonth(date) : 'bill'
}

/**
 * Counts a piece and says how much of it falls into which block: [block, thousandths]. `hit`: the charge is on it; `bill`: it belongs to
 * the bill, not to the time before.
 */
export function walk(w: TierWalk, c: Energy, p: Piece, how: { hit: boolean; bill: boolean }): [number, number][] {
  const { tiers } = c
  if (tiers === undefined) return [[0, p.quantityMilli]]
  const window = windowOf(tiers, p.date)
  if ((!how.bill && window === 'bill') || (!how.hit && tiers.counts === 'own')) return []
  const key = `${c.id}|${window}`
  let at = w.used.get(key) ?? 0
  const out: [number, number][] = []
  let left = p.quantityMilli
  for (let block = 0; block < tiers.blocks.length && left !== 0; block++) {
    const room = limitMilli(tiers, block, w) - at
    if (room <= 0) continue
    // A correction downwards has no block of its own: it goes to the one reached.
    const take = left < 0 ? left : Math.min(left, room)
    out.push([block, take])
    at += take
    left -= take
  }
  w.used.set(key, at)
  return out
}

export interface TierState {
  charge: string
  label: { en: string; zh?: string | undefined }
  accumulate: Tiers['accumulate']
  /** Begin of the window and the first day of the next, local dates; '' where the bill is the window. */
  from: string
  to: string
  /** Block reached, 1 for the first, and how many there are. */
  tier: number
  tiers: number
  used: number
  /** Upper end of the block reached; null for the last. */
  upTo: number | null
  rate: string
  /** Price of the next block; null when there is none. */
  nextRate: string | null
}

export function tierStates(w: TierWalk, v: TariffVersion | undefined, lastDate: string, segment: Segment | undefined): TierState[] {
  const out: TierState[] = []
  for (const c of v?.charges ?? []) {
    if (c.type !== 'energy' || c.tiers === undefined || (c.segments !== undefined && !c.segments.includes(segment ?? 'general'))) continue
    const { tiers } = c
    const window = windowOf(tiers, lastDate)
    const used = w.used.get(`${c.id}|${window}`) ?? 0
    let block = 0
    while (block < tiers.blocks.length - 1 && used > limitMilli(tiers, block, w)) block++
    const limit = limitMilli(tiers, block, w)
    const to =
      tiers.accumulate === 'month'
        ? nextMonth(window)
        : tiers.accumulate === 'year'
          ? `${String(Number(window.slice(0, 4)) + 1).padStart(4, '0')}${window.slice(4)}`
          : ''
    out.push({
      charge: c.id,
      label: c.label,
      accumulate: tiers.accumulate,
      from: window === 'bill' ? '' : window,
      to,
      tier: block + 1,
      tiers: tiers.blocks.length,
      used: used / 1000,
      upTo: Number.isFinite(limit) ? limit / 1000 : null,
      rate: tiers.blocks[block]?.rate ?? '',
      nextRate: tiers.blocks[block + 1]?.rate ?? null,
    })
  }
  return out
}
