// Small graph tools over streets and pipes: shortest paths, components, clusters of points.

export interface Edge {
  a: number
  b: number
  /** Cost of going along it, metres. */
  length: number
}

export interface Graph {
  n: number
  edges: readonly Edge[]
  /** Per node: indices of its edges. */
  at: number[][]
}

export function makeGraph(n: number, edges: readonly Edge[]): Graph {
  const at: number[][] = Array.from({ length: n }, () => [])
  edges.forEach((e, i) => {
    ;(at[e.a] as number[]).push(i)
    ;(at[e.b] as number[]).push(i)
  })
  return { n, edges, at }
}

/** The other end of an edge. */
export function across(e: Edge, node: number): number {
  return e.a === node ? e.b : e.a
}

export interface Paths {
  distance: Float64Array
  /** Edge over which each node is reached, -1 at the roots and where nothing leads. */
  via: Int32Array
}

/** Shortest paths from any of `roots` (Dijkstra with a binary heap). */
export function shortestPaths(g: Graph, roots: readonly number[]): Paths {
  const distance = new Float64Array(g.n).fill(Number.POSITIVE_INFINITY)
  const via = new Int32Array(g.n).fill(-1)
  const heap: [number, number][] = []
  for (const r of roots) {
    distance[r] = 0
    push(heap, [0, r])
  }
  for (let top = pop(heap); top !== undefined; top = pop(heap)) {
    const [d, u] = top
    if (d > (distance[u] as number)) continue
    for (const i of g.at[u] as number[]) {
      const e = g.edges[i] as Edge
      const v = across(e, u)
      const nd = d + e.length
      if (nd < (distance[v] as number)) {
        distance[v] = nd
        via[v] = i
        push(heap, [nd, v])
      }
    }
  }
  return { distance, via }
}

function push(heap: [number, number][], item: [number, number]): void {
  heap.push(item)
  let i = heap.length - 1
  while (i > 0) {
    const p = (i - 1) >> 1
    if ((heap[p] as [number, number])[0] <= item[0]) break
    heap[i] = heap[p] as [number, number]
    i = p
  }
  heap[i] = item
}

function pop(heap: [number, number][]): [number, number] | undefined {
  const top = heap[0]
  const last = heap.pop()
  if (top === undefined || last === undefined || heap.length === 0) return top
  let i = 0
  for (;;) {
    let c = 2 * i + 1
    if (c >= heap.length) break
    if (c + 1 < heap.length && (heap[c + 1] as [number, number])[0] < (heap[c] as [number, number])[0]) c++
    if ((heap[c] as [number, number])[0] >= last[0]) break
    heap[i] = heap[c] as [number, number]
    i = c
  }
  heap[i] = last
  return top
}

/** Nodes from the root to `node`, both included, along the tree of `shortestPaths`. */
export function pathTo(g: Graph, paths: Paths, node: number): number[] {
  const out = [node]
  let at = node
  for (let i = paths.via[at] as number; i >= 0; i = paths.via[at] as number) {
    at = across(g.edges[i] as Edge, at)
    out.push(at)
  }
  return out.reverse()
}

/** Component number of every node, largest component first. */
export function components(g: Graph): Int32Array {
  const raw = new Int32Array(g.n).fill(-1)
  const sizes: number[] = []
  for (let start = 0; start < g.n; start++) {
    if (raw[start] !== -1) continue
    const c = sizes.length
    let size = 0
    const stack = [start]
    raw[start] = c
    while (stack.length > 0) {
      const u = stack.pop() as number
      size++
      for (const i of g.at[u] as number[]) {
        const v = across(g.edges[i] as Edge, u)
        if (raw[v] === -1) {
          raw[v] = c
          stack.push(v)
        }
      }
    }
    sizes.push(size)
  }
  const rank = sizes.map((_, i) => i).sort((x, y) => (sizes[y] as number) - (sizes[x] as number) || x - y)
  const order = new Map(rank.map((c, i) => [c, i]))
  return raw.map((c) => order.get(c) as number)
}

/**
 * Groups points into `k` compact groups of similar size: k-means (Lloyd) from spread seeds, with a cap on a group's size so that no
 * transformer gets fifty meters and another three. Returns the group of each point.
 */
export function cluster(points: readonly { x: number; y: number }[], k: number, cap: number): Int32Array {
  const group = new Int32Array(points.length)
  const centres = spread(points, k)
  for (let round = 0; round < 8; round++) {
    assign(points, centres, cap, group)
    const sum = centres.map(() => ({ x: 0, y: 0, n: 0 }))
    points.forEach((p, i) => {
      const s = sum[group[i] as number] as { x: number; y: number; n: number }
      s.x += p.x
      s.y += p.y
      s.n++
    })
    sum.forEach((s, i) => {
      if (s.n > 0) centres[i] = { x: s.x / s.n, y: s.y / s.n }
    })
  }
  return group
}

/** `k` points far from each other (farthest-point sampling from the first). */
export function spread(points: readonly { x: number; y: number }[], k: number): { x: number; y: number }[] {
  const first = points[0]
  if (first === undefined) return []
  const out = [{ x: first.x, y: first.y }]
  const far = new Float64Array(points.length).fill(Number.POSITIVE_INFINITY)
  while (out.length < Math.min(k, points.length)) {
    const last = out[out.length - 1] as { x: number; y: number }
    let best = 0
    points.forEach((p, i) => {
      far[i] = Math.min(far[i] as number, (p.x - last.x) ** 2 + (p.y - last.y) ** 2)
      if ((far[i] as number) > (far[best] as number)) best = i
    })
    const p = points[best] as { x: number; y: number }
    out.push({ x: p.x, y: p.y })
  }
  return out
}

/** Candidates per point: its nearest centres; with a cap of a quarter above the mean nobody needs a farther one, or few do. */
const NEAREST = 6

function assign(
  points: readonly { x: number; y: number }[],
  centres: readonly { x: number; y: number }[],
  cap: number,
  group: Int32Array,
): void {
  const count = Math.min(NEAREST, centres.length)
  const near = new Int32Array(points.length * count)
  const away = new Float64Array(points.length * count).fill(Number.POSITIVE_INFINITY)
  points.forEach((p, i) => {
    centres.forEach((c, j) => {
      const d = (p.x - c.x) ** 2 + (p.y - c.y) ** 2
      let k = count - 1
      if (d >= (away[i * count + k] as number)) return
      for (; k > 0 && d < (away[i * count + k - 1] as number); k--) {
        away[i * count + k] = away[i * count + k - 1] as number
        near[i * count + k] = near[i * count + k - 1] as number
      }
      away[i * count + k] = d
      near[i * count + k] = j
    })
  })
  const order = Uint32Array.from(away.keys()).sort((a, b) => (away[a] as number) - (away[b] as number) || a - b)
  const used = new Int32Array(centres.length)
  group.fill(-1)
  for (const o of order) {
    const i = Math.floor(o / count)
    const j = near[o] as number
    if (group[i] !== -1 || (used[j] as number) >= cap) continue
    group[i] = j
    used[j] = (used[j] as number) + 1
  }
  points.forEach((_, i) => {
    if (group[i] !== -1) return
    const j = used.indexOf(Math.min(...used))
    group[i] = j
    used[j] = (used[j] as number) + 1
  })
}
