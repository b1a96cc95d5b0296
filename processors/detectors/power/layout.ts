// The electric meters of a zone by number, derived from its registry: what the columns of the power detectors are indexed by.
import { intervalSecondsOf } from '#model/asset.ts'
import type { ZoneContext } from '../../fold.ts'

export const NONE = -1

export interface PowerTransformer {
  id: string
  ratingKva: number | undefined
  /** Customer meters. */
  customers: number[]
  /** The totalising meter, NONE without one. */
  check: number
  /** Common interval of all of them, ms; 0 when they differ: then there is no balance. */
  stepMs: number
}

export interface PowerLayout {
  ids: string[]
  index: Map<string, number>
  customer: boolean[]
  transformer: Int32Array
  stepMs: Float64Array
  multiplier: Float64Array
  /** One step of the register, kWh. */
  resolutionKwh: Float64Array
  generationKwp: Float64Array
  transformers: PowerTransformer[]
  /** The feeder's own totalising meter, NONE without one. */
  feederMeter: number
  /** Physical limit of a connection, NaN when the registry has none, kW. */
  maxKw(i: number): number
}

const layouts = new WeakMap<ZoneContext, PowerLayout>()

/** Made once for each definition of the zone; nothing of it is state. */
export function layoutOf(zone: ZoneContext): PowerLayout {
  let layout = layouts.get(zone)
  if (layout === undefined) {
    layout = make(zone)
    layouts.set(zone, layout)
  }
  return layout
}

function make(zone: ZoneContext): PowerLayout {
  const devices = zone.devicesOf('electric_meter')
  const n = devices.length
  const transformers: PowerTransformer[] = []
  const byId = new Map<string, number>()
  const transformer = (id: string, ratingKva: number | undefined): number => {
    const known = byId.get(id)
    if (known !== undefined) return known
    byId.set(id, transformers.length)
    transformers.push({ id, ratingKva, customers: [], check: NONE, stepMs: 0 })
    return transformers.length - 1
  }
  for (const { asset } of zone.def.transformers) {
    transformer(asset.id, asset.kind === 'transformer' ? asset.rating_kva : undefined)
  }
  const layout: PowerLayout = {
    ids: [],
    index: new Map(),
    customer: [],
    transformer: new Int32Array(n).fill(NONE),
    stepMs: new Float64Array(n),
    multiplier: new Float64Array(n),
    resolutionKwh: new Float64Array(n),
    generationKwp: new Float64Array(n),
    transformers,
    feederMeter: NONE,
    maxKw: (i) => {
      const a = devices[i]?.asset
      return a?.kind === 'electric_meter' ? (a.max_kw ?? Number.NaN) : Number.NaN
    },
  }
  devices.forEach(({ asset: a }, i) => {
    if (a.kind !== 'electric_meter') return
    layout.ids.push(a.id)
    layout.index.set(a.id, i)
    layout.customer.push(a.role === 'customer')
    layout.stepMs[i] = intervalSecondsOf(a) * 1000
    layout.multiplier[i] = a.multiplier ?? 1
    layout.resolutionKwh[i] = 10 ** -(a.decimals ?? 2) * (a.multiplier ?? 1)
    layout.generationKwp[i] = a.registered_generation_kwp ?? 0
    if (a.role === 'feeder') layout.feederMeter = i
    if (a.role === 'feeder' || a.transformer === undefined) return
    const t = transformer(a.transformer, undefined)
    const tx = transformers[t] as PowerTransformer
    layout.transformer[i] = t
    if (a.role === 'transformer') tx.check = i
    else tx.customers.push(i)
  })
  for (const tx of transformers) tx.stepMs = commonStep(layout, tx)
  return layout
}

function commonStep(layout: PowerLayout, tx: PowerTransformer): number {
  const all = tx.check === NONE ? tx.customers : [...tx.customers, tx.check]
  const first = layout.stepMs[all[0] ?? 0] ?? 0
  return all.length > 0 && all.every((i) => layout.stepMs[i] === first) ? first : 0
}

type Column = Float32Array | Float64Array | Int32Array | Uint8Array | Uint16Array | Int8Array

/** Copies a column of `width` values a row from one set of ids to another; rows that are gone are dropped, new ones keep what they have. */
export function carryColumn(fromIds: readonly string[], from: Column, toIds: readonly string[], to: Column, width = 1): void {
  const row = new Map(fromIds.map((id, k) => [id, k]))
  toIds.forEach((id, k) => {
    const old = row.get(id)
    if (old === undefined) return
    for (let j = 0; j < width; j++) to[k * width + j] = from[old * width + j] as number
  })
}
