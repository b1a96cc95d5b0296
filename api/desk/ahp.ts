// The analytic hierarchy process (T. L. Saaty, The Analytic Hierarchy Process, 1980): weights from judgements of pairs, and whether the
// judgements agree with each other. Pure.

/** Random consistency indices by order of the matrix (Saaty 1980, table of 500 samples); orders above 10 are not judged by people. */
const RANDOM_INDEX = [0, 0, 0, 0.58, 0.9, 1.12, 1.24, 1.32, 1.41, 1.45, 1.49] as const
/** Above it Saaty asks for the judgements to be made again. */
export const RATIO_MAX = 0.1
/** Saaty's scale goes from 1 (equal) to 9 (extreme). */
const SCALE_MAX = 9
/** 0.33 for 1/3 is meant as its reciprocal. */
const RECIPROCAL_TOLERANCE = 0.02

export interface Weights {
  /** Of the names, sum 1. */
  weights: Record<string, number>
  lambdaMax: number
  consistencyIndex: number
  /** 0 for up to two. */
  consistencyRatio: number
}

export type Judged = { ok: true; result: Weights } | { ok: false; message: string }

/** `3`, `0.25`, `"1/3"`. NaN for anything else. */
export function entryOf(v: number | string): number {
  if (typeof v === 'number') return v
  const m = /^\s*(\d+(?:\.\d+)?)\s*(?:\/\s*(\d+(?:\.\d+)?))?\s*$/.exec(v)
  return m === null ? Number.NaN : Number(m[1]) / Number(m[2] ?? 1)
}

/**
 * Weights of a judgement matrix: row i, column j says how many times more important i is than j. Refused when it is not square, positive,
 * on the scale, reciprocal, or when its consistency ratio is above 0.1: then the judgement that fits the others least is named.
 */
export function weigh(names: readonly string[], matrix: readonly (readonly (number | string)[])[]): Judged {
  const n = names.length
  const refuse = (message: string): Judged => ({ ok: false, message })
  if (n === 0) return refuse('names nothing to compare')
  if (n >= RANDOM_INDEX.length) return refuse(`compares ${n}; more than ${RANDOM_INDEX.length - 1} cannot be judged in pairs`)
  if (new Set(names).size !== n) return refuse('names something twice')
  if (matrix.length !== n || matrix.some((row) => row.length !== n)) return refuse(`must have ${n} rows of ${n} judgements`)
  const a = matrix.map((row) => row.map(entryOf))
  const at = (i: number, j: number) => (a[i] as number[])[j] as number
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const [v, pair] = [at(i, j), `${names[i]} over ${names[j]}`]
      if (!(v > 0) || !Number.isFinite(v)) return refuse(`${pair}: must be a positive number or a fraction such as "1/3"`)
      if (v > SCALE_MAX * (1 + RECIPROCAL_TOLERANCE) || v < (1 - RECIPROCAL_TOLERANCE) / SCALE_MAX)
        return refuse(`${pair}: must be between 1/9 and 9`)
      if (i === j && v !== 1) return refuse(`${names[i]} compared with itself must be 1`)
      if (Math.abs(v * at(j, i) - 1) > RECIPROCAL_TOLERANCE)
        return refuse(
          `${pair} is ${round(v)} and ${names[j]} over ${names[i]} is ${round(at(j, i))}: one must be the reciprocal of the other`,
        )
    }
  }
  // What was rounded is made exact from the judgement above 1, the one that people give.
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const [big, small] = at(i, j) >= 1 ? [i, j] : [j, i]
      const row = a[small] as number[]
      row[big] = 1 / at(big, small)
    }
  }
  const { vector, lambdaMax } = principal(a)
  const consistencyIndex = n < 3 ? 0 : Math.max(0, (lambdaMax - n) / (n - 1))
  const consistencyRatio = n < 3 ? 0 : consistencyIndex / (RANDOM_INDEX[n] as number)
  if (consistencyRatio > RATIO_MAX) return refuse(`consistency ratio ${round(consistencyRatio)} is above ${RATIO_MAX}: ${worst(names, a)}`)
  return {
    ok: true,
    result: {
      weights: Object.fromEntries(names.map((name, i) => [name, vector[i] as number])),
      lambdaMax,
      consistencyIndex,
      consistencyRatio,
    },
  }
}

const round = (x: number) => Math.round(x * 1000) / 1000

/** Principal eigenvector (sum 1) and eigenvalue by power iteration: a positive matrix has one that dominates (Perron). */
function principal(a: readonly number[][]): { vector: number[]; lambdaMax: number } {
  let vector = a.map(() => 1 / a.length)
  let lambdaMax = 0
  for (let k = 0; k < 1000; k++) {
    const next = a.map((row) => row.reduce((sum, v, j) => sum + v * (vector[j] as number), 0))
    // The vector sums to 1, so the sum of its image is the eigenvalue.
    lambdaMax = next.reduce((s, v) => s + v, 0)
    const scaled = next.map((v) => v / lambdaMax)
    const moved = scaled.reduce((most, v, i) => Math.max(most, Math.abs(v - (vector[i] as number))), 0)
    vector = scaled
    if (moved < 1e-12) break
  }
  return { vector, lambdaMax }
}

/** The judgement furthest from what the others say by way of a third: i over j against i over k times k over j. */
function worst(names: readonly string[], a: readonly number[][]): string {
  let most = { off: 0, text: '' }
  const at = (i: number, j: number) => (a[i] as number[])[j] as number
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < a.length; j++) {
      if (i === j || at(i, j) < 1) continue
      const ways = a.flatMap((_, k) => (k === i || k === j ? [] : [Math.log(at(i, k) * at(k, j))]))
      const others = Math.exp(ways.reduce((s, v) => s + v, 0) / ways.length)
      const off = Math.abs(Math.log(at(i, j) / others))
      if (off > most.off + 1e-9) {
        most = { off, text: `${names[i]} over ${names[j]} is judged ${round(at(i, j))}, the other judgements say about ${round(others)}` }
      }
    }
  }
  return most.text
}
