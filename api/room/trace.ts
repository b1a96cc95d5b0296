// What feeds a thing, and what it feeds. Water: the tree of shortest ways from the sources; power: the hierarchy of the registry. Pure.
import type { AssetProperties } from '#model/asset.ts'

export interface Trace {
  /** From the thing to its source. */
  upstream: string[]
  /** Everything that is fed through it: nodes, links, devices; at most TRACE_MAX. */
  downstream: string[]
  truncated: boolean
  meters: number
  /** Distinct accounts of those meters; meters without one count as one each. */
  customers: number
  /** Directly connected. */
  neighbours: string[]
  source: string | null
}

const TRACE_MAX = 20_000

export interface Network {
  byId: ReadonlyMap<string, AssetProperties>
  /** Node or link or hierarchy parent -> what hangs on it, in the tree from the sources. */
  children: ReadonlyMap<string, string[]>
  parent: ReadonlyMap<string, string>
  /** What belongs to a district. */
  members: ReadonlyMap<string, string[]>
  /** Physical neighbours in the water network. */
  adjacent: ReadonlyMap<string, string[]>
}

const isLink = (a: AssetProperties): a is Extract<AssetProperties, { from: string }> => 'from' in a && typeof a.from === 'string'

/** Builds the tree once for a registry: O(n log n). */
export function buildNetwork(assets: Iterable<AssetProperties>): Network {
  const byId = new Map<string, AssetProperties>()
  for (const a of assets) byId.set(a.id, a)
  const adjacent = new Map<string, string[]>()
  const add = (map: Map<string, string[]>, key: string, value: string) => {
    const list = map.get(key)
    if (list === undefined) map.set(key, [value])
    else list.push(value)
  }
  for (const a of byId.values()) {
    if (!isLink(a)) continue
    for (const node of [a.from, a.to]) {
      add(adjacent, node, a.id)
      add(adjacent, a.id, node)
    }
  }
  const parent = waterTree(byId, adjacent)
  const members = new Map<string, string[]>()
  for (const a of byId.values()) if ('dma' in a && typeof a.dma === 'string') add(members, a.dma, a.id)
  for (const a of byId.values()) {
    const p = feederOf(a)
    if (p !== undefined && byId.has(p)) parent.set(a.id, p)
  }
  const children = new Map<string, string[]>()
  for (const [child, p] of parent) add(children, p, child)
  return { byId, children, parent, members, adjacent }
}

/** What a device hangs on. */
function feederOf(a: AssetProperties): string | undefined {
  switch (a.kind) {
    case 'electric_meter':
      return a.role === 'customer' ? (a.transformer ?? a.feeder) : undefined
    case 'transformer':
      return a.feeder
    case 'feeder':
      return a.substation
    case 'water_meter':
      return a.node
    case 'pressure_sensor':
    case 'level_sensor':
    case 'pump_sensor':
      return a.node ?? a.link
    case 'flow_meter':
      return a.link
    default:
      return undefined
  }
}

/** Dijkstra from all sources at once, over length; a link without one counts as one metre. Links are steps of the tree of their own. */
function waterTree(byId: ReadonlyMap<string, AssetProperties>, adjacent: ReadonlyMap<string, string[]>): Map<string, string> {
  const parent = new Map<string, string>()
  const distance = new Map<string, number>()
  const heap = new Heap()
  for (const a of byId.values()) {
    if (a.kind !== 'reservoir') continue
    distance.set(a.id, 0)
    heap.push(0, a.id)
  }
  // A network without a reservoir in the registry begins at its tanks.
  if (distance.size === 0)
    for (const a of byId.values()) {
      if (a.kind !== 'tank') continue
      distance.set(a.id, 0)
      heap.push(0, a.id)
    }
  for (let next = heap.pop(); next !== undefined; next = heap.pop()) {
    const [d, node] = next
    if (d > (distance.get(node) ?? Number.POSITIVE_INFINITY)) continue
    for (const linkId of adjacent.get(node) ?? []) {
      const link = byId.get(linkId)
      if (link === undefined || !isLink(link)) continue
      const other = link.from === node ? link.to : link.from
      const far = d + Math.max(1, link.length_m ?? 1)
      if (far >= (distance.get(other) ?? Number.POSITIVE_INFINITY)) {
        // A link that closes a loop hangs on the end that is nearer to the source.
        if (!parent.has(linkId) && parent.get(node) !== linkId) parent.set(linkId, node)
        continue
      }
      distance.set(other, far)
      parent.set(linkId, node)
      parent.set(other, linkId)
      heap.push(far, other)
    }
  }
  return parent
}

