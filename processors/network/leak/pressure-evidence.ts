// Pressure as evidence for a leak and for its place. What the district's flows leave unexplained at each sensor, after an onset against
// before it, is compared with what a leak at each representative place would do (a matched filter against the sensors' own noise).
import { median } from '../../statistics/robust.ts'

/** Five days of quarter hours. */
export const PRESSURE_RING = 480
/** Mean before the onset over this many bins: half a day. */
const BEFORE = 48
/** Lengths after the onset for which the noise of the difference is learnt, in bins. */
const AGES = [2, 4, 8, 16, 32]
/** A change shared by all sensors (a valve set anew, a tank) says nothing of a place, bar. */
const COMMON_BAR = 0.02
/** The model of the network is not the network: share of a modelled fall that may be wrong. */
const NOISE_FLOOR_BAR = 0.001
const CUT_SD = 5
/** Places within this distance are one place for a crew, m. */
const CREW_RADIUS_M = 250

export interface PressurePlaces {
  sensors: number
  pipes: string[]
  x: Float32Array
  y: Float32Array
  /** place * sensors + sensor, bar per m3/h. */
  fall: Float32Array
}

export interface Pressure {
  /** All sensors of the residuals, and which of them the places know. */
  sensors: string[]
  used: number[]
  places: PressurePlaces | undefined
  /** used sensor * PRESSURE_RING + bin % PRESSURE_RING, bar. */
  ring: Float32Array
  newest: number
  /** Covariance of (mean after - mean before) by AGES: age * n * n. */
  covariance: Float64Array
  /** Its inverse, and (fall, fall) of each place in it: age * places. */
  inverse: Float64Array
  den: Float64Array
}

export function createPressure(sensors: string[], used: number[]): Pressure {
  return {
    sensors,
    used,
    places: undefined,
    ring: new Float32Array(used.length * PRESSURE_RING).fill(Number.NaN),
    newest: -1,
    covariance: new Float64Array(0),
    inverse: new Float64Array(0),
    den: new Float64Array(0),
  }
}

export function putResiduals(p: Pressure, bin: number, residualMbar: readonly (number | null)[]): void {
  if (bin <= p.newest) return
  const from = p.newest < 0 ? bin : Math.max(p.newest + 1, bin - PRESSURE_RING + 1)
  for (let b = from; b <= bin; b++) for (let k = 0; k < p.used.length; k++) p.ring[k * PRESSURE_RING + (b % PRESSURE_RING)] = Number.NaN
  for (const [k, i] of p.used.entries()) {
    const v = residualMbar[i]
    p.ring[k * PRESSURE_RING + (bin % PRESSURE_RING)] = v === null || v === undefined ? Number.NaN : v / 1000
  }
  p.newest = bin
}

function meanOf(p: Pressure, k: number, from: number, to: number): number {
  let sum = 0
  let n = 0
  for (let b = Math.max(from, p.newest - PRESSURE_RING + 1); b < to; b++) {
    const v = p.ring[k * PRESSURE_RING + (b % PRESSURE_RING)] as number
    if (b > p.newest || Number.isNaN(v)) continue
    sum += v
    n += 1
  }
  return n * 3 < to - from ? Number.NaN : sum / n
}

/** Mean residual of each used sensor from `onset` up to `bin` minus that before, bar; NaN where unknown. */
function change(p: Pressure, onset: number, bin: number): Float64Array {
  const d = new Float64Array(p.used.length)
  for (let k = 0; k < d.length; k++) d[k] = meanOf(p, k, onset, bin + 1) - meanOf(p, k, onset - BEFORE, onset)
  return d
}

/** Learns the noise of such changes from the days in the ring. */
export function learnPressure(p: Pressure): void {
  const n = p.used.length
  if (n === 0 || p.newest < 0) return
  p.covariance = new Float64Array(AGES.length * n * n)
  for (const [a, age] of AGES.entries()) {
    const rows: Float64Array[] = []
    for (let b = p.newest - PRESSURE_RING + BEFORE + age; b <= p.newest; b += Math.max(2, age >> 2)) {
      const d = change(p, b - age + 1, b)
      if (d.every((x) => Number.isFinite(x))) rows.push(d)
    }
    if (rows.length < 8) {
      p.covariance = new Float64Array(0)
      return
    }
    const limit = Array.from({ length: n }, (_, k) => CUT_SD * 1.4826 * median(rows.map((r) => Math.abs(r[k] as number))) + NOISE_FLOOR_BAR)
    for (const r of rows) {
      for (let k = 0; k < n; k++) r[k] = Math.max(-(limit[k] as number), Math.min(limit[k] as number, r[k] as number))
    }
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0
        for (const r of rows) sum += (r[i] as number) * (r[j] as number)
        // Few rows and many sensors: part of what they share is chance (Ledoit and Wolf's shrinkage, with a plain weight).
        const keep = i === j ? 1 : rows.length / (rows.length + n)
        p.covariance[(a * n + i) * n + j] = (sum / rows.length) * keep + (i === j ? NOISE_FLOOR_BAR ** 2 : 0) + COMMON_BAR ** 2
      }
    }
  }
}

