// Water of one customer in an hour as a compound Poisson sum: draws come at random, each takes an exponential amount.
// Buchberger and Wu, "Model for instantaneous residential water demands", J. Hydraul. Eng. 121 (1995): Poisson pulses with a rate by hour of day.
//
// The distribution is tabulated once over the expected number of draws (72 rows, 12 % apart) and over the amount, because a detector asks for
// it 20 times per reading.

const ROWS = 72
const RATIO = 1.12
const DRAWS_MIN = 0.01
const POINTS = 256
/** Variance of the sum over its mean and mean draw: 1 + 1/shape, the shape of exponential amounts being 1. */
export const PULSE_VARIANCE = 2

const LOG_RATIO = Math.log(RATIO)
const rowDraws = new Float64Array(ROWS)
/** Points per mean draw of a row. */
const rowScale = new Float64Array(ROWS)
const table = new Float32Array(ROWS * POINTS)

/** P(sum of Poisson(draws) exponential amounts of mean 1 <= x): P(Poisson(draws) = n) times P(Poisson(x) >= n), summed over n. */
function exact(draws: number, x: number): number {
  let pn = Math.exp(-draws)
  let px = Math.exp(-x)
  let below = 0
  let sum = 0
  const last = Math.ceil(draws + 8 * Math.sqrt(draws) + 10)
  for (let n = 0; n <= last; n++) {
    sum += pn * (1 - below)
    below += px
    pn *= draws / (n + 1)
    px *= x / (n + 1)
  }
  return Math.min(1, sum)
}

for (let r = 0; r < ROWS; r++) {
  const draws = DRAWS_MIN * RATIO ** r
  rowDraws[r] = draws
  const widest = draws + 8 * Math.sqrt(PULSE_VARIANCE * draws) + 12
  rowScale[r] = (POINTS - 1) / widest
  for (let i = 0; i < POINTS; i++) table[r * POINTS + i] = exact(draws, (i * widest) / (POINTS - 1))
}

/** A distribution to look values up in; reused, so that no garbage is made per reading. */
export interface PulseDemand {
  offset: number
  /** Points of the table per litre. */
  perLitre: number
}

/** Chooses the distribution with this mean (litres in the hour) and mean draw (litres). */
export function setPulseDemand(d: PulseDemand, mean: number, draw: number): void {
  const draws = mean / draw
  const r = draws <= DRAWS_MIN ? 0 : Math.min(ROWS - 1, Math.round(Math.log(draws / DRAWS_MIN) / LOG_RATIO))
  d.offset = r * POINTS
  // The mean stays exact: the draw gives way to the row. More draws than the last row has become fewer, larger ones, so wider tails.
  d.perLitre = ((rowScale[r] as number) * (rowDraws[r] as number)) / Math.max(mean, 1e-6)
}

/** P(amount <= litres); 0 below zero. */
export function pulseCdf(d: PulseDemand, litres: number): number {
  if (litres < 0) return 0
  const x = litres * d.perLitre
  const i = Math.floor(x)
  if (i >= POINTS - 1) return 1
  const a = table[d.offset + i] as number
  return a + ((table[d.offset + i + 1] as number) - a) * (x - i)
}
