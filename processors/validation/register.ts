// Register arithmetic: what a step from one read of a cumulative register to the next can mean. Pure numbers, no state.
// A fall is never taken for a rollover unless the energy that this would mean is physically possible, and a rise is never taken for
// consumption unless the connection could have carried it.

/** What the face of a register and its connection allow. Register units are those on the meter's face, before the multiplier. */
export interface RegisterLimits {
  /** The register shows values modulo this (10^digits); 0 when the number of digits is not known. */
  modulus: number
  /** The largest possible rate, register units per hour. */
  maxPerHour: number
  /** Added to the time between two reads: clocks jump by minutes when they are set. */
  slackMs: number
  /** One step of the last digit; 0 when not known. */
  resolution: number
}

export type StepKind =
  /** The register went on, or stood still. */
  | 'forward'
  /** It passed its last value and began again; the delta is positive. */
  | 'rollover'
  /** It is lower than before and a rollover is not possible: exchange, reset or a wrong read. */
  | 'backward'
  /** It is higher than the connection could have made it: a jump or a wrong read. */
  | 'impossible'

export interface Step {
  kind: StepKind
  /** Register units, never negative for `forward` and `rollover`; 0 for the others, which must not be billed. */
  delta: number
}

const HOUR_MS = 3_600_000
/** Share of 10^k from which a register of unknown width may be about to roll over. */
const NEARLY_FULL = 0.99
/** Registers of fewer digits than this are not built. */
const DIGITS_MIN = 4
const DIGITS_MAX = 12

/** The most a register can have moved in `dtMs`, register units. */
export function possibleDelta(dtMs: number, limits: RegisterLimits): number {
  return (limits.maxPerHour * (Math.max(0, dtMs) + limits.slackMs)) / HOUR_MS + limits.resolution
}

/**
 * Modulus to try for a fall from `value`: the known one, or the power of ten that the register had nearly reached.
 * 0 when a rollover is out of the question.
 */
export function rolloverModulus(value: number, known: number): number {
  if (known > 0) return value < known ? known : 0
  for (let k = DIGITS_MIN; k <= DIGITS_MAX; k++) {
    const m = 10 ** k
    if (value < m) return value >= NEARLY_FULL * m ? m : 0
  }
  return 0
}

/**
 * Classifies the step from one read to a later one. Source of the order (rollover, then exchange, then bad read): Oracle MDM
 * "negative consumption" check. `toValue` and `fromValue` are finite and not negative.
 */
export function step(fromValue: number, toValue: number, dtMs: number, limits: RegisterLimits): Step {
  const possible = possibleDelta(dtMs, limits)
  const delta = toValue - fromValue
  if (delta >= 0) return delta <= possible ? { kind: 'forward', delta } : { kind: 'impossible', delta: 0 }
  const modulus = rolloverModulus(fromValue, limits.modulus)
  if (modulus > 0 && delta + modulus <= possible) return { kind: 'rollover', delta: delta + modulus }
  return { kind: 'backward', delta: 0 }
}

export function isOk(s: Step): boolean {
  return s.kind === 'forward' || s.kind === 'rollover'
}

/**
 * Energy across an exchange whose indices are known: the old register's rest and the new one's beginning, register units.
 * NaN when either part is not possible in the time: the indices are then not believed.
 */
export function exchangeDelta(
  last: { value: number; tsMs: number },
  oldFinal: number,
  newInitial: number,
  first: { value: number; tsMs: number },
  limits: RegisterLimits,
): number {
  const dt = first.tsMs - last.tsMs
  const before = step(last.value, oldFinal, dt, limits)
  const after = step(newInitial, first.value, dt, limits)
  if (!isOk(before) || !isOk(after)) return Number.NaN
  return before.delta + after.delta
}

/** Rounds away binary noise: differences of decimal registers are decimal again. `scale` is 10^decimals. */
export function tidy(value: number, scale: number): number {
  return Math.round(value * scale) / scale
}
