// Was there a step, when, and how large: a generalised likelihood ratio test of many onsets at once, in noise that wanders.
//
// Willsky and Jones, "A generalized likelihood ratio approach to the detection and estimation of jumps in linear systems", IEEE TAC 21
// (1976): a Kalman filter whitens the residual, and each candidate onset carries the response of that same filter to a unit step.
// The wander is demand's own, proportional to demand: a level (weeks), a day's mood and an hour's mood. A leak is constant. So demand
// that grows by a tenth is told from a leak as far as the data allow.

/** Standard deviations are shares of the typical demand. */
export interface WanderModel {
  /** Time between two observations. */
  stepH: number
  /** Long-lived relative error of the baseline, and how fast it moves. */
  levelSd: number
  levelDriftSdPerDay: number
  daySd: number
  dayTauH: number
  hourSd: number
  hourTauH: number
  /** How fast a leak that is already known may grow or shrink, as a share of the typical demand. */
  knownDriftSdPerDay: number
}

/** Of one observation. */
export interface Observation {
  bin: number
  /** Observed minus expected, as a share of the typical demand; NaN when missing. */
  residual: number
  /** Expected demand over the typical one: what wander is proportional to. */
  scale: number
  /** Variance of the noise of this observation alone. */
  variance: number
  /** Factors on the hour's and the day's mood where the baseline itself is uncertain; 1 or more. */
  unsure: number
  shared: number
}

const STATES = 4
const KNOWN = 3

/** Innovations are cut at this many standard deviations: one wild bin must not decide, and on clean data 4 cuts nothing. */
const CLIP_SD = 4
const CLIP_SD_REPEATED = 12

/** At most this many onsets are tested at a time. */
export const ONSETS_MAX = 256

export interface StepFilter {
  /** Level, day, hour, known leak. */
  x: Float64Array
  /** Their covariance, row by row. */
  p: Float64Array
  /** A known leak is being followed. */
  following: boolean
  count: number
  /** Candidate onsets, ascending bins. */
  onset: Float64Array
  /** The filter's state when fed the unit step alone, four numbers an onset. */
  response: Float64Array
  num: Float64Array
  den: Float64Array
  /** Side on which the last innovation was cut: 1, -1, 0. */
  wild: number
  /** Running mean of the squared standardised innovation: 1 when the model fits. */
  misfit: number
}

export function createStepFilter(m: WanderModel): StepFilter {
  const p = new Float64Array(STATES * STATES)
  p[0] = m.levelSd ** 2
  p[5] = m.daySd ** 2
  p[10] = m.hourSd ** 2
  return {
    x: new Float64Array(STATES),
    p,
    following: false,
    count: 0,
    onset: new Float64Array(ONSETS_MAX),
    response: new Float64Array(ONSETS_MAX * STATES),
    num: new Float64Array(ONSETS_MAX),
    den: new Float64Array(ONSETS_MAX),
    wild: 0,
    misfit: 1,
  }
}

/** From here on a leak is part of the model: its size is followed, so that a second one, or its end, shows. */
export function followKnown(f: StepFilter, size: number, sd: number): void {
  f.following = true
  f.x[KNOWN] = size
  for (let i = 0; i < STATES; i++) {
    f.p[KNOWN * STATES + i] = 0
    f.p[i * STATES + KNOWN] = 0
  }
  f.p[KNOWN * STATES + KNOWN] = sd * sd
}

/** The known leak is gone. */
export function forgetKnown(f: StepFilter): void {
  followKnown(f, 0, 0)
  f.following = false
}

export function knownLeak(f: StepFilter): { size: number; sd: number } {
  return { size: f.x[KNOWN] as number, sd: Math.sqrt(f.p[KNOWN * STATES + KNOWN] as number) }
}

function predict(f: StepFilter, m: WanderModel, o: Observation): void {
  const { x, p } = f
  const day = Math.exp(-m.stepH / m.dayTauH)
  const hour = Math.exp(-m.stepH / m.hourTauH)
  x[1] = (x[1] as number) * day
  x[2] = (x[2] as number) * hour
  const phi = [1, day, hour, 1]
  for (let i = 0; i < STATES; i++)
    for (let j = 0; j < STATES; j++) p[i * STATES + j] = (p[i * STATES + j] as number) * (phi[i] as number) * (phi[j] as number)
  const stepDays = m.stepH / 24
  p[0] = (p[0] as number) + m.levelDriftSdPerDay ** 2 * stepDays
  p[5] = (p[5] as number) + (1 - day * day) * (m.daySd * o.shared) ** 2
  p[10] = (p[10] as number) + (1 - hour * hour) * (m.hourSd * o.unsure) ** 2
  if (f.following) p[15] = (p[15] as number) + m.knownDriftSdPerDay ** 2 * stepDays
}

