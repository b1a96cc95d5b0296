// How the energy between believed reads is laid over the intervals between them. Pure. Where the register is known at both ends the
// estimate is scaled to its difference ("Interval Adjustment From Scalar", Oracle MDM), so intervals always add up to the register.

/** A stretch between believed reads: times of the reads, and the energy between each two, NaN where the register cannot tell. */
export interface Stretch {
  /** End of the first interval. */
  firstEndMs: number
  /** Number of intervals. */
  n: number
  intervalMs: number
  /** Ascending. */
  t: readonly number[]
  /** Register units; one less than t. */
  d: readonly number[]
  /** Register units used in the first interval before t[0], and after the last interval until the last read. */
  carryIn: number
  carryOut: number
}

export interface Knowledge {
  /** Gaps up to this get a straight line. */
  linearUpToMs: number
  /** Longest time between two reads that still counts as no gap. */
  wholeMs: number
  /** Expected rate at an instant, register units per hour; NaN when unknown. */
  rate(ms: number): number
  /** Share of a piece of time in which the meter had supply, 0 to 1. */
  powered(fromMs: number, toMs: number): number
  /** Rates measured just before and after, units per hour, NaN when unknown. */
  before: number
  after: number
}

export const MISSING = 0
export const ACTUAL = 1
export const ESTIMATED = 2
/** No supply for the whole interval: zero, and known to be. */
export const OUTAGE = 3
export const LINEAR = 4
export const LIKE_DAY = 8

export interface Shape {
  /** Register units; NaN when missing. */
  values: Float64Array
  /** One of MISSING, ACTUAL, ESTIMATED, OUTAGE, with LINEAR or LIKE_DAY added. */
  kinds: Uint8Array
}

const HOUR_MS = 3_600_000

/** Lays the energy of a stretch over its intervals. */
export function shape(s: Stretch, k: Knowledge): Shape {
  const values = new Float64Array(s.n)
  const kinds = new Uint8Array(s.n)
  const covered = new Float64Array(s.n)
  const off = new Float64Array(s.n)
  kinds.fill(ACTUAL)
  if (s.n > 0) {
    values[0] = s.carryIn
    covered[0] = Math.max(0, (s.t[0] as number) - (s.firstEndMs - s.intervalMs))
  }
  for (let i = 0; i + 1 < s.t.length; i++) segment(s, k, i, { values, kinds, covered, off })
  for (let i = 0; i < s.n; i++) {
    // Open end: no read bounds the interval. A known outage makes it zero all the same.
    const startMs = s.firstEndMs + (i - 1) * s.intervalMs
    if ((covered[i] as number) < s.intervalMs - 0.5) {
      const dark = k.powered(Math.max(startMs, s.t[0] as number), startMs + s.intervalMs) === 0
      values[i] = dark ? (i === 0 ? s.carryIn : 0) : Number.NaN
      kinds[i] = dark ? ESTIMATED : MISSING
    } else if ((off[i] as number) >= s.intervalMs - 0.5 && kinds[i] !== ACTUAL) kinds[i] = OUTAGE
  }
  return { values, kinds }
}

interface Out extends Shape {
  covered: Float64Array
  off: Float64Array
}

/** Cuts one segment at the interval boundaries, weighs the pieces and gives each its share. */
function segment(s: Stretch, k: Knowledge, i: number, out: Out): void {
  const from = s.t[i] as number
  const to = s.t[i + 1] as number
  const known = !Number.isNaN(s.d[i] as number)
  const spanMs = to - from
  const whole = known && spanMs <= k.wholeMs
  const linear = spanMs <= k.linearUpToMs
  const lastEndMs = s.firstEndMs + (s.n - 1) * s.intervalMs
  const final = i + 2 === s.t.length && to > lastEndMs
  const endMs = final ? lastEndMs : to
  const index: number[] = []
  const weight: number[] = []
  const plain: number[] = []
  let dark = true
  for (let a = from; a < endMs; ) {
    const j = Math.max(0, Math.ceil((a + 1 - s.firstEndMs) / s.intervalMs))
    const b = Math.min(endMs, s.firstEndMs + j * s.intervalMs)
    const lit = k.powered(a, b)
    if (lit > 0) dark = false
    index.push(j)
    plain.push(b - a)
    weight.push(piece(k, linear, known, { from, to, a, b }) * lit)
    if (j < s.n) {
      out.covered[j] = (out.covered[j] as number) + (b - a)
      out.off[j] = (out.off[j] as number) + (b - a) * (1 - lit)
      if (!whole) out.kinds[j] = ESTIMATED | (linear ? LINEAR : LIKE_DAY)
    }
    a = b
  }
  const energy = known ? Math.max(0, (s.d[i] as number) - (final ? s.carryOut : 0)) : Number.NaN
  let total = weight.reduce((x, y) => x + y, 0)
  let used = weight
  if (known && !(total > 0)) {
    // No shape known, or all of it in the dark although the register moved: evenly.
    used = plain
    total = endMs - from
    if (energy > 0 && dark) for (const j of index) if (j < s.n) out.off[j] = 0
  }
  for (let p = 0; p < index.length; p++) {
    const j = index[p] as number
    const share = known ? (total > 0 ? (energy * (used[p] as number)) / total : 0) : Math.max(0, used[p] as number)
    if (j < s.n) out.values[j] = (out.values[j] as number) + share
  }
}

/** Weight of a piece: its duration for a straight line, else what the like-day shape expects; register units when nothing is known. */
function piece(k: Knowledge, linear: boolean, known: boolean, at: { from: number; to: number; a: number; b: number }): number {
  const ms = at.b - at.a
  const mid = (at.a + at.b) / 2
  if (linear && known) return ms
  if (linear && !(Number.isNaN(k.before) && Number.isNaN(k.after))) {
    const before = Number.isNaN(k.before) ? k.after : k.before
    const after = Number.isNaN(k.after) ? k.before : k.after
    return ((before + ((after - before) * (mid - at.from)) / (at.to - at.from)) * ms) / HOUR_MS
  }
  const rate = k.rate(mid)
  if (Number.isNaN(rate)) return known ? ms : ((Number.isNaN(k.before) ? 0 : k.before) * ms) / HOUR_MS
  return (rate * ms) / HOUR_MS
}
