// The life of a leak's finding: opened, placed, followed, cleared when the flow is back, linked to the one before.
import { type Evidence, type FindingDraft, findingId } from '#model/finding.ts'
import { HOUR_MS } from '#model/time.ts'
import { forgetKnown, type StepFound, strongestFall } from '../../statistics/step-filter.ts'
import { type Channel, leading, rerun, rerunAll } from './channel.ts'
import { BIN_MS, BINS_PER_HOUR, type District, MASK, maskBins, type OpenLeak } from './district.ts'
import { locate } from './pressure-evidence.ts'
import type { View } from './town.ts'
import type { Said } from './verdict.ts'

export type Emit = (zone: string, draft: FindingDraft) => void

/** The flow must be back for this long before a finding is cleared. */
const LOW_HOURS = 6
/** Below this share of its largest size a leak is over. */
const BACK_SHARE = 0.35
/** A fall this clear makes the followed size jump rather than drift. */
const FALL_Z = 4
/** Followed sizes are said anew when they have changed by this share, at most every so many hours. */
const RESIZED_SHARE = 0.35
const RESIZED_HOURS = 24
/** Places are said again with longer pressure behind them, this many hours after the onset. */
const PLACE_AGAIN_H = [6, 24]
const ENDED_MAX = 8

function round(v: number, digits: number): number {
  return Number(v.toFixed(digits))
}

export function draftOf(d: District, l: OpenLeak, reason: string, extra: Partial<FindingDraft> = {}): FindingDraft {
  const m3h = l.size * d.typical
  const evidence: Evidence[] = [
    {
      what: l.via === 'inflow' ? 'net inflow above its baseline' : 'inflow not taken by customers',
      standardDeviations: round(l.z, 1),
      flowM3h: round(m3h, 2),
      typicalInflowM3h: round(d.typical, 1),
    },
  ]
  if (l.joint) evidence.push({ what: 'pressure falls where a leak of this size would make it fall', place: l.candidates[0]?.id ?? '' })
  return {
    kind: l.kind,
    scope: { type: 'dma', id: d.zone },
    onsetMs: l.onsetMs,
    clearedAtMs: null,
    severity: l.kind === 'burst' && l.size >= 0.1 ? 'critical' : l.size >= 0.05 ? 'major' : 'minor',
    confidence: round(1 - 0.5 * Math.exp(-Math.max(0, l.z - 3.5)), 2),
    size: { flowM3h: round(m3h, 2) },
    reason,
    evidence,
    ...(l.candidates.length > 0 ? { candidates: l.candidates } : {}),
    ...(l.parent === undefined ? {} : { parent: l.parent }),
    ...extra,
  }
}

function idOf(d: District, l: OpenLeak): string {
  return findingId({ kind: l.kind, scope: { type: 'dma', id: d.zone }, onsetMs: l.onsetMs })
}

/** Ranks pipes by the pressure since the onset; true when that changed something. */
function place(d: District, l: OpenLeak, bin: number): boolean {
  if (d.pressure === undefined) return false
  const m3h = l.size * d.typical
  const found = locate(d.pressure, l.onsetBin, Math.min(bin, d.pressure.newest), m3h, 0.3 * m3h)
  if (found === undefined) return false
  const same = found.map((c) => c.id).join() === l.candidates.map((c) => c.id).join()
  l.candidates = found
  return !same
}