/** Inverts what was learnt, once for all bins in which every sensor speaks; needed anew when the places change. */
export function preparePressure(p: Pressure): void {
  const n = p.used.length
  const { places } = p
  p.inverse = new Float64Array(0)
  if (places === undefined || p.covariance.length === 0) return
  const m = places.pipes.length
  const inverse = new Float64Array(AGES.length * n * n)
  const den = new Float64Array(AGES.length * m)
  const all = Array.from({ length: n }, (_, k) => k)
  for (let a = 0; a < AGES.length; a++) {
    const inv = inverseOf(p, a, all)
    if (inv === undefined) return
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) inverse[(a * n + i) * n + j] = inv[i]?.[j] as number
    for (let q = 0; q < m; q++) den[a * m + q] = quadratic(places, n, q, all, inv)
  }
  p.inverse = inverse
  p.den = den
}

function inverseOf(p: Pressure, a: number, seen: readonly number[]): number[][] | undefined {
  const n = p.used.length
  return invert(seen.map((i) => seen.map((j) => p.covariance[(a * n + i) * n + j] as number)))
}

function quadratic(places: PressurePlaces, n: number, q: number, seen: readonly number[], inverse: readonly (readonly number[])[]): number {
  let sum = 0
  for (const [i, k] of seen.entries()) {
    let dot = 0
    for (const [j, l] of seen.entries()) dot += (inverse[i]?.[j] as number) * (places.fall[q * n + l] as number)
    sum += dot * (places.fall[q * n + k] as number)
  }
  return sum
}

export interface Matched {
  /** Per place, for a leak in m3/h: sum of (fall, change) and of (fall, fall), in units of noise. */
  num: Float64Array
  den: Float64Array
  /** Share of `num` that comes from its strongest sensor. */
  single: Float64Array
}

/** Compares the change since an onset with every place; undefined when pressure cannot tell. */
export function match(p: Pressure, onset: number, bin: number): Matched | undefined {
  const n = p.used.length
  const { places } = p
  if (places === undefined || p.covariance.length === 0 || bin > p.newest) return undefined
  const length = bin - onset + 1
  const a = AGES.reduce((best, age, i) => (age <= length ? i : best), -1)
  if (a < 0) return undefined
  const d = change(p, onset, bin)
  const seen: number[] = []
  for (let k = 0; k < n; k++) if (Number.isFinite(d[k])) seen.push(k)
  if (seen.length === 0) return undefined
  const whole = seen.length === n && p.inverse.length > 0
  const inverse = whole ? undefined : inverseOf(p, a, seen)
  if (!whole && inverse === undefined) return undefined
  const cut = seen.map((k) => {
    const limit = CUT_SD * Math.sqrt(p.covariance[(a * n + k) * n + k] as number)
    return Math.max(-limit, Math.min(limit, d[k] as number))
  })
  const weighed = seen.map((k, i) => {
    let sum = 0
    for (let j = 0; j < seen.length; j++)
      sum += (whole ? (p.inverse[(a * n + k) * n + j] as number) : (inverse?.[i]?.[j] as number)) * (cut[j] as number)
    return sum
  })
  const m = places.pipes.length
  const out: Matched = { num: new Float64Array(m), den: new Float64Array(m), single: new Float64Array(m) }
  for (let q = 0; q < m; q++) {
    // A leak lowers pressure: the change is minus the fall.
    let top = 0
    let sum = 0
    for (const [i, k] of seen.entries()) {
      const part = -(places.fall[q * n + k] as number) * (weighed[i] as number)
      sum += part
      if (part > top) top = part
    }
    out.num[q] = sum
    out.den[q] = whole ? (p.den[a * m + q] as number) : quadratic(places, n, q, seen, inverse as number[][])
    out.single[q] = sum > 0 ? top / sum : 1
  }
  return out
}

/** A place seen by one sensor alone counts no more than flow: that sensor may be broken. */
const SINGLE_MAX = 0.8
/** Sizes by flow and by pressure may differ by this many standard deviations. */
const AGREE_SD = 3

