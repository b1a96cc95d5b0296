// Spike: an interval far above the highest seen. It stays actual: the register says so. Source: UBP practice, 180 % above the third highest.

/** The highest rate seen fades by this a day: half in 14 days. */
const PEAK_KEPT_A_DAY = 0.95
const DAY_MS = 86_400_000

export function isSpike(ratePerHour: number, peakPerHour: number, factor: number): boolean {
  return ratePerHour > factor * peakPerHour && peakPerHour > 0
}

/** The highest rate seen after one more interval. */
export function peakAfter(ratePerHour: number, peakPerHour: number, intervalMs: number): number {
  return ratePerHour > peakPerHour ? ratePerHour : peakPerHour * (1 - ((1 - PEAK_KEPT_A_DAY) * intervalMs) / DAY_MS)
}
