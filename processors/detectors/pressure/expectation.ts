// What a pressure sensor should read given the flows at its district's boundary: head loss grows with flow to the power 1.852, so the
// regressors are the flows and their losses. Normal equations with forgetting; days enter a day late, so that a leak of today is not
// yet learnt. What is left over is where pressure gives way more than demand explains.

/** Power of flow in a head loss (Hazen-Williams). */
const LOSS_POWER = 1.852
/** Beyond this many boundary meters only the net inflow is used. */
const METERS_MAX = 6
/** Ridge, in squared standardised units per observation: keeps meters that never move from getting wild weights. */
const RIDGE = 1e-4
/** Two weeks. */
const KEEP_PER_DAY = 1 - 1 / 14
const OBSERVATIONS_MIN = 192

export interface Expectation {
  features: number
  sensors: number
  /** Flow by which each feature is scaled, m3/h. */
  scale: number
  /** sensor * features * (features + 1): normal matrix and right-hand side side by side. */
  sums: Float64Array
  today: Float64Array
  /** Observations behind each sensor. */
  count: Float64Array
  countToday: Float64Array
  coefficients: Float64Array
  ready: Uint8Array
}

export function featureCount(meters: number): number {
  return meters === 0 ? 1 : 3 + (meters > 1 && meters <= METERS_MAX ? 2 * meters : 0)
}

export function createExpectation(sensors: number, meters: number): Expectation {
  const f = featureCount(meters)
  return {
    features: f,
    sensors,
    scale: 0,
    sums: new Float64Array(sensors * f * (f + 1)),
    today: new Float64Array(sensors * f * (f + 1)),
    count: new Float64Array(sensors),
    countToday: new Float64Array(sensors),
    coefficients: new Float64Array(sensors * f),
    ready: new Uint8Array(sensors),
  }
}

function loss(q: number): number {
  return Math.sign(q) * Math.abs(q) ** LOSS_POWER
}

/** Regressors of one moment; undefined when a flow is missing. `flows` into or out of the district as measured, `net` their signed sum. */
export function regressors(e: Expectation, flows: readonly number[], net: number): Float64Array | undefined {
  if (flows.some((q) => Number.isNaN(q)) || Number.isNaN(net)) return flows.length === 0 ? Float64Array.of(1) : undefined
  if (e.scale === 0) e.scale = Math.max(1, ...flows.map(Math.abs))
  const x = new Float64Array(e.features)
  x[0] = 1
  if (flows.length === 0) return x
  x[1] = net / e.scale
  x[2] = loss(net / e.scale)
  if (e.features > 3) {
    for (const [i, q] of flows.entries()) {
      x[3 + 2 * i] = q / e.scale
      x[4 + 2 * i] = loss(q / e.scale)
    }
  }
  return x
}

export function expected(e: Expectation, sensor: number, x: Float64Array): number {
  if (e.ready[sensor] === 0) return Number.NaN
  let v = 0
  for (let i = 0; i < e.features; i++) v += (x[i] as number) * (e.coefficients[sensor * e.features + i] as number)
  return v
}

export function observe(e: Expectation, sensor: number, x: Float64Array, value: number): void {
  const f = e.features
  let at = sensor * f * (f + 1)
  for (let i = 0; i < f; i++) {
    const xi = x[i] as number
    for (let j = 0; j < f; j++) e.today[at + j] = (e.today[at + j] as number) + xi * (x[j] as number)
    e.today[at + f] = (e.today[at + f] as number) + xi * value
    at += f + 1
  }
  e.countToday[sensor] = (e.countToday[sensor] as number) + 1
}

/** End of a day: solves with what was known, then takes the day in. `first`: the day counts at once. */
export function closeDay(e: Expectation, first: boolean): void {
  if (!first) solveAll(e)
  for (let i = 0; i < e.sums.length; i++) e.sums[i] = (e.sums[i] as number) * KEEP_PER_DAY + (e.today[i] as number)
  for (let s = 0; s < e.sensors; s++) e.count[s] = (e.count[s] as number) * KEEP_PER_DAY + (e.countToday[s] as number)
  e.today.fill(0)
  e.countToday.fill(0)
  if (first) solveAll(e)
}

function solveAll(e: Expectation): void {
  const f = e.features
  for (let s = 0; s < e.sensors; s++) {
    const n = e.count[s] as number
    if (n < OBSERVATIONS_MIN) continue
    const a: number[][] = []
    for (let i = 0; i < f; i++) {
      const at = s * f * (f + 1) + i * (f + 1)
      const row = Array.from(e.sums.subarray(at, at + f + 1))
      if (i > 0) row[i] = (row[i] as number) + RIDGE * n
      a.push(row)
    }
    const x = eliminate(a)
    if (x === undefined) continue
    e.coefficients.set(x, s * f)
    e.ready[s] = 1
  }
}

/** Gauss with pivots on an augmented matrix; undefined when it is singular. */
function eliminate(a: number[][]): number[] | undefined {
  const n = a.length
  for (let k = 0; k < n; k++) {
    let best = k
    for (let i = k + 1; i < n; i++) if (Math.abs(a[i]?.[k] as number) > Math.abs(a[best]?.[k] as number)) best = i
    ;[a[k], a[best]] = [a[best] as number[], a[k] as number[]]
    const pivot = a[k] as number[]
    if (Math.abs(pivot[k] as number) < 1e-12) return undefined
    for (let i = k + 1; i < n; i++) {
      const row = a[i] as number[]
      const m = (row[k] as number) / (pivot[k] as number)
      for (let j = k; j <= n; j++) row[j] = (row[j] as number) - m * (pivot[j] as number)
    }
  }
  const x = new Array<number>(n).fill(0)
  for (let k = n - 1; k >= 0; k--) {
    const row = a[k] as number[]
    let v = row[n] as number
    for (let j = k + 1; j < n; j++) v -= (row[j] as number) * (x[j] as number)
    x[k] = v / (row[k] as number)
  }
  return x
}