interface Whitened {
  innovation: number
  variance: number
}

const gain = new Float64Array(STATES)

/** One step of the filter; the gain times the variance is left in `gain`. Undefined when nothing was observed. */
function whiten(f: StepFilter, m: WanderModel, o: Observation): Whitened | undefined {
  predict(f, m, o)
  if (!Number.isFinite(o.residual)) return undefined
  const { x, p } = f
  const s = o.scale
  const k = f.following ? 1 : 0
  for (let i = 0; i < STATES; i++) {
    const row = i * STATES
    gain[i] = ((p[row] as number) + (p[row + 1] as number) + (p[row + 2] as number)) * s + (p[row + 3] as number) * k
  }
  const variance = o.variance + ((gain[0] as number) + (gain[1] as number) + (gain[2] as number)) * s + (gain[3] as number) * k
  const sd = Math.sqrt(variance)
  const raw = o.residual - (((x[0] as number) + (x[1] as number) + (x[2] as number)) * s + (x[3] as number) * k)
  // A wild bin is cut; a second one on the same side is no accident.
  const side = raw > CLIP_SD * sd ? 1 : raw < -CLIP_SD * sd ? -1 : 0
  const limit = side !== 0 && side === f.wild ? CLIP_SD_REPEATED * sd : CLIP_SD * sd
  f.wild = side
  const innovation = Math.max(-limit, Math.min(limit, raw))
  f.misfit += (Math.min(CLIP_SD ** 2, (raw * raw) / variance) - f.misfit) * 0.005
  for (let i = 0; i < STATES; i++) {
    const gi = gain[i] as number
    x[i] = (x[i] as number) + (gi / variance) * innovation
    for (let j = 0; j < STATES; j++) p[i * STATES + j] = (p[i * STATES + j] as number) - (gi * (gain[j] as number)) / variance
  }
  return { innovation, variance }
}

/** Takes in the next observation; `test`: its bin becomes a candidate onset. */
export function advance(f: StepFilter, m: WanderModel, o: Observation, test: boolean): void {
  const { response } = f
  if (test) addOnset(f, o.bin)
  const w = whiten(f, m, o)
  const day = Math.exp(-m.stepH / m.dayTauH)
  const hour = Math.exp(-m.stepH / m.hourTauH)
  if (w === undefined) {
    for (let c = 0; c < f.count; c++) {
      response[c * 4 + 1] = (response[c * 4 + 1] as number) * day
      response[c * 4 + 2] = (response[c * 4 + 2] as number) * hour
    }
    return
  }
  const { innovation, variance } = w
  const s = o.scale
  const k = f.following ? 1 : 0
  const g0 = (gain[0] as number) / variance
  const g1 = (gain[1] as number) / variance
  const g2 = (gain[2] as number) / variance
  const g3 = (gain[3] as number) / variance
  for (let c = 0; c < f.count; c++) {
    const at = c * 4
    const y0 = response[at] as number
    const y1 = (response[at + 1] as number) * day
    const y2 = (response[at + 2] as number) * hour
    const y3 = response[at + 3] as number
    const unseen = 1 - (y0 + y1 + y2) * s - y3 * k
    f.num[c] = (f.num[c] as number) + (innovation * unseen) / variance
    f.den[c] = (f.den[c] as number) + (unseen * unseen) / variance
    response[at] = y0 + g0 * unseen
    response[at + 1] = y1 + g1 * unseen
    response[at + 2] = y2 + g2 * unseen
    response[at + 3] = y3 + g3 * unseen
  }
}

function addOnset(f: StepFilter, bin: number): void {
  if (f.count === ONSETS_MAX) dropOnsets(f, (_, i) => i !== 0)
  const c = f.count++
  f.onset[c] = bin
  f.response.fill(0, c * 4, c * 4 + 4)
  f.num[c] = 0
  f.den[c] = 0
}

/** Keeps the onsets for which `keep` holds. */
export function dropOnsets(f: StepFilter, keep: (bin: number, index: number) => boolean): void {
  let n = 0
  for (let c = 0; c < f.count; c++) {
    if (!keep(f.onset[c] as number, c)) continue
    if (n !== c) {
      f.onset[n] = f.onset[c] as number
      f.num[n] = f.num[c] as number
      f.den[n] = f.den[c] as number
      for (let i = 0; i < 4; i++) f.response[n * 4 + i] = f.response[c * 4 + i] as number
    }
    n += 1
  }
  f.count = n
}

export interface StepFound {
  onset: number
  /** Other evidence is in it. */
  joint?: boolean
  /** Standard deviations; the log-likelihood ratio is z^2/2. */
  z: number
  /** Size of the step as a share of the typical demand. */
  size: number
  sd: number
}

