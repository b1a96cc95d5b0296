// A small feeder that lives: meters with load, registers, clocks and gateways, outages with last gasps, gateways that fail. Seeded.
import type { AssetProperties, ZoneDef, ZoneDevice } from '#model/asset.ts'
import type { Finding, Summary } from '#model/finding.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import type { LogRecord } from '#model/telemetry.ts'
import type { AnyDetector } from '../fold.ts'
import { plainValidator } from '../zone-fold.fixture.ts'
import { createZoneFold, type ZoneFold, type ZoneOutputs } from '../zone-fold.ts'

export const T0 = Date.UTC(2026, 2, 2)
const MINUTE = 60_000

/** Mulberry32: small, seeded, good enough for tests. */
export function random(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = a
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export interface TownOptions {
  transformers?: number
  metersEach?: number
  /** Meters are dealt to gateways in turn; `of` overrides. */
  gateways?: number
  gatewayOf?: (meter: number, transformer: number) => string
  checkMeters?: boolean
  stepS?: number
  timezone?: string
  zone?: string
}

export interface Off {
  /** Meters, or all of a transformer. */
  meters?: string[]
  transformers?: string[]
  fromMs: number
  toMs: number
  gaspRate?: number
  restoreRate?: number
}

export interface GatewayFailure {
  gateway: string
  fromMs: number
  toMs: number
  lastWill?: boolean
  /** Reads kept and sent afterwards; else lost. */
  backfill?: boolean
}

export interface Life {
  fromMs?: number
  toMs: number
  seed?: number
  off?: Off[]
  failures?: GatewayFailure[]
  /** Meters whose reads alone are lost. */
  mute?: { meter: string; fromMs: number; toMs: number }[]
  /** Clock error by meter, ms: positive is fast. */
  clockMs?: Record<string, number>
  /** Share of reads that come hours late. */
  lateRate?: number
  kw?: (meter: string, ms: number) => number
  unhealthy?: { fromMs: number; toMs: number }
}

export function aTown(o: TownOptions = {}) {
  const { transformers = 3, metersEach = 6, gateways = 3, checkMeters = true, stepS = 900, timezone = 'UTC', zone = 'F1' } = o
  const devices: ZoneDevice[] = []
  const device = (asset: AssetProperties): void => void devices.push({ asset, primary: true, segment: 'general', lon: 0, lat: 0 })
  const txs = Array.from({ length: transformers }, (_, t) => `T${t + 1}`)
  let n = 0
  for (const [t, id] of txs.entries()) {
    for (let k = 0; k < metersEach; k++) {
      n += 1
      const gateway = o.gatewayOf?.(n - 1, t) ?? `G${((n - 1 + t) % gateways) + 1}`
      device({
        id: `E${n}`,
        kind: 'electric_meter',
        transformer: id,
        feeder: zone,
        gateway,
        role: 'customer',
        digits: 6,
        decimals: 2,
        multiplier: 1,
        interval_s: stepS,
        max_kw: 44,
        account: `A${n}`,
        registered_generation_kwp: undefined,
        has_last_gasp: undefined,
      })
    }
    if (checkMeters) {
      device({
        id: `C${t + 1}`,
        kind: 'electric_meter',
        transformer: id,
        feeder: zone,
        gateway: 'GS',
        role: 'transformer',
        digits: 6,
        decimals: 2,
        multiplier: 1,
        interval_s: stepS,
        max_kw: undefined,
        account: undefined,
        registered_generation_kwp: undefined,
        has_last_gasp: undefined,
      })
    }
  }
  const ids = [...new Set(devices.map((d) => ('gateway' in d.asset ? String(d.asset.gateway) : '')))].sort()
  const def: ZoneDef = {
    zone,
    kind: 'feeder',
    version: '1',
    timezone,
    warmupUntilMs: 0,
    area: { id: zone, kind: 'feeder', substation: 'S1' },
    devices,
    transformers: txs.map((id) => ({ asset: { id, kind: 'transformer', feeder: zone, rating_kva: 100 }, at: [0, 0] })),
    network: [],
    gateways: ids.map((id) => ({ id, zones: id === 'GS' ? [zone, 'F2'] : [zone] })),
  }
  return { def, txs, stepMs: stepS * 1000, meters: devices.map((d) => d.asset.id) }
}
export type Town = ReturnType<typeof aTown>

interface Entry {
  atMs: number
  order: number
  record: LogRecord
}

/** The log of a town's life, in order of arrival, ticks included. */
export function logOf(town: Town, life: Life): LogRecord[] {
  const { fromMs = T0, toMs, seed = 1, off = [], failures = [], mute = [], clockMs = {}, lateRate = 0 } = life
  const rnd = random(seed)
  const { def, stepMs } = town
  const entries: Entry[] = []
  const put = (atMs: number, record: LogRecord): void => void entries.push({ atMs, order: entries.length, record })
  const zone = def.zone
  const isOff = (id: string, transformer: string, ms: number) =>
    off.some((x) => ms >= x.fromMs && ms < x.toMs && (x.meters?.includes(id) || x.transformers?.includes(transformer)))
  const failureAt = (gateway: string, ms: number) => failures.find((f) => f.gateway === gateway && ms >= f.fromMs && ms < f.toMs)
  const own = new Map(def.devices.map((d) => [d.asset.id, 0.15 + rnd() * 0.6]))
  const load = life.kw ?? ((id: string, ms: number) => (own.get(id) as number) * (0.6 + 0.4 * Math.sin(ms / 7e6) ** 2 + 0.6 * hash(id, ms)))
  for (const d of def.devices) {
    const a = d.asset
    if (a.kind !== 'electric_meter') continue
    const transformer = a.transformer as string
    const clock = clockMs[a.id] ?? 0
    let register = 1000 + rnd() * 1000
    let kept = 0
    for (let t = fromMs; t <= toMs; t += stepMs) {
      // In one-minute steps, so that an outage inside an interval counts.
      for (let ms = t - stepMs; ms < t && t > fromMs; ms += MINUTE) {
        if (!isOff(a.id, transformer, ms)) register += (a.role === 'customer' ? load(a.id, ms) : 3) / 60
      }
      // The meter reads at quarters of its own clock.
      const taken = t - clock
      const delay = 5_000 + rnd() * 80_000
      const late = rnd() < lateRate ? rnd() * 6 * 3_600_000 : 0
      if (isOff(a.id, transformer, taken) || mute.some((m) => m.meter === a.id && taken >= m.fromMs && taken < m.toMs)) continue
      let atMs = taken + delay + late
      const failure = failureAt(a.gateway, taken)
      if (failure !== undefined) {
        if (!failure.backfill) continue
        atMs = failure.toMs + 10_000 + kept++ * 2_000
      }
      const base = {
        device: a.id,
        phase: '',
        tariff: 0,
        channel: '',
        tsMs: t,
        flags: undefined,
        gateway: a.gateway,
        receivedAtMs: atMs,
        seq: -1,
        redelivered: false,
      } as const
      const value = Math.round(register * 100) / 100
      const readings: Reading[] = [
        { ...base, quantity: 'active_energy_import_kwh', value },
        { ...base, quantity: 'active_energy_export_kwh', value: 0 },
      ]
      put(atMs, { kind: 'data', zone, readings, events: [] })
    }
    for (const x of off) {
      if (!(x.meters?.includes(a.id) || x.transformers?.includes(transformer)) || a.role !== 'customer') continue
      const event = (name: MeterEvent['event'], ms: number, maxDelay: number, rate: number): void => {
        const delay = 2_000 + rnd() * maxDelay
        if (rnd() >= rate || failureAt(a.gateway, ms) !== undefined) return
        const e: MeterEvent = {
          device: a.id,
          event: name,
          tsMs: Math.round((ms + clock) / 1000) * 1000,
          detail: undefined,
          gateway: a.gateway,
          receivedAtMs: ms + delay,
        }
        put(ms + delay, { kind: 'data', zone, readings: [], events: [e] })
      }
      event('power_lost', x.fromMs + rnd() * 1500, 40_000, x.gaspRate ?? 0.6)
      event('power_restored', x.toMs + rnd() * 1500, 120_000, x.restoreRate ?? 0.8)
    }
  }
  for (const f of failures) {
    if (f.lastWill !== true) continue
    put(f.fromMs + 90_000, {
      kind: 'gateway',
      zone,
      receivedAtMs: f.fromMs + 90_000,
      gateway: f.gateway,
      online: false,
      tsMs: f.fromMs + 20_000,
    })
    put(f.toMs + 5_000, { kind: 'gateway', zone, receivedAtMs: f.toMs + 5_000, gateway: f.gateway, online: true, tsMs: f.toMs + 5_000 })
  }
  const u = life.unhealthy
  for (let t = fromMs; t <= toMs; t += 10_000) {
    const ill = u !== undefined && t >= u.fromMs && t < u.toMs
    put(t, { kind: 'tick', nowMs: t, ingest: 'i', brokerConnected: !ill, gatewaysOnline: def.gateways.length })
  }
  const all =
    u === undefined
      ? entries
      : entries.map((e) =>
          e.record.kind === 'data' && e.atMs >= u.fromMs && e.atMs < u.toMs ? { ...e, atMs: u.toMs + (e.atMs - u.fromMs) / 100 } : e,
        )
  all.sort((a, b) => a.atMs - b.atMs || a.order - b.order)
  return [{ kind: 'zone', zone, receivedAtMs: 0, def }, ...all.map((e) => restamp(e))]
}

/** What our own failure held back arrives later than it was sent. */
function restamp({ atMs, record }: Entry): LogRecord {
  if (record.kind !== 'data') return record
  const again = record.readings.map((r) => (r.receivedAtMs === atMs ? r : { ...r, receivedAtMs: atMs }))
  return { ...record, readings: again, events: record.events.map((e) => ({ ...e, receivedAtMs: atMs })) }
}

function hash(id: string, ms: number): number {
  let h = Math.floor(ms / 900_000)
  for (let k = 0; k < id.length; k++) h = Math.imul(h ^ id.charCodeAt(k), 0x9e3779b1)
  return ((h ^ (h >>> 13)) >>> 0) / 4294967296
}

export interface Run {
  findings: Finding[]
  summaries: Summary[]
  /** [asset, time, value] of computed values. */
  computed: [string, number, number][]
  /** Newest revision of each, withdrawn ones left out. */
  final: Finding[]
  faults: string[]
}

/** Folds a log with some detectors. */
export function runZone(log: Iterable<LogRecord>, detectors: readonly AnyDetector[]): Run {
  const findings: Finding[] = []
  const summaries: Summary[] = []
  const faults: string[] = []
  const computed: Run['computed'] = []
  const none = () => undefined
  const out: ZoneOutputs = {
    reading: none,
    event: none,
    interval: none,
    day: none,
    ruleCount: none,
    recalculation: none,
    quarantine: none,
    computed: (_zone, v) => void computed.push([v.asset, v.tsMs, v.value]),
    finding: (f) => void findings.push(structuredClone(f)),
    summary: (x) => void summaries.push(structuredClone(x)),
    fault: (zone, part, error) => void faults.push(`${zone} ${part} ${String(error)}`),
  }
  let fold: ZoneFold | undefined
  for (const record of log) {
    if (record.kind === 'zone') fold ??= createZoneFold({ zone: record.zone, detectors, validator: plainValidator })
    fold?.apply(record, out)
  }
  const last = new Map(findings.map((f) => [f.id, f]))
  return { findings, summaries, computed, final: [...last.values()].filter((f) => f.withdrawn !== true), faults }
}

export interface Use {
  days: number
  fromMs?: number
  /** True power of a customer, kW. */
  kw: (meter: string, ms: number) => number
  /** What its meter sees of it; all by default. Negative: it exports. */
  seenKw?: (meter: string, ms: number, kw: number) => number
  /** Reads of a register that stands still. */
  stuck?: (meter: string, ms: number) => boolean
  /** No read. */
  missing?: (meter: string, ms: number) => boolean
  /** Loss of the transformer: share of the load, and constant, kW. */
  lossShare?: number
  ironKw?: number
  /** More that goes through the totalising meter and past all meters, kW. */
  takenKw?: (transformer: string, ms: number) => number
}

/** Weeks of consumption, read every interval; ticks every ten minutes. */
export function* useOf(town: Town, use: Use): Generator<LogRecord> {
  const { fromMs = T0, days, kw, lossShare = 0.02, ironKw = 0.1 } = use
  const { def, stepMs } = town
  const zone = def.zone
  yield { kind: 'zone', zone, receivedAtMs: 0, def }
  const registers = new Map<string, [number, number]>(def.devices.map((d) => [d.asset.id, [1000, 0]]))
  const hours = stepMs / 3_600_000
  for (let t = fromMs; t <= fromMs + days * 86_400_000; t += stepMs) {
    const sums = new Map<string, number>()
    const readings: Reading[] = []
    for (const d of def.devices) {
      const a = d.asset
      if (a.kind !== 'electric_meter') continue
      const id = a.id
      const r = registers.get(id) as [number, number]
      const transformer = a.transformer as string
      let seen: number
      if (a.role === 'customer') {
        const real = kw(id, t - stepMs)
        seen = use.seenKw?.(id, t - stepMs, real) ?? real
        sums.set(transformer, (sums.get(transformer) ?? 0) + (seen < 0 ? seen : real))
      } else {
        const sum = (sums.get(transformer) ?? 0) + (use.takenKw?.(transformer, t - stepMs) ?? 0)
        seen = sum + Math.abs(sum) * lossShare + ironKw
      }
      if (t > fromMs && use.stuck?.(id, t) !== true) r[seen >= 0 ? 0 : 1] += Math.abs(seen) * hours
      if (use.missing?.(id, t) === true) continue
      const base = {
        device: id,
        phase: '',
        tariff: 0,
        channel: '',
        tsMs: t,
        flags: undefined,
        gateway: a.gateway,
        receivedAtMs: t + 40_000,
        seq: -1,
        redelivered: false,
      } as const
      readings.push(
        { ...base, quantity: 'active_energy_import_kwh', value: Math.round(r[0] * 100) / 100 },
        { ...base, quantity: 'active_energy_export_kwh', value: Math.round(r[1] * 100) / 100 },
      )
    }
    yield { kind: 'data', zone, readings, events: [] }
    for (let m = 60_000; m < stepMs; m += 600_000) {
      yield { kind: 'tick', nowMs: t + m, ingest: 'i', brokerConnected: true, gatewaysOnline: def.gateways.length }
    }
  }
}

/** A household: base load, morning and evening, weekends, noise of its own. About 0.2 to 1 kW in the mean. */
export function household(id: string, ms: number): number {
  const hour = (ms / 3_600_000) % 24
  const size = 0.3 + hash(id, 0)
  const peak = Math.exp(-(((hour - 19) / 2.5) ** 2)) + 0.5 * Math.exp(-(((hour - 7) / 1.5) ** 2))
  const weekend = Math.floor(ms / 86_400_000 + 4) % 7 >= 5 ? 1.2 : 1
  return size * (0.25 + 1.4 * peak * weekend * (0.5 + hash(id, ms)) + 0.4 * hash(`${id}x`, ms))
}
