// Is today a holiday? All districts say so together: their inflow fits a Sunday's profile rather than the weekday's.
import { type Calendar, dayClass } from './baseline.ts'
import { expectedAt } from './common.ts'
import { BINS_PER_DAY, BINS_PER_HOUR, type District, localBin, netAt } from './district.ts'
import { known, type View } from './town.ts'

/** Two hours. */
const WINDOW = 8
/** One district's evidence from one bin is cut here: an outage or a burst is no holiday. */
const BIN_MAX = 3
/** Neighbouring bins share one mood: eight of them count as two. */
const BINS_PER_MOOD = 4
/** Log-likelihood per district, and share of districts, at which the day becomes a Sunday. */
const EVIDENCE_PER_DISTRICT = 2
const AGREE_SHARE = 0.7
/** Evidence per district against a holiday that settles the question for a step in the first hours. */
const AGAINST_PER_DISTRICT = 0.5

interface HolidayEvidence {
  day: number
  evidence: number
  agree: number
  districts: number
}

function asSunday(calendar: Calendar, day: number): Calendar {
  return { ...calendar, special: new Map(calendar.special).set(day, 2) }
}

/** Log-likelihood of today being a Sunday against the weekday it is, over districts; undefined when it is none or too few can tell. */
function holidayEvidence(v: View, districts: readonly District[], bin: number): HolidayEvidence | undefined {
  const ready = districts.filter((d) => d.typical > 0)
  const first = ready[0]
  if (first === undefined || ready.length < 3) return undefined
  const { calendar } = v.town
  const { day, weekday } = localBin(first.timezone, bin)
  if (dayClass(day, weekday, calendar.special) !== 0) return undefined
  const sunday = asSunday(calendar, day)
  let evidence = 0
  let agree = 0
  for (const d of ready) {
    let own = 0
    const { white, hourSd, daySd } = d.noise
    for (let b = bin; b > bin - WINDOW && localBin(d.timezone, b).day === day; b--) {
      const net = netAt(d, b) - known(d, b)
      if (!Number.isFinite(net)) continue
      const w = expectedAt(d, b, calendar).flow
      const s = expectedAt(d, b, sunday).flow
      const variance = (hourSd ** 2 + daySd ** 2) * w * w + white * w * d.typical
      own += Math.max(-BIN_MAX, Math.min(BIN_MAX, ((net - w) ** 2 - (net - s) ** 2) / (2 * variance) / BINS_PER_MOOD))
    }
    evidence += own
    if (own > 0.5) agree += 1
  }
  return { day, evidence, agree, districts: ready.length }
}

/** Switches a weekday to a Sunday's profile when the districts say so; true when it did. */
export function noticeHoliday(v: View, bin: number): boolean {
  const h = holidayEvidence(v, v.all, bin)
  if (h === undefined || h.evidence < EVIDENCE_PER_DISTRICT * h.districts || h.agree < AGREE_SHARE * h.districts) return false
  v.town.calendar.special.set(h.day, 2)
  return true
}

/** A step in a weekday's first hours that a Sunday's profile would explain, and that the other districts do not rule out. */
export function mayBeHoliday(v: View, d: District, onset: number, bin: number): boolean {
  const { slot } = localBin(d.timezone, onset)
  if (slot > 4 * BINS_PER_HOUR && slot < BINS_PER_DAY - 2) return false
  const now = localBin(d.timezone, bin)
  const { calendar } = v.town
  if (now.slot > 6 * BINS_PER_HOUR || dayClass(now.day, now.weekday, calendar.special) !== 0) return false
  const others = holidayEvidence(
    v,
    v.all.filter((n) => n !== d),
    bin,
  )
  if (others !== undefined && others.evidence < -AGAINST_PER_DISTRICT * others.districts) return false
  const sunday = asSunday(calendar, now.day)
  let off = 0
  let offSunday = 0
  for (let b = bin; b >= onset && b > bin - 12 && localBin(d.timezone, b).day === now.day; b--) {
    const net = netAt(d, b)
    if (!Number.isFinite(net)) continue
    off += net - expectedAt(d, b, calendar).flow
    offSunday += net - expectedAt(d, b, sunday).flow
  }
  return offSunday < 0.6 * off
}
