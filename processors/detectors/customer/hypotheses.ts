// Leaks that might run behind a meter, each weighed hour by hour against the customer's habit: a cumulative sum of log-likelihood ratios
// (Page 1954; Lorden 1971 for one sum per hypothesis) over amounts on a grid.
// Of an amount q: every hour holds at least q litres, the leak takes q to 2q, the customer's use comes on top.
import { PULSE_VARIANCE, type PulseDemand, pulseCdf, setPulseDemand } from '../../statistics/pulse-demand.ts'

const LOWEST_LPH = 3
export const HYPOTHESES = 17
/** Amounts of the grid, litres an hour, a factor of the square root of two apart: twice an amount is two further. */
const AMOUNTS = Float64Array.from({ length: HYPOTHESES + 2 }, (_, j) => LOWEST_LPH * 2 ** (j / 2))

/** Share of hours in which a steady leak fails to show: a valve shut for a while, a register that stands. */
const FAILS = 0.03
/** Share of hours that follow no habit: any amount, evenly by its logarithm. Keeps one strange hour from deciding. */
const STRANGE = 0.02
const STRANGE_DECADES = Math.log(300)
/** What one hour may say at most. */
const HOUR_MAX = 3.5
/** Leaks below so many times the day-to-day wander drown in it. */
const DROWNED = 2

export const lowestLph = (j: number): number => AMOUNTS[j] as number

const demand: PulseDemand = { offset: 0, perLitre: 1 }
const below = new Float64Array(HYPOTHESES + 2)
/** Log-likelihood ratio of the last weighed hour for every hypothesis; read by the caller at once. */
export const ratios = new Float64Array(HYPOTHESES)

/** Fills `ratios` for an hour with `litres` where `mean` were expected, in draws of `draw` litres; `wander`: of the mean from day to day, a share. */
export function weigh(litres: number, mean: number, draw: number, wander: number): void {
  setPulseDemand(demand, mean, draw + (wander * wander * mean) / PULSE_VARIANCE)
  const strange = STRANGE / (STRANGE_DECADES * (litres + 10))
  const usual = (1 - STRANGE) * (pulseCdf(demand, litres + 0.5) - pulseCdf(demand, litres - 0.5)) + strange
  for (let j = 0; j < HYPOTHESES + 2; j++) below[j] = pulseCdf(demand, litres - (AMOUNTS[j] as number) + 0.5)
  for (let j = 0; j < HYPOTHESES; j++) {
    const q = AMOUNTS[j] as number
    const leaking = (1 - STRANGE) * Math.max(0, ((below[j] as number) - (below[j + 2] as number)) / (q + 1)) + (litres >= q ? strange : 0)
    const ratio = leaking / usual
    const runs = Math.log(FAILS + (1 - FAILS) * ratio)
    // An hour below the amount speaks against it however much is used otherwise; one above only where the leak would stand out.
    ratios[j] = litres >= q && q < DROWNED * wander * mean ? 0 : Math.min(HOUR_MAX, runs)
  }
}
