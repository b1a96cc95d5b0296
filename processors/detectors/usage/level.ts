// The usual day of a meter and how far its days lie from that: exponentially weighted, each day clipped, so that a fortnight away or
// a feast moves it little (Huber's psi in recursive form). Two numbers and a count by meter.
export interface Levels {
  level: Float32Array
  /** Mean absolute deviation from the level. */
  deviation: Float32Array
  days: Uint16Array
}

/** Memory, days; and days at the beginning in which all count alike. */
const MEMORY = 14
const CLIP = 3

export function createLevels(n: number): Levels {
  return { level: new Float32Array(n), deviation: new Float32Array(n), days: new Uint16Array(n) }
}

export function learnDay(l: Levels, i: number, value: number): void {
  const n = l.days[i] as number
  const level = l.level[i] as number
  const deviation = l.deviation[i] as number
  const weight = 1 / Math.min(n + 1, MEMORY)
  let away = value - level
  if (n >= MEMORY) {
    const most = CLIP * Math.max(deviation, 0.05 * level)
    away = Math.max(-most, Math.min(most, away))
  }
  if (n > 0) l.deviation[i] = deviation + (Math.abs(away) - deviation) / Math.min(n, MEMORY)
  l.level[i] = level + away * weight
  if (n < 65_535) l.days[i] = n + 1
}
