// What routing needs of the registry: which zones a device's readings go to, which gateway may send them. Compact, because a
// utility has a million devices: zone lists are shared.
import { type AssetProperties, isDevice, zonesOf } from '#model/asset.ts'

export interface DeviceRoute {
  /** The gateway it is registered under. */
  gateway: string
  /** At least one; the first stores and counts its readings. */
  zones: readonly string[]
}

export interface RegistryView {
  readonly devices: ReadonlyMap<string, DeviceRoute>
  /** Known gateways and the zones that each serves. */
  readonly gateways: ReadonlyMap<string, readonly string[]>
  readonly crews: ReadonlySet<string>
}

export const EMPTY_REGISTRY: RegistryView = { devices: new Map(), gateways: new Map(), crews: new Set() }

/** A gateway is known when it is an asset or when a device names it. */
export function registryView(assets: Iterable<AssetProperties>): RegistryView {
  const devices = new Map<string, DeviceRoute>()
  const served = new Map<string, Set<string>>()
  const crews = new Set<string>()
  const lists = new Map<string, readonly string[]>()
  const routes = new Map<string, DeviceRoute>()
  const serving = (gateway: string): Set<string> => {
    let zones = served.get(gateway)
    if (zones === undefined) {
      zones = new Set()
      served.set(gateway, zones)
    }
    return zones
  }
  for (const a of assets) {
    if (a.kind === 'crew') crews.add(a.id)
    else if (a.kind === 'gateway') {
      const zones = serving(a.id)
      if (a.zone !== undefined) zones.add(a.zone)
    }
    if (!isDevice(a)) continue
    const gateway = 'gateway' in a && typeof a.gateway === 'string' ? a.gateway : ''
    const own = zonesOf(a)
    const key = JSON.stringify([gateway, own])
    let route = routes.get(key)
    if (route === undefined) {
      const zonesKey = JSON.stringify(own)
      const zones = lists.get(zonesKey) ?? own
      lists.set(zonesKey, zones)
      route = { gateway, zones }
      routes.set(key, route)
    }
    devices.set(a.id, route)
    const zones = serving(gateway)
    for (const z of own) zones.add(z)
  }
  return { devices, gateways: new Map([...served].map(([id, zones]) => [id, [...zones].sort()])), crews }
}
