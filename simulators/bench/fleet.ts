// The benchmark's fleet and what it sends: a pure function of its options, so that the result can be checked to the last digit.
// Registers rise as meters of a town do: electricity follows the day, water is drawn now and then and rests in between.
import type { AssetFeature, AssetProperties } from '#model/asset.ts'
import { HOUR_MS, toIso } from '#model/time.ts'
import { hash32, hashUniform } from '../random.ts'

const QUARTER_MS = HOUR_MS / 4

export interface FleetOptions {
  meters: number
  zones: number
  gateways: number
  /** Readings of a message. */
  perMessage: number
  /** Readings in all. */
  readings: number
  /** Time of the first reading; a full hour. */
  startMs: number
  seed: number
}

export interface BenchMessage {
  gateway: number
  topic: string
  payload: Buffer
  readings: number
}

/** What must be stored in the end. Values have three digits behind the point and are summed as thousandths. */
export interface Totals {
  readings: number
  messages: number
  sumThousandths: number
}

/** Half of the gateways, and with them half of the meters and zones, are water. */
const isWater = (gateway: number): boolean => gateway % 2 === 0
export const zoneId = (zone: number): string => `${isWater(zone) ? 'D' : 'F'}-${zone}`
export const gatewayId = (gateway: number): string => `GW-${String(gateway).padStart(4, '0')}`
const deviceId = (gateway: number, meter: number): string => `${isWater(gateway) ? 'W' : 'E'}-${meter}`

/** Meters of a gateway are neighbours: one zone. An even number of zones keeps water gateways in districts. */
export function zoneOfGateway(o: FleetOptions, gateway: number): number {
  return gateway % o.zones
}

export function fleetFeatures(o: FleetOptions): AssetFeature[] {
  const features: AssetFeature[] = []
  const add = (properties: object, at?: [number, number]) =>
    features.push({
      type: 'Feature',
      geometry: at === undefined ? null : { type: 'Point', coordinates: at },
      properties: properties as AssetProperties,
    })
  for (let z = 0; z < o.zones; z++) {
    if (isWater(z)) add({ id: zoneId(z), kind: 'dma', name: `District ${z}` })
    else {
      add({ id: zoneId(z), kind: 'feeder' })
      for (let t = 0; t < TRANSFORMERS; t++) add({ id: transformerId(z, t), kind: 'transformer', feeder: zoneId(z), rating_kva: 400 })
    }
  }
  for (let g = 0; g < o.gateways; g++) add({ id: gatewayId(g), kind: 'gateway' })
  const each = metersPerGateway(o)
  for (let g = 0; g < o.gateways; g++) {
    const zone = zoneOfGateway(o, g)
    for (let i = 0; i < each; i++) {
      const meter = g * each + i
      const at: [number, number] = [8.4 + (meter % 250) * 0.001, 47.3 + Math.floor(meter / 250) * 0.001]
      const common = { id: deviceId(g, meter), gateway: gatewayId(g), digits: 6, decimals: 3 }
      if (isWater(g)) add({ ...common, kind: 'water_meter', dma: zoneId(zone), interval_s: 3600 }, at)
      else
        add(
          {
            ...common,
            kind: 'electric_meter',
            feeder: zoneId(zone),
            transformer: transformerId(zone, i % TRANSFORMERS),
            role: 'customer',
            interval_s: 900,
          },
          at,
        )
    }
  }
  return features
}

const TRANSFORMERS = 20
const transformerId = (zone: number, t: number): string => `T-${zone}-${t}`

export function metersPerGateway(o: FleetOptions): number {
  return Math.floor(o.meters / o.gateways)
}

/** Messages in the order in which they are sent, by time; `totals` is filled while they are drawn. */
export function* fleetMessages(o: FleetOptions, totals: Totals): Generator<BenchMessage> {
  const each = metersPerGateway(o)
  const registers = new Float64Array(o.gateways * each)
  for (let m = 0; m < registers.length; m++) registers[m] = 1_000 + (hash32(o.seed, m) % 90_000_000)
  const waiting: string[][] = Array.from({ length: o.gateways }, () => [])
  const sequences = new Uint32Array(o.gateways)
  const message = (gateway: number): BenchMessage => {
    const entries = waiting[gateway] as string[]
    waiting[gateway] = []
    const seq = (sequences[gateway] as number) + 1
    sequences[gateway] = seq
    totals.messages += 1
    const text = `{"seq":${seq},"readings":[${entries.join()}]}`
    return { gateway, topic: `telemetry/v1/${gatewayId(gateway)}/readings`, payload: Buffer.from(text), readings: entries.length }
  }
  for (let quarter = 0; totals.readings < o.readings; quarter++) {
    const tsMs = o.startMs + quarter * QUARTER_MS
    const ts = toIso(tsMs)
    for (let g = 0; g < o.gateways; g++) {
      if (isWater(g) && quarter % 4 !== 0) continue
      for (let i = 0; i < each && totals.readings < o.readings; i++) {
        const m = g * each + i
        const register = (registers[m] as number) + (isWater(g) ? litres(o.seed, m, tsMs) : wattHours(o.seed, m, tsMs))
        registers[m] = register
        totals.readings += 1
        totals.sumThousandths += register
        const quantity = isWater(g) ? 'water_volume_m3' : 'active_energy_import_kwh'
        const entries = waiting[g] as string[]
        entries.push(`{"device":"${deviceId(g, m)}","quantity":"${quantity}","ts":"${ts}","value":${register / 1000}}`)
        if (entries.length >= o.perMessage) yield message(g)
      }
    }
  }
  for (let g = 0; g < o.gateways; g++) if ((waiting[g] as string[]).length > 0) yield message(g)
}

/** Wh of a quarter hour: 150 W to 1.5 kW, with a morning and an evening. */
function wattHours(seed: number, meter: number, tsMs: number): number {
  const hour = (tsMs / HOUR_MS) % 24
  const day = 0.5 + 0.3 * Math.exp(-((hour - 8) ** 2) / 8) + 0.7 * Math.exp(-((hour - 19) ** 2) / 10)
  const size = 0.4 + hashUniform(seed, meter, 1)
  return Math.max(20, Math.round(250 * size * day * (0.8 + 0.4 * hashUniform(seed, meter, 2, tsMs / QUARTER_MS))))
}

/** Litres of an hour: nothing at night and in two of five hours. */
function litres(seed: number, meter: number, tsMs: number): number {
  const hour = (tsMs / HOUR_MS) % 24
  if (hour < 5 || hashUniform(seed, meter, 3, tsMs / HOUR_MS) < 0.4) return 0
  return 2 + (hash32(seed, meter, 4, tsMs / HOUR_MS) % 40)
}