/**
 * Flow and pressure together: the largest z of a leak at any place, given what flow alone adds up to (`num`, `den`, for a leak in m3/h).
 * Undefined when pressure cannot tell.
 */
export function jointStep(
  p: Pressure,
  onset: number,
  bin: number,
  flow: { num: number; den: number },
): { z: number; sizeM3h: number; sdM3h: number } | undefined {
  const found = match(p, onset, bin)
  if (found === undefined) return undefined
  let best: { z: number; sizeM3h: number; sdM3h: number } | undefined
  for (let q = 0; q < found.num.length; q++) {
    if (p.used.length > 2 && (found.single[q] as number) > SINGLE_MAX) continue
    const own = found.den[q] as number
    if (own <= 0) continue
    // Both must speak of the same size.
    const gap = flow.num / flow.den - (found.num[q] as number) / own
    if (gap * gap > AGREE_SD ** 2 * (1 / flow.den + 1 / own)) continue
    const num = flow.num + (found.num[q] as number)
    const den = flow.den + own
    const z = num / Math.sqrt(den)
    if (z > (best?.z ?? 0)) best = { z, sizeM3h: num / den, sdM3h: 1 / Math.sqrt(den) }
  }
  return best
}

/** Inverse by Gauss and Jordan; undefined when singular. */
function invert(a: number[][]): number[][] | undefined {
  const n = a.length
  const m = a.map((row, i) => [...row, ...Array.from({ length: n }, (_, j) => (i === j ? 1 : 0))])
  for (let k = 0; k < n; k++) {
    let best = k
    for (let i = k + 1; i < n; i++) if (Math.abs(m[i]?.[k] as number) > Math.abs(m[best]?.[k] as number)) best = i
    ;[m[k], m[best]] = [m[best] as number[], m[k] as number[]]
    const row = m[k] as number[]
    const pivot = row[k] as number
    if (Math.abs(pivot) < 1e-18) return undefined
    for (let j = 0; j < 2 * n; j++) row[j] = (row[j] as number) / pivot
    for (let i = 0; i < n; i++) {
      if (i === k) continue
      const other = m[i] as number[]
      const f = other[k] as number
      if (f !== 0) for (let j = 0; j < 2 * n; j++) other[j] = (other[j] as number) - f * (row[j] as number)
    }
  }
  return m.map((row) => row.slice(n))
}

export interface Located {
  id: string
  type: 'pipe'
  /** Probability that the leak is within the radius and near no candidate before. */
  score: number
}

/**
 * Candidate pipes for a leak of about `sizeM3h`: first the one with most probability within a crew's radius, then the best of what that
 * leaves. Undefined when nothing is known of the network.
 */
export function locate(p: Pressure, onset: number, bin: number, sizeM3h: number, sdM3h: number): Located[] | undefined {
  const { places } = p
  if (places === undefined || places.pipes.length === 0) return undefined
  const m = places.pipes.length
  // Where pressure cannot tell, all places are alike, and the first candidate is where a crew covers most of the district.
  const found = match(p, onset, bin) ?? { num: new Float64Array(m), den: new Float64Array(m) }
  const s2 = Math.max(sdM3h, 0.3 * sizeM3h) ** 2
  // Size has a prior from the flow; it is integrated out.
  const log = Array.from({ length: m }, (_, q) => {
    const num = (found.num[q] as number) + sizeM3h / s2
    const den = (found.den[q] as number) + 1 / s2
    return (num * num) / (2 * den) - 0.5 * Math.log(den)
  })
  const top = Math.max(...log)
  const weight = log.map((l) => Math.exp(l - top))
  const total = weight.reduce((a, b) => a + b, 0)
  const left = weight.map((w) => w / total)
  const out: Located[] = []
  for (let c = 0; c < Math.min(5, m); c++) {
    let best = -1
    let mass = -1
    for (let q = 0; q < m; q++) {
      const v = massNear(places, left, q)
      if (v > mass) {
        mass = v
        best = q
      }
    }
    if (mass <= 1e-4 && c > 0) break
    out.push({ id: places.pipes[best] as string, type: 'pipe', score: Number(mass.toFixed(3)) })
    for (let q = 0; q < m; q++) if (near(places, best, q)) left[q] = 0
  }
  return out
}

function near(p: PressurePlaces, a: number, b: number): boolean {
  return Math.hypot((p.x[a] as number) - (p.x[b] as number), (p.y[a] as number) - (p.y[b] as number)) <= CREW_RADIUS_M
}

function massNear(p: PressurePlaces, left: readonly number[], q: number): number {
  let v = 0
  for (let r = 0; r < left.length; r++) if (near(p, q, r)) v += left[r] as number
  return v
}
