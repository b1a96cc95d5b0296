// Location and spread that a few wrong values do not move. Huber, "Robust Statistics" (1981); Rousseeuw and Croux, JASA 88 (1993).

/** Makes the median absolute deviation of a normal sample estimate its standard deviation. */
export const MAD_TO_SD = 1.4826

/** Median of the finite values; NaN of none. The list is not changed. */
export function median(values: ArrayLike<number>): number {
  return quantile(values, 0.5)
}

/** Quantile `p` (0 to 1) of the finite values, linear between neighbours; NaN of none. The list is not changed. */
export function quantile(values: ArrayLike<number>, p: number): number {
  const finite: number[] = []
  for (let i = 0; i < values.length; i++) {
    const v = values[i] as number
    if (Number.isFinite(v)) finite.push(v)
  }
  if (finite.length === 0) return Number.NaN
  finite.sort((a, b) => a - b)
  const at = p * (finite.length - 1)
  const low = Math.floor(at)
  const a = finite[low] as number
  const b = finite[Math.min(low + 1, finite.length - 1)] as number
  return a + (b - a) * (at - low)
}

/** Robust standard deviation about the median; NaN of none. */
export function madSd(values: ArrayLike<number>): number {
  const m = median(values)
  const away: number[] = []
  for (let i = 0; i < values.length; i++) away.push(Math.abs((values[i] as number) - m))
  return MAD_TO_SD * median(away)
}

/** Mean of the middle: the share `trim` (0 to 0.5) is cut at each end; NaN of none. */
export function trimmedMean(values: ArrayLike<number>, trim: number): number {
  const finite: number[] = []
  for (let i = 0; i < values.length; i++) {
    const v = values[i] as number
    if (Number.isFinite(v)) finite.push(v)
  }
  if (finite.length === 0) return Number.NaN
  finite.sort((a, b) => a - b)
  const cut = Math.min(Math.floor(finite.length * trim), Math.floor((finite.length - 1) / 2))
  let sum = 0
  for (let i = cut; i < finite.length - cut; i++) sum += finite[i] as number
  return sum / (finite.length - 2 * cut)
}

/**
 * Upper tail of the standard normal inverted: the z that is exceeded with probability `p` (0 < p < 1).
 * Acklam's rational approximation, absolute error below 5e-9 after its one Newton-free form; enough for thresholds.
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) throw new RangeError(`a probability between 0 and 1 is needed, got ${p}`)
  if (p > 0.5) return -normalQuantile(1 - p)
  const a = [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239]
  const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572]
  const c = [-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783]
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416]
  const poly = (k: readonly number[], x: number) => k.reduce((sum, v) => sum * x + v, 0)
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p))
    return -(poly(c, q) / (poly(d, q) * q + 1))
  }
  const q = p - 0.5
  const r = q * q
  return -((poly(a, r) * q) / (poly(b, r) * r + 1))
}
