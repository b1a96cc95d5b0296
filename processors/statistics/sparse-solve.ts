// Symmetric positive definite systems of pipe networks: few links a node, so elimination in order of degree stays sparse (Tinney and
// Walker, Proc. IEEE 55 (1967), scheme 2). A district of some hundred nodes takes about a millisecond.

/** Off-diagonal entries by node, both triangles: `links[i].get(j)`. */
export interface Symmetric {
  diagonal: Float64Array
  links: Map<number, number>[]
}

interface Pivot {
  node: number
  diagonal: number
  to: Int32Array
  value: Float64Array
}

export interface Factor {
  size: number
  pivots: Pivot[]
}

export function symmetric(size: number): Symmetric {
  return { diagonal: new Float64Array(size), links: Array.from({ length: size }, () => new Map()) }
}

/** Adds a conductance between two nodes. */
export function addConductance(m: Symmetric, a: number, b: number, g: number): void {
  m.diagonal[a] = (m.diagonal[a] as number) + g
  m.diagonal[b] = (m.diagonal[b] as number) + g
  const la = m.links[a] as Map<number, number>
  const lb = m.links[b] as Map<number, number>
  la.set(b, (la.get(b) ?? 0) - g)
  lb.set(a, (lb.get(a) ?? 0) - g)
}

/** Factors the matrix; it is used up. Nodes of `out` are left out (their values are zero). */
export function factor(m: Symmetric, out: ReadonlySet<number>): Factor {
  const size = m.diagonal.length
  const left = new Set<number>()
  for (let i = 0; i < size; i++) if (!out.has(i)) left.add(i)
  for (const i of out) {
    for (const j of (m.links[i] as Map<number, number>).keys()) m.links[j]?.delete(i)
    m.links[i]?.clear()
  }
  const buckets = new Map<number, Set<number>>()
  const place = (i: number) => {
    const d = (m.links[i] as Map<number, number>).size
    const b = buckets.get(d)
    if (b === undefined) buckets.set(d, new Set([i]))
    else b.add(i)
  }
  for (const i of left) place(i)
  const pivots: Pivot[] = []
  let low = 0
  while (left.size > 0) {
    while ((buckets.get(low)?.size ?? 0) === 0) low += 1
    const node = (buckets.get(low) as Set<number>).values().next().value as number
    buckets.get(low)?.delete(node)
    left.delete(node)
    const links = m.links[node] as Map<number, number>
    const to = Int32Array.from(links.keys())
    const value = Float64Array.from(links.values())
    const diagonal = Math.max(m.diagonal[node] as number, 1e-12)
    pivots.push({ node, diagonal, to, value })
    for (const i of to) buckets.get((m.links[i] as Map<number, number>).size)?.delete(i)
    for (let p = 0; p < to.length; p++) {
      const i = to[p] as number
      const li = m.links[i] as Map<number, number>
      li.delete(node)
      m.diagonal[i] = (m.diagonal[i] as number) - (value[p] as number) ** 2 / diagonal
      for (let q = 0; q < p; q++) {
        const j = to[q] as number
        const v = ((value[p] as number) * (value[q] as number)) / diagonal
        li.set(j, (li.get(j) ?? 0) - v)
        const lj = m.links[j] as Map<number, number>
        lj.set(i, (lj.get(i) ?? 0) - v)
      }
    }
    for (const i of to) place(i)
    low = Math.max(0, low - 1)
    for (const i of to) low = Math.min(low, (m.links[i] as Map<number, number>).size)
  }
  return { size, pivots }
}

/** Solves for one right-hand side; nodes left out of the factor get zero. */
export function solve(f: Factor, rhs: Float64Array): Float64Array {
  const b = rhs.slice()
  const x = new Float64Array(f.size)
  for (const p of f.pivots) {
    const share = (b[p.node] as number) / p.diagonal
    for (let k = 0; k < p.to.length; k++) {
      const i = p.to[k] as number
      b[i] = (b[i] as number) - (p.value[k] as number) * share
    }
  }
  for (let n = f.pivots.length - 1; n >= 0; n--) {
    const p = f.pivots[n] as Pivot
    let v = b[p.node] as number
    for (let k = 0; k < p.to.length; k++) v -= (p.value[k] as number) * (x[p.to[k] as number] as number)
    x[p.node] = v / p.diagonal
  }
  return x
}
