// A reading and an event, as every part of the system passes them on. Times are epoch milliseconds, UTC.
import type { EventName, Phase, Quantity } from './quantity.ts'

/**
 * One measured value. `device`, `quantity`, `phase`, `tariff` and `channel` are its identity (a "series");
 * `tsMs` is when it was measured by the device's own clock, `receivedAtMs` when the utility received it.
 */
export interface Reading {
  device: string
  quantity: Quantity
  phase: Phase
  /** 1 to 4; 0 is the total over all tariffs. */
  tariff: number
  channel: string
  tsMs: number
  value: number
  /** Flags in the order the gateway gave them, or undefined. `time_filled`: the device gave no time, ingest filled it. */
  flags: readonly string[] | undefined
  gateway: string
  receivedAtMs: number
  /** The gateway's message counter, or -1 when it sends none. */
  seq: number
  /** The broker marked the message as a redelivery. */
  redelivered: boolean
}

export interface MeterEvent {
  device: string
  event: EventName
  tsMs: number
  detail: Record<string, unknown> | undefined
  gateway: string
  receivedAtMs: number
}

/** Identity of a series within its device, for example `active_energy_import_kwh`, `voltage_v/L2`, `water_volume_m3//t1`. */
export function seriesKey(r: { quantity: string; phase: string; tariff: number; channel: string }): string {
  if (r.phase === '' && r.tariff === 0 && r.channel === '') return r.quantity
  return `${r.quantity}/${r.phase}/${r.tariff === 0 ? '' : `t${r.tariff}`}/${r.channel}`
}

/** The part of a series' identity beside device and quantity, as stored in the `channel` column: '' | 'L1' | 't2' | 'L1/t2/x'. */
export function qualifier(r: { phase: string; tariff: number; channel: string }): string {
  if (r.phase === '' && r.tariff === 0) return r.channel
  const parts: string[] = []
  if (r.phase !== '') parts.push(r.phase)
  if (r.tariff !== 0) parts.push(`t${r.tariff}`)
  if (r.channel !== '') parts.push(r.channel)
  return parts.join('/')
}
