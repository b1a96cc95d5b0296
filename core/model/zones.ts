// From the registry to zone definitions: what each fold needs to know. Pure, and the same registry always gives the same text,
// whatever the order it was stored or read in, so that a definition is sent to the log only when it truly changed.
import {
  type Account,
  type AssetFeature,
  type AssetProperties,
  isDevice,
  NETWORK_ZONE,
  type ZoneDef,
  type ZoneDevice,
  type ZoneNetworkElement,
  zonesOf,
} from './asset.ts'
import { hashText } from './hash.ts'

export interface RegistryMeta {
  timezone: string
  /** Nothing before is a fault; 0 when unknown. */
  warmupUntilMs: number
}

type Draft = Omit<ZoneDef, 'version'> & { gatewayIds: Set<string> }

/**
 * One definition per district, feeder and, when something belongs to none of them, the zone `network`; sorted by zone id, and within a
 * zone by asset id. A district or feeder that only its devices name is a zone too, with `area` undefined.
 */
export function zoneDefs(
  features: readonly AssetFeature[],
  accounts: readonly Pick<Account, 'account' | 'segment'>[],
  meta: RegistryMeta,
): ZoneDef[] {
  const sorted = features
    .map((f) => ({ geometry: f.geometry, properties: canonical(f.properties) as AssetProperties }))
    .sort((a, b) => compare(a.properties.id, b.properties.id))
  const byId = new Map(sorted.map((f) => [f.properties.id, f]))
  const segments = new Map(accounts.map((a) => [a.account, a.segment]))
  const drafts = new Map<string, Draft>()
  const draft = (zone: string, kind: ZoneDef['kind']): Draft => {
    let d = drafts.get(zone)
    if (d === undefined) {
      d = {
        zone,
        kind: zone === NETWORK_ZONE ? 'network' : kind,
        timezone: meta.timezone,
        warmupUntilMs: meta.warmupUntilMs,
        area: undefined,
        devices: [],
        transformers: [],
        network: [],
        gateways: [],
        gatewayIds: new Set(),
      }
      drafts.set(zone, d)
    }
    return d
  }

  // Areas first: what they are decides the kind, not the device that names them.
  for (const { properties: a } of sorted) if (a.kind === 'dma' || a.kind === 'feeder') draft(a.id, a.kind).area = a
  const served = new Map<string, Set<string>>()
  const serve = (gateway: string, zone: string, d: Draft) => {
    d.gatewayIds.add(gateway)
    const zones = served.get(gateway)
    if (zones === undefined) served.set(gateway, new Set([zone]))
    else zones.add(zone)
  }
  for (const f of sorted) {
    const a = f.properties
    if (isDevice(a)) {
      for (const [i, zone] of zonesOf(a).entries()) {
        const d = draft(zone, a.kind === 'electric_meter' ? 'feeder' : 'dma')
        d.devices.push(zoneDevice(f, i === 0, segments, byId))
        if ('gateway' in a && typeof a.gateway === 'string') serve(a.gateway, zone, d)
      }
    } else if (a.kind === 'transformer') {
      draft(a.feeder ?? NETWORK_ZONE, 'feeder').transformers.push(element(f))
    } else if (isNetworkElement(a)) {
      draft(zoneOfElement(a, byId), 'dma').network.push(element(f))
    } else if (a.kind === 'gateway' && a.zone !== undefined) {
      // A gateway may say its zone before any device reports through it; a name that is no zone is a place name, not a zone.
      const d = drafts.get(a.zone)
      if (d !== undefined) serve(a.id, a.zone, d)
    }
  }
  return [...drafts.values()].sort((a, b) => compare(a.zone, b.zone)).map((d) => finish(d, served))
}

function finish(d: Draft, served: ReadonlyMap<string, ReadonlySet<string>>): ZoneDef {
  const { gatewayIds, ...rest } = d
  const gateways = [...gatewayIds].sort(compare).map((id) => ({ id, zones: [...(served.get(id) ?? [])].sort(compare) }))
  const def = { ...rest, gateways }
  const text = JSON.stringify(def)
  // Two seeds: 106 bits.
  return { ...def, version: `${hashText(text).toString(36)}${hashText(text, 0x9e3779b9).toString(36)}` }
}

type Feature = { geometry: AssetFeature['geometry']; properties: AssetProperties }

function zoneDevice(
  f: Feature,
  primary: boolean,
  segments: ReadonlyMap<string, Account['segment']>,
  byId: ReadonlyMap<string, Feature>,
): ZoneDevice {
  const a = f.properties
  const account = 'account' in a && typeof a.account === 'string' ? a.account : undefined
  const [lon, lat] = placeOf(f, byId)
  return { asset: a, primary, segment: account === undefined ? undefined : segments.get(account), lon, lat }
}

/** Own point, else that of the node or the middle of the link it sits on, else of its transformer. */
function placeOf(f: Feature, byId: ReadonlyMap<string, Feature>): [number, number] | [undefined, undefined] {
  const own = flat(f.geometry)
  if (own.length >= 2) return [own[0] as number, own[1] as number]
  for (const key of ['node', 'link', 'transformer'] as const) {
    const id = (f.properties as Record<string, unknown>)[key]
    const at = typeof id === 'string' ? flat(byId.get(id)?.geometry ?? null) : []
    if (at.length >= 2) {
      const middle = Math.floor(at.length / 4) * 2
      return [at[middle] as number, at[middle + 1] as number]
    }
  }
  return [undefined, undefined]
}

type NetworkElement = Extract<AssetProperties, { kind: 'junction' | 'tank' | 'reservoir' | 'pipe' | 'valve' | 'pump' }>

function isNetworkElement(a: AssetProperties): a is NetworkElement {
  return ['junction', 'tank', 'reservoir', 'pipe', 'valve', 'pump'].includes(a.kind)
}

/** The element's district; for a link without one that of its first end that has one. */
function zoneOfElement(a: NetworkElement, byId: ReadonlyMap<string, Feature>): string {
  if (a.dma !== undefined) return a.dma
  if ('from' in a && 'to' in a) {
    for (const end of [a.from, a.to]) {
      const node = typeof end === 'string' ? byId.get(end)?.properties : undefined
      if (node !== undefined && 'dma' in node && typeof node.dma === 'string') return node.dma
    }
  }
  return NETWORK_ZONE
}

function element(f: Feature): ZoneNetworkElement {
  return { asset: f.properties, at: flat(f.geometry) }
}

/** All positions of a geometry, flat: lon, lat, lon, lat ...; altitudes are left out. */
function flat(geometry: AssetFeature['geometry']): number[] {
  const out: number[] = []
  const walk = (c: unknown): void => {
    if (!Array.isArray(c)) return
    if (typeof c[0] === 'number' && typeof c[1] === 'number') out.push(c[0], c[1])
    else for (const inner of c) walk(inner)
  }
  if (geometry !== null) walk(geometry.coordinates)
  return out
}

/** The same value with object keys sorted and undefined ones left out: jsonb and files order keys differently. */
export function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  const source = value as Record<string, unknown>
  const keys = Object.keys(source).filter((k) => source[k] !== undefined)
  return Object.fromEntries(keys.sort(compare).map((k) => [k, canonical(source[k])]))
}

/** By code units: the same on every machine, whatever its locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
