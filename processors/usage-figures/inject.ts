// Faults put into a log that has none of their kind: what generated data sets do not hold. Totalising meters see what a real fault would
// show them. Seeded, so that the figures can be made again.
import type { ZoneDef, ZoneDevice } from '#model/asset.ts'
import type { Reading } from '#model/reading.ts'
import type { DataRecord, LogRecord } from '#model/telemetry.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'

export const INJECTED = ['zero_usage', 'usage_on_inactive', 'tamper', 'rising_base', 'phase_loss', 'voltage'] as const
export type InjectedKind = (typeof INJECTED)[number]

export interface Label {
  kind: string
  meter: string
  startMs: number
}

interface Fault extends Label {
  kind: InjectedKind
  zone: string
  transformer: string
}

interface Options {
  seed: number
  each: number
  warmupUntilMs: number
  endMs: number
  /** Meters that have a fault already. */
  taken: ReadonlySet<string>
}

/** Share of the energy that a tampered meter still counts, and the load that a hanging device takes, kW. */
const TAMPERED_SHARE = 0.45
const HANGING_KW = 0.25

function random(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Faults in the first half of the time after warm-up; businesses and the vulnerable stand still, others do the rest. */
function draw(defs: readonly ZoneDef[], o: Options): Fault[] {
  const r = random(o.seed)
  const customers = defs.flatMap((d) =>
    d.devices.flatMap((device) => (isCustomer(device) && !o.taken.has(device.asset.id) ? [{ zone: d.zone, device }] : [])),
  )
  const pick = (want: (d: ZoneDevice) => boolean) => {
    const of = customers.filter((c) => want(c.device))
    const c = of[Math.floor(r() * of.length)]
    if (c !== undefined) customers.splice(customers.indexOf(c), 1)
    return c
  }
  const out: Fault[] = []
  for (const kind of INJECTED) {
    for (let k = 0; k < o.each; k++) {
      const c = pick((d) => kind !== 'zero_usage' || d.segment !== 'general')
      if (c === undefined) continue
      const startMs = Math.floor((o.warmupUntilMs + (0.1 + 0.4 * r()) * (o.endMs - o.warmupUntilMs)) / HOUR_MS) * HOUR_MS
      const transformer = 'transformer' in c.device.asset ? String(c.device.asset.transformer) : ''
      out.push({ kind, meter: c.device.asset.id, startMs, zone: c.zone, transformer })
    }
  }
  return out
}

const isCustomer = ({ asset }: ZoneDevice) => asset.kind === 'electric_meter' && asset.role === 'customer'

interface Injection {
  labels: Label[]
  /** The record with the faults in it, and what must come before it. */
  apply(record: LogRecord): LogRecord[]
}

export function inject(defs: readonly ZoneDef[], o: Options): Injection {
  const faults = draw(defs, o)
  const byMeter = new Map(faults.map((f) => [f.meter, f]))
  const checkOf = new Map<string, string>()
  const multiplier = new Map<string, number>()
  for (const { asset: a } of defs.flatMap((d) => d.devices)) {
    if (a.kind !== 'electric_meter') continue
    multiplier.set(a.id, a.multiplier ?? 1)
    if (a.role === 'transformer') checkOf.set(a.id, a.transformer ?? '')
  }
  const registers = new Map<string, { raw: number; tsMs: number; shown: number }>()
  /** Transformer -> kWh that the faults have added to what its totalising meter sees. */
  const seen = new Map<string, number>()
  const waiting = faults.filter((f) => f.kind === 'usage_on_inactive' || f.kind === 'tamper').sort((a, b) => a.startMs - b.startMs)

  const changed = (r: Reading): Reading => {
    if (r.quantity !== 'active_energy_import_kwh' || r.phase !== '' || r.tariff !== 0) return r
    const transformer = checkOf.get(r.device)
    if (transformer !== undefined) {
      const kwh = seen.get(transformer) ?? 0
      return kwh === 0 ? r : { ...r, value: round(r.value + kwh / (multiplier.get(r.device) ?? 1)) }
    }
    const f = byMeter.get(r.device)
    if (f === undefined) return r
    const last = registers.get(r.device)
    const state = last ?? { raw: r.value, tsMs: r.tsMs, shown: r.value }
    registers.set(r.device, state)
    // A roll-over or a late read goes through as it is.
    if (r.value < state.raw || r.tsMs <= state.tsMs) return { ...r, value: round(r.value + state.shown - state.raw) }
    const step = r.value - state.raw
    const hours = (r.tsMs - state.tsMs) / HOUR_MS
    const factor = multiplier.get(r.device) ?? 1
    const active = r.tsMs > f.startMs
    const shown = !active
      ? step
      : f.kind === 'zero_usage'
        ? 0
        : f.kind === 'tamper'
          ? step * TAMPERED_SHARE
          : f.kind === 'rising_base'
            ? step + (HANGING_KW * hours) / factor
            : step
    // What is not used, or used more, the totalising meter sees too; what is taken past the meter it saw all along.
    if (active && f.kind !== 'tamper' && f.transformer !== '')
      seen.set(f.transformer, (seen.get(f.transformer) ?? 0) + (shown - step) * factor)
    state.raw = r.value
    state.tsMs = r.tsMs
    state.shown += shown
    return { ...r, value: round(state.shown) }
  }

  const voltages = (r: Reading): Reading[] => {
    const f = byMeter.get(r.device)
    if (f === undefined || (f.kind !== 'phase_loss' && f.kind !== 'voltage') || r.quantity !== 'active_energy_import_kwh') return []
    const active = r.tsMs > f.startMs
    return (['L1', 'L2', 'L3'] as const).map((phase) => {
      const value = f.kind === 'phase_loss' ? (active && phase === 'L2' ? 1.5 : 231) : active ? 256 : 238
      return { ...r, quantity: 'voltage_v' as const, phase, value }
    })
  }

  return {
    labels: faults,
    apply(record) {
      if (record.kind !== 'data') return [record]
      const { readings, events, zone } = record
      const nowMs = readings[0]?.receivedAtMs ?? events[0]?.receivedAtMs ?? 0
      const before: LogRecord[] = []
      let added: DataRecord['events'] = []
      while (waiting[0] !== undefined && waiting[0].startMs <= nowMs) {
        const f = waiting.shift() as Fault
        if (f.kind === 'usage_on_inactive') before.push(withoutAccount(defs, f, nowMs, faults))
        else added = [...added, eventOf(f, nowMs, defs)]
      }
      for (const e of added) {
        const at = byMeter.get(e.device) as Fault
        before.push({ kind: 'data', zone: at.zone, readings: [], events: [e] })
      }
      return [...before, { kind: 'data', zone, readings: readings.flatMap((r) => [changed(r), ...voltages(r)]), events }]
    },
  }
}

/** The zone with the accounts of all contracts that have ended by then taken away. */
function withoutAccount(defs: readonly ZoneDef[], f: Fault, nowMs: number, faults: readonly Fault[]): LogRecord {
  const def = defs.find((d) => d.zone === f.zone) as ZoneDef
  const ended = new Set(faults.filter((x) => x.kind === 'usage_on_inactive' && x.startMs <= f.startMs).map((x) => x.meter))
  const devices = def.devices.map((d) =>
    ended.has(d.asset.id) ? { ...d, asset: { ...d.asset, account: undefined } as ZoneDevice['asset'] } : d,
  )
  return { kind: 'zone', zone: f.zone, receivedAtMs: nowMs, def: { ...def, version: `${def.version}-${f.startMs}-${f.meter}`, devices } }
}

function eventOf(f: Fault, nowMs: number, defs: readonly ZoneDef[]): DataRecord['events'][number] {
  const asset = defs.find((d) => d.zone === f.zone)?.devices.find((d) => d.asset.id === f.meter)?.asset
  const gateway = asset !== undefined && 'gateway' in asset ? String(asset.gateway) : ''
  return { device: f.meter, event: 'cover_open', tsMs: f.startMs, detail: undefined, gateway, receivedAtMs: nowMs }
}

const round = (v: number) => Math.round(v * 100) / 100

/** Days of a meter-month. */
export const MONTH_MS = 30 * DAY_MS
