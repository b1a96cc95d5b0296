// Reliability indices of IEEE Std 1366-2012: SAIDI, SAIFI, CAIDI, MAIFI, and major event days by the 2.5 beta method. Pure.

/** One interruption as the indices count it. An interruption that went on over midnight belongs to the day on which it began (4.2). */
export interface Interruption {
  feeder: string
  /** Local calendar date of its beginning, `YYYY-MM-DD`. */
  date: string
  /** Customers interrupted by it; 0 for what only prolongs another one. */
  customers: number
  /** Sum of the minutes of each customer. */
  customerMinutes: number
  /** At most five minutes, or what the utility has set. */
  momentary: boolean
}

export interface Indices {
  /** Minutes a customer served was without supply, in the mean; sustained interruptions. */
  saidiMinutes: number
  /** Sustained interruptions a customer served had, in the mean. */
  saifi: number
  /** Minutes a customer interrupted waited, in the mean; null without interruption. */
  caidiMinutes: number | null
  /** Momentary interruptions a customer served had, in the mean. */
  maifi: number
  customersServed: number
  customerInterruptions: number
  customerMinutes: number
  sustained: number
  momentary: number
}

/** @throws RangeError when there is nobody served. */
export function indicesOf(interruptions: Iterable<Interruption>, customersServed: number): Indices {
  if (!(customersServed > 0)) throw new RangeError(`customersServed must be above 0, not ${customersServed}`)
  let minutes = 0
  let interrupted = 0
  let momentaryCustomers = 0
  let sustained = 0
  let momentary = 0
  for (const i of interruptions) {
    if (i.momentary) {
      momentaryCustomers += i.customers
      momentary += 1
      continue
    }
    minutes += i.customerMinutes
    interrupted += i.customers
    if (i.customers > 0) sustained += 1
  }
  return {
    saidiMinutes: minutes / customersServed,
    saifi: interrupted / customersServed,
    caidiMinutes: interrupted === 0 ? null : minutes / interrupted,
    maifi: momentaryCustomers / customersServed,
    customersServed,
    customerInterruptions: interrupted,
    customerMinutes: minutes,
    sustained,
    momentary,
  }
}

export interface MajorEventDays {
  /** Daily SAIDI above which a day is a major event day, minutes; null with too little history. */
  thresholdMinutes: number | null
  alpha: number | null
  beta: number | null
  /** Days with interruptions on which it rests. */
  basisDays: number
  /** Local dates. */
  days: string[]
}

/** Logarithms of fewer days than this say nothing of their spread; the guide asks for five years and takes what there is. */
const BASIS_DAYS_MIN = 10

/**
 * Major event days by the 2.5 beta method (clause 5): of the daily SAIDI of the days before the period that had interruptions, alpha is
 * the mean of the natural logarithms, beta their standard deviation; a day above exp(alpha + 2.5 beta) is a major event day. While there
 * is no history before the period the period itself serves, as the guide allows.
 */
export function majorEventDays(dailySaidi: ReadonlyMap<string, number>, periodFrom: string): MajorEventDays {
  const before = [...dailySaidi].filter(([date, v]) => date < periodFrom && v > 0)
  const basis = before.length >= BASIS_DAYS_MIN ? before : [...dailySaidi].filter(([, v]) => v > 0)
  if (basis.length < BASIS_DAYS_MIN) return { thresholdMinutes: null, alpha: null, beta: null, basisDays: basis.length, days: [] }
  const { alpha, beta, thresholdMinutes } = thresholdOf(basis.map(([, v]) => v))
  const days = [...dailySaidi].filter(([, v]) => v > thresholdMinutes).map(([date]) => date)
  return { thresholdMinutes, alpha, beta, basisDays: basis.length, days: days.sort() }
}

/** Threshold of daily SAIDI, minutes, from the days that had interruptions. */
export function thresholdOf(dailySaidi: readonly number[]): { alpha: number; beta: number; thresholdMinutes: number } {
  const logs = dailySaidi.map(Math.log)
  const alpha = logs.reduce((s, v) => s + v, 0) / logs.length
  const beta = Math.sqrt(logs.reduce((s, v) => s + (v - alpha) ** 2, 0) / Math.max(1, logs.length - 1))
  return { alpha, beta, thresholdMinutes: Math.exp(alpha + 2.5 * beta) }
}

/** SAIDI of each local day with sustained interruptions. */
export function dailySaidi(interruptions: Iterable<Interruption>, customersServed: number): Map<string, number> {
  const out = new Map<string, number>()
  for (const i of interruptions) {
    if (!i.momentary) out.set(i.date, (out.get(i.date) ?? 0) + i.customerMinutes / customersServed)
  }
  return out
}
