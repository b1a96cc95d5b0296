// Which zones an operation concerns: those whose folds must know of it. Ingest (live) and backtest (files) use this same function.
import { NETWORK_ZONE, type Operation, type ZoneDef } from './asset.ts'

/**
 * Zones by operation, for a registry: `network` means all; a district or feeder its own; a transformer its feeder; a meter or any
 * other asset each zone that knows it. What nobody knows goes to the zone `network` if there is one, else nowhere.
 */
export function operationRouter(defs: readonly ZoneDef[]): (operation: Pick<Operation, 'scopeType' | 'scope'>) => string[] {
  const all = defs.map((d) => d.zone)
  const byAsset = new Map<string, Set<string>>()
  const add = (id: string, zone: string): void => {
    const zones = byAsset.get(id)
    if (zones === undefined) byAsset.set(id, new Set([zone]))
    else zones.add(zone)
  }
  for (const d of defs) {
    add(d.zone, d.zone)
    for (const { asset } of d.devices) add(asset.id, d.zone)
    for (const { asset } of d.transformers) add(asset.id, d.zone)
    for (const { asset } of d.network) add(asset.id, d.zone)
    // A substation is no zone; its feeders are.
    if (d.area?.kind === 'feeder' && d.area.substation !== undefined) add(d.area.substation, d.zone)
  }
  return ({ scopeType, scope }) => {
    if (scopeType === 'network') return all
    const zones = byAsset.get(scope)
    if (zones !== undefined) return [...zones]
    return all.includes(NETWORK_ZONE) ? [NETWORK_ZONE] : []
  }
}
