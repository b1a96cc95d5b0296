// Randomness of the simulator. Two kinds, both seeded: `hash*` functions give the same number for the same keys whenever they are
// asked (so a simulation that is resumed in the middle, or stepped twice, draws the same), and `makeRandom` gives a sequence for
// building things once. Nothing here is used by the running system itself.

/** Mixes four integers to 32 bits (the finaliser of MurmurHash3 between the keys). */
export function hash32(seed: number, a: number, b = 0, c = 0): number {
  let h = Math.imul(seed ^ 0x2545f491, 0x9e3779b1)
  h = Math.imul((h ^ a) + 0x165667b1, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul((h ^ b) + 0x27d4eb2f, 0xc2b2ae35)
  h ^= h >>> 16
  h = Math.imul((h ^ c) + 0x3c6ef372, 0x27d4eb2f)
  h ^= h >>> 15
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  h ^= h >>> 16
  return h >>> 0
}

/** A 31-bit key from a text, for use in `hash32`. */
export function keyOf(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return (h >>> 1) & 0x7fffffff
}

/** Uniform in (0, 1), never 0 or 1. */
export function hashUniform(seed: number, a: number, b = 0, c = 0): number {
  return (hash32(seed, a, b, c) + 0.5) / 4_294_967_296
}

/** Standard normal (Box-Muller). */
export function hashNormal(seed: number, a: number, b = 0, c = 0): number {
  const u = hashUniform(seed, a, b, c)
  const v = hashUniform(seed ^ 0x5bd1e995, a, b, c)
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v)
}

/** A smooth wandering value with unit variance at its knots, which are one apart on `x`. */
export function wander(seed: number, stream: number, x: number): number {
  const k = Math.floor(x)
  const f = x - k
  const s = f * f * (3 - 2 * f)
  return hashNormal(seed, stream, k) * (1 - s) + hashNormal(seed, stream, k + 1) * s
}

/** Poisson count by inversion; above a mean of 30 by the normal approximation. `u` is uniform in (0, 1). */
export function poisson(mean: number, u: number): number {
  if (mean <= 0) return 0
  if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * inverseNormal(u)))
  let p = Math.exp(-mean)
  let sum = p
  let k = 0
  while (u > sum && k < 200) {
    k++
    p *= mean / k
    sum += p
  }
  return k
}

/** Quantile of the standard normal, |error| < 4.5e-4 (Abramowitz and Stegun 26.2.23). */
export function inverseNormal(u: number): number {
  const t = Math.sqrt(-2 * Math.log(u < 0.5 ? u : 1 - u))
  const z = t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t)
  return u < 0.5 ? -z : z
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform in [low, high). */
  between(low: number, high: number): number
  /** Integer in [0, n). */
  int(n: number): number
  normal(): number
  pick<T>(list: readonly T[]): T
  /** One of `list` with the probability of its weight. */
  weighted<T>(list: readonly (readonly [T, number])[]): T
  shuffled<T>(list: readonly T[]): T[]
}

/** A sequence of random numbers (mulberry32). */
export function makeRandom(seed: number): Random {
  let s = hash32(seed, 0x6d2b79f5)
  const next = (): number => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const int = (n: number): number => Math.floor(next() * n)
  return {
    next,
    between: (low, high) => low + (high - low) * next(),
    int,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    pick: (list) => {
      if (list.length === 0) throw new RangeError('nothing to pick from')
      return list[int(list.length)] as (typeof list)[number]
    },
    weighted: (list) => {
      let x = next() * list.reduce((sum, [, w]) => sum + w, 0)
      for (const [item, w] of list) {
        x -= w
        if (x < 0) return item
      }
      return (list[list.length - 1] as (typeof list)[number])[0]
    },
    shuffled: (list) => {
      const out = [...list]
      for (let i = out.length - 1; i > 0; i--) {
        const j = int(i + 1)
        const t = out[i] as (typeof out)[number]
        out[i] = out[j] as (typeof out)[number]
        out[j] = t
      }
      return out
    },
  }
}
