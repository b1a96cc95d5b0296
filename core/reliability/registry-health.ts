// What is wrong with the registry of a power network: named asset by asset, so that somebody can mend it. The detectors work with what is
// there; a meter that hangs nowhere can only be told as a premise.
import type { AssetProperties } from '#model/asset.ts'

export const REGISTRY_PROBLEMS = [
  'meter-without-transformer', // a customer's meter that no transformer feeds
  'unknown-transformer', // the meter's transformer is not in the registry
  'transformer-without-feeder',
  'unknown-feeder',
  'feeder-differs', // the meter says another feeder than its transformer
  'unknown-gateway',
  'two-totalising-meters', // of one transformer: which of them is it?
  'unknown-substation',
  'loop', // following what feeds it leads back to it
] as const
export type RegistryProblem = (typeof REGISTRY_PROBLEMS)[number]

export interface HealthItem {
  problem: RegistryProblem
  asset: string
  detail: string
}

const text = (v: unknown): string | undefined => (typeof v === 'string' && v !== '' ? v : undefined)

/** What feeds an asset, by the properties that say so. */
function fedBy(a: AssetProperties): string[] {
  const p = a as Record<string, unknown>
  return [p.transformer, p.feeder, p.substation, p.parent, p.fed_from].flatMap((v) => text(v) ?? [])
}

const POWER = new Set(['substation', 'feeder', 'transformer', 'electric_meter'])

/** Problems in the order of the assets. Gateways and power assets are looked at, water is not. */
export function registryHealth(assets: Iterable<AssetProperties>): HealthItem[] {
  const all = new Map<string, AssetProperties>()
  for (const a of assets) all.set(a.id, a)
  const out: HealthItem[] = []
  const totalising = new Map<string, string>()
  const say = (problem: RegistryProblem, asset: string, detail: string): void => void out.push({ problem, asset, detail })
  const missing = (id: string | undefined, kind: string): boolean => id !== undefined && all.get(id)?.kind !== kind
  for (const a of all.values()) {
    if (a.kind === 'electric_meter') {
      meter(a, all, totalising, say)
      if (missing(a.gateway, 'gateway')) say('unknown-gateway', a.id, a.gateway)
    } else if (a.kind === 'transformer') {
      if (a.feeder === undefined) say('transformer-without-feeder', a.id, '')
      else if (missing(a.feeder, 'feeder')) say('unknown-feeder', a.id, a.feeder)
    } else if (a.kind === 'feeder' && missing(a.substation, 'substation')) say('unknown-substation', a.id, a.substation as string)
  }
  for (const ring of loops(all)) say('loop', ring[0] as string, [...ring, ring[0]].join(' > '))
  return out
}

function meter(
  a: Extract<AssetProperties, { kind: 'electric_meter' }>,
  all: ReadonlyMap<string, AssetProperties>,
  totalising: Map<string, string>,
  say: (problem: RegistryProblem, asset: string, detail: string) => void,
): void {
  if (a.feeder !== undefined && all.get(a.feeder)?.kind !== 'feeder') say('unknown-feeder', a.id, a.feeder)
  if (a.role === 'feeder') return
  if (a.transformer === undefined) {
    say('meter-without-transformer', a.id, a.feeder ?? '')
    return
  }
  const t = all.get(a.transformer)
  if (t?.kind !== 'transformer') say('unknown-transformer', a.id, a.transformer)
  else if (a.feeder !== undefined && t.feeder !== undefined && t.feeder !== a.feeder)
    say('feeder-differs', a.id, `${a.feeder}, ${t.feeder}`)
  if (a.role !== 'transformer') return
  const other = totalising.get(a.transformer)
  if (other !== undefined) say('two-totalising-meters', a.transformer, `${other}, ${a.id}`)
  else totalising.set(a.transformer, a.id)
}

/** Rings of references, each once, beginning with its smallest id. Depth first; every asset is visited once. */
function loops(all: ReadonlyMap<string, AssetProperties>): string[][] {
  const done = new Set<string>()
  const found: string[][] = []
  for (const start of all.values()) {
    if (!POWER.has(start.kind) || done.has(start.id)) continue
    const path: string[] = []
    const onPath = new Set<string>()
    const todo: { id: string; next: string[] }[] = []
    const enter = (id: string): void => {
      path.push(id)
      onPath.add(id)
      const a = all.get(id)
      todo.push({ id, next: a === undefined ? [] : fedBy(a) })
    }
    enter(start.id)
    for (let top = todo.at(-1); top !== undefined; top = todo.at(-1)) {
      const next = top.next.pop()
      if (next === undefined) {
        done.add(top.id)
        onPath.delete(top.id)
        path.pop()
        todo.pop()
      } else if (onPath.has(next)) found.push(fromSmallest(path.slice(path.indexOf(next))))
      else if (!done.has(next) && all.has(next)) enter(next)
    }
  }
  return found
}

function fromSmallest(ring: string[]): string[] {
  const k = ring.indexOf([...ring].sort()[0] as string)
  return [...ring.slice(k), ...ring.slice(0, k)]
}
