// Token buckets by address: a client that asks too fast is told when to come again; one that guesses tokens is stopped soon.

export interface Bucket {
  /** Takes one; 0 when there was one, else seconds until there is. */
  take(key: string, nowMs: number): number
}

/** At most this many addresses are remembered; beyond, those that have been full longest are forgotten. */
const KEYS_MAX = 10_000

export function createBucket(perSecond: number, burst: number): Bucket {
  const levels = new Map<string, { level: number; atMs: number }>()
  return {
    take(key, nowMs) {
      const b = levels.get(key) ?? { level: burst, atMs: nowMs }
      const level = Math.min(burst, b.level + ((nowMs - b.atMs) / 1000) * perSecond)
      const ok = level >= 1
      // Moved to the end, so that the first of the map is the one longest unused.
      levels.delete(key)
      levels.set(key, { level: ok ? level - 1 : level, atMs: nowMs })
      if (levels.size > KEYS_MAX)
        for (const first of levels.keys()) {
          levels.delete(first)
          break
        }
      return ok ? 0 : Math.max(1, Math.ceil((1 - level) / perSecond))
    },
  }
}