export function open(v: View, ch: Channel, d: District, step: StepFound, at: number, said: Said, emit: Emit): void {
  const onsetBin = step.onset * ch.bins
  const bin = (at + 1) * ch.bins - 1
  if (said.growth) {
    // Faster than it was followed: the same leak, which may jump here.
    d.jumps.push(onsetBin)
    for (const l of d.leaks) l.detectedBin = bin
    rerunAll(v, d)
    return
  }
  const onsetMs = onsetBin * BIN_MS
  const before = d.ended.filter((e) => onsetMs - e.endMs < v.settings.reopenDays * 24 * HOUR_MS).at(-1)
  const l: OpenLeak = {
    onsetMs,
    onsetBin,
    detectedBin: bin,
    kind: said.kind,
    via: ch.name,
    joint: said.joint,
    size: said.size,
    peak: said.size,
    z: said.z,
    lowHours: 0,
    candidates: [],
    parent: before?.id,
    said: said.size,
  }
  place(d, l, bin)
  d.leaks.push(l)
  d.jumps.push(onsetBin)
  const notBack = before !== undefined && Math.abs(onsetMs - before.endMs) < 12 * HOUR_MS
  emit(
    d.zone,
    draftOf(
      d,
      l,
      notBack
        ? 'flow-not-back-at-base'
        : ch.name === 'balance'
          ? 'water-balance-step'
          : said.kind === 'burst'
            ? 'inflow-step'
            : 'night-flow-rise',
    ),
  )
  rerunAll(v, d)
}

/** Once an hour: size, growth, and whether the flow is back at base. */
export function follow(v: View, d: District, bin: number, emit: Emit): void {
  if (d.leaks.length === 0) return
  const ch = leading(d)
  const fall = strongestFall(ch.filter(d))
  if (
    fall !== undefined &&
    fall.z < -FALL_Z &&
    fall.size < -0.3 * (ch.filter(d).x[3] as number) &&
    !d.jumps.some((j) => Math.abs(j - fall.onset * ch.bins) < 8)
  ) {
    d.jumps.push(fall.onset * ch.bins)
    rerun(v, ch, d)
  }
  const f = ch.filter(d)
  const size = f.x[3] as number
  const total = d.leaks.reduce((a, l) => a + l.peak, 0)
  const back = size < BACK_SHARE * total || size < Math.sqrt(f.p[15] as number)
  for (const l of [...d.leaks]) {
    l.lowHours = back && bin - l.detectedBin > 3 * BINS_PER_HOUR ? l.lowHours + 1 : 0
    if (l.lowHours >= LOW_HOURS) clear(d, l, bin, emit)
    else if (!back) grow(d, l, size, bin, emit)
  }
  if (d.leaks.length > 0) return
  d.jumps = []
  forgetKnown(d.filter)
  forgetKnown(d.balance)
  rerunAll(v, d)
}

function clear(d: District, l: OpenLeak, bin: number, emit: Emit): void {
  d.leaks = d.leaks.filter((x) => x !== l)
  const fallBin = bin - LOW_HOURS * BINS_PER_HOUR
  const clearedAtMs = fallBin * BIN_MS
  d.ended.push({ id: idOf(d, l), endMs: clearedAtMs })
  if (d.ended.length > ENDED_MAX) d.ended.shift()
  maskBins(d, l.onsetBin, fallBin, MASK.leak)
  // What has not gone back is tested like anything else, with its onset at the fall.
  d.testFrom = fallBin
  emit(d.zone, draftOf(d, l, 'flow-back-at-base', { clearedAtMs }))
}

function grow(d: District, l: OpenLeak, size: number, bin: number, emit: Emit): void {
  const ageH = Math.round((bin - l.onsetBin) / BINS_PER_HOUR)
  const moved = PLACE_AGAIN_H.includes(ageH) && place(d, l, bin)
  // With several open at a time only their sum is known.
  if (d.leaks.length === 1) {
    l.size = size
    l.peak = Math.max(l.peak, size)
  }
  const resized = Math.abs(l.size - l.said) > RESIZED_SHARE * l.said && bin % (RESIZED_HOURS * BINS_PER_HOUR) === BINS_PER_HOUR - 1
  if (!moved && !resized) return
  const reason = !resized ? 'placed-again' : l.size > l.said ? 'grown' : 'shrunk'
  l.said = l.size
  emit(d.zone, draftOf(d, l, reason))
}