export function traceOf(n: Network, id: string): Trace | undefined {
  const asset = n.byId.get(id)
  if (asset === undefined) return undefined
  const start = anchorOf(n, asset)
  const upstream: string[] = []
  const seen = new Set([start])
  for (let at = n.parent.get(start); at !== undefined && !seen.has(at); at = n.parent.get(at)) {
    seen.add(at)
    upstream.push(at)
  }
  const downstream: string[] = []
  // A district is a set of things, not a place in the tree: it feeds what belongs to it.
  const queue = [start, ...(asset.kind === 'dma' ? (n.members.get(id) ?? []) : [])]
  const found = new Set(queue)
  let truncated = false
  let meters = 0
  const accounts = new Set<string>()
  for (let i = 0; i < queue.length; i++) {
    const at = queue[i] as string
    if (i > 0) {
      if (downstream.length < TRACE_MAX) downstream.push(at)
      else truncated = true
      const a = n.byId.get(at)
      if (a?.kind === 'water_meter' || (a?.kind === 'electric_meter' && a.role === 'customer')) {
        meters += 1
        accounts.add(a.account ?? `meter ${a.id}`)
      }
    }
    // A district ends at its own border: what hangs on its pipes beyond is another's.
    if (asset.kind === 'dma') continue
    for (const child of n.children.get(at) ?? []) {
      if (found.has(child)) continue
      found.add(child)
      queue.push(child)
    }
  }
  return {
    upstream,
    downstream,
    truncated,
    meters,
    customers: accounts.size,
    neighbours: neighboursOf(n, asset),
    source: upstream.at(-1) ?? null,
  }
}

/** Where in the tree a thing sits: a sensor at its node, a district at nothing of its own. */
function anchorOf(n: Network, a: AssetProperties): string {
  if (['pressure_sensor', 'level_sensor', 'pump_sensor', 'flow_meter'].includes(a.kind)) return n.parent.get(a.id) ?? a.id
  return a.id
}

function neighboursOf(n: Network, a: AssetProperties): string[] {
  const anchor = anchorOf(n, a)
  const physical = n.adjacent.get(anchor) ?? []
  const siblings = (n.children.get(n.parent.get(a.id) ?? '') ?? []).filter((id) => id !== a.id)
  return [...new Set([...physical, ...siblings])].slice(0, 50)
}

/** A binary heap of (distance, node). */
class Heap {
  readonly #d: number[] = []
  readonly #id: string[] = []
  push(d: number, id: string): void {
    let i = this.#d.length
    this.#d.push(d)
    this.#id.push(id)
    while (i > 0) {
      const up = (i - 1) >> 1
      if ((this.#d[up] as number) <= d) break
      this.#set(i, up)
      i = up
    }
    this.#d[i] = d
    this.#id[i] = id
  }
  pop(): [number, string] | undefined {
    const d = this.#d[0]
    const id = this.#id[0]
    if (d === undefined || id === undefined) return undefined
    const lastD = this.#d.pop() as number
    const lastId = this.#id.pop() as string
    const n = this.#d.length
    if (n === 0) return [d, id]
    let i = 0
    for (;;) {
      let down = 2 * i + 1
      if (down >= n) break
      if (down + 1 < n && (this.#d[down + 1] as number) < (this.#d[down] as number)) down += 1
      if ((this.#d[down] as number) >= lastD) break
      this.#set(i, down)
      i = down
    }
    this.#d[i] = lastD
    this.#id[i] = lastId
    return [d, id]
  }
  #set(to: number, from: number): void {
    this.#d[to] = this.#d[from] as number
    this.#id[to] = this.#id[from] as string
  }
}