/** The onset that stands out most from its threshold, upwards; undefined when none exceeds it. `zOf` gives the threshold by age in bins; onsets older than `ageMax` do not count. */
export function strongestStep(f: StepFilter, bin: number, zOf: (ageBins: number) => number, ageMax: number): StepFound | undefined {
  let best: StepFound | undefined
  let excess = 0
  for (let c = 0; c < f.count; c++) {
    const den = f.den[c] as number
    const age = bin - (f.onset[c] as number) + 1
    if (den <= 0 || age > ageMax) continue
    const z = (f.num[c] as number) / Math.sqrt(den)
    const over = z - zOf(age)
    if (over <= excess) continue
    excess = over
    best = { onset: f.onset[c] as number, z, size: (f.num[c] as number) / den, sd: 1 / Math.sqrt(den) }
  }
  return best
}

/** The strongest step downwards; undefined without one. */
export function strongestFall(f: StepFilter): StepFound | undefined {
  let best: StepFound | undefined
  for (let c = 0; c < f.count; c++) {
    const den = f.den[c] as number
    const z = zOf(f.num[c] as number, den)
    if (z < (best?.z ?? 0)) best = { onset: f.onset[c] as number, z, size: (f.num[c] as number) / den, sd: 1 / Math.sqrt(den) }
  }
  return best
}

/** An explanation of the residuals with one unknown size. */
export interface Explanation {
  /** Standard deviations; z^2/2 is the log-likelihood ratio against nothing at all. */
  z: number
  size: number
  sd: number
  /** z of the first shape when this one is allowed beside it: what of the first remains. For the first itself its own z. */
  beside: number
  /** Its size then. */
  besideSize: number
}

/**
 * Weighs whole explanations, each a time course `shapes[k](bin)` of unknown size, by the same whitening filter. Observations must be in
 * order and one step apart; `start` is the filter before the first of them and stays as it is.
 */
export function explain(
  start: StepFilter,
  m: WanderModel,
  observations: readonly Observation[],
  shapes: readonly ((bin: number) => number)[],
): Explanation[] {
  const f: StepFilter = { ...start, x: start.x.slice(), p: start.p.slice(), count: 0 }
  const n = shapes.length
  const y = new Float64Array(n * 4)
  const num = new Float64Array(n)
  const den = new Float64Array(n)
  const cross = new Float64Array(n)
  const day = Math.exp(-m.stepH / m.dayTauH)
  const hour = Math.exp(-m.stepH / m.hourTauH)
  for (const o of observations) {
    const w = whiten(f, m, o)
    let first = 0
    for (let c = 0; c < n; c++) {
      const at = c * 4
      const y0 = y[at] as number
      const y1 = (y[at + 1] as number) * day
      const y2 = (y[at + 2] as number) * hour
      const y3 = y[at + 3] as number
      if (w === undefined) {
        y[at + 1] = y1
        y[at + 2] = y2
        continue
      }
      const u = (shapes[c] as (bin: number) => number)(o.bin) - (y0 + y1 + y2) * o.scale - (f.following ? y3 : 0)
      if (c === 0) first = u
      num[c] = (num[c] as number) + (w.innovation * u) / w.variance
      den[c] = (den[c] as number) + (u * u) / w.variance
      cross[c] = (cross[c] as number) + (u * first) / w.variance
      for (let i = 0; i < 4; i++) y[at + i] = ([y0, y1, y2, y3][i] as number) + ((gain[i] as number) / w.variance) * u
    }
  }
  const z0 = zOf(num[0] as number, den[0] as number)
  const size0 = z0 === 0 ? 0 : (num[0] as number) / (den[0] as number)
  return shapes.map((_, c) => {
    const d = den[c] as number
    if (!(d > 0)) return { z: 0, size: 0, sd: Number.POSITIVE_INFINITY, beside: z0, besideSize: size0 }
    const own = { z: (num[c] as number) / Math.sqrt(d), size: (num[c] as number) / d, sd: 1 / Math.sqrt(d) }
    if (c === 0) return { ...own, beside: z0, besideSize: size0 }
    const r = (cross[c] as number) / d
    const left = (den[0] as number) - r * (cross[c] as number)
    if (left <= 1e-9 * (den[0] as number)) return { ...own, beside: 0, besideSize: 0 }
    const rest = (num[0] as number) - r * (num[c] as number)
    return { ...own, beside: rest / Math.sqrt(left), besideSize: rest / left }
  })
}

function zOf(num: number, den: number): number {
  return den > 0 ? num / Math.sqrt(den) : 0
}
