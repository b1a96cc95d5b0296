// Look-up tables of a zone's registry, made anew whenever its definition changes.
import type { ZoneDef, ZoneDevice } from '#model/asset.ts'
import type { ZoneContext } from './fold.ts'

const NONE: readonly ZoneDevice[] = []

function add(lists: Map<string, ZoneDevice[]>, key: string | undefined, device: ZoneDevice): void {
  if (key === undefined) return
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [device])
  else list.push(device)
}

/** Lists keep the order of the definition. A gateway is the one named by the device's asset. */
export function createZoneContext(def: ZoneDef): ZoneContext {
  const byId = new Map<string, ZoneDevice>()
  const byKind = new Map<string, ZoneDevice[]>()
  const byTransformer = new Map<string, ZoneDevice[]>()
  const byGateway = new Map<string, ZoneDevice[]>()
  for (const d of def.devices) {
    byId.set(d.asset.id, d)
    add(byKind, d.asset.kind, d)
    if ('gateway' in d.asset) add(byGateway, d.asset.gateway as string, d)
    if (d.asset.kind === 'electric_meter' && d.asset.role === 'customer') add(byTransformer, d.asset.transformer, d)
  }
  return {
    def,
    device: (id) => byId.get(id),
    devicesOf: (kind) => byKind.get(kind) ?? NONE,
    metersOfTransformer: (id) => byTransformer.get(id) ?? NONE,
    devicesOfGateway: (id) => byGateway.get(id) ?? NONE,
  }
}
