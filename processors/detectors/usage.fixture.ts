// Days, events and ticks for detectors that think in days: a zone of customers, a clock, and what they say.
import type { AssetProperties, Operation, Segment, ZoneDef, ZoneDevice } from '#model/asset.ts'
import type { FindingDraft } from '#model/finding.ts'
import type { Interval, MeterDay } from '#model/interval.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import type { Detector, DetectorContext, ValidatedRead } from '../fold.ts'
import { createZoneContext } from '../zone-context.ts'

export const FIRST = Date.UTC(2026, 0, 5)
export const dateOf = (day: number) => new Date(FIRST + day * DAY_MS).toISOString().slice(0, 10)

export interface Premise {
  id: string
  kind?: 'water_meter' | 'electric_meter'
  segment?: Segment
  account?: string | undefined
  more?: Record<string, unknown>
}

export function zoneOf(premises: readonly Premise[], o: { totalised?: boolean } = {}): ZoneDef {
  const device = (asset: Record<string, unknown>, segment: Segment = 'general'): ZoneDevice => ({
    asset: asset as unknown as AssetProperties,
    primary: true,
    segment,
    lon: 0,
    lat: 0,
  })
  const devices = premises.map((p) =>
    device(
      {
        id: p.id,
        kind: p.kind ?? 'electric_meter',
        gateway: 'G',
        role: 'customer',
        transformer: 'T',
        feeder: 'Z',
        account: 'account' in p ? p.account : `A-${p.id}`,
        interval_s: 900,
        ...p.more,
      },
      p.segment,
    ),
  )
  if (o.totalised === true)
    devices.push(
      device({ id: 'CHECK', kind: 'electric_meter', gateway: 'G', role: 'transformer', transformer: 'T', feeder: 'Z', interval_s: 900 }),
    )
  return {
    zone: 'Z',
    kind: 'feeder',
    version: '1',
    timezone: 'UTC',
    warmupUntilMs: 0,
    area: undefined,
    devices,
    transformers: [],
    network: [],
    gateways: [],
  }
}

/** Runs one detector; what it emits is kept in order. */
export function drive<S, C>(detector: Detector<S, C>, def: ZoneDef, operations: Operation[] = [], settings: Partial<C> = {}) {
  let zone = createZoneContext(def)
  const said: FindingDraft[] = []
  let nowMs = FIRST
  const ctx: DetectorContext<C> = {
    get nowMs() {
      return nowMs
    },
    get zone() {
      return zone
    },
    settings: detector.settings.parse(settings),
    operations,
    warmingUp: false,
    emit: (draft) => void said.push(structuredClone(draft)),
    summarise: () => undefined,
    measure: () => undefined,
  }
  let state = detector.create(zone)
  const info = (id: string) => zone.device(id) as ZoneDevice
  return {
    said,
    /** Open ones: what was said last of each. */
    open: () => [...new Map(said.map((d) => [`${d.scope.id}|${d.subtype}`, d])).values()].filter((d) => d.clearedAtMs === null),
    day(meter: string, no: number, value: number, more: Partial<MeterDay> = {}) {
      nowMs = FIRST + (no + 1) * DAY_MS + HOUR_MS
      // State must survive being saved.
      state = structuredClone(state)
      const quantity = info(meter).asset.kind === 'water_meter' ? 'water_volume_m3' : 'active_energy_import_kwh'
      const day = {
        meter,
        quantity,
        channel: '',
        date: dateOf(no),
        value,
        actual: 96,
        estimated: 0,
        missing: 0,
        edited: 0,
        estimatedValue: 0,
        tou: undefined,
        rules: [],
        rev: 1,
        ...more,
      }
      detector.onDay?.(state, day as MeterDay, info(meter), ctx)
    },
    interval(meter: string, startMs: number, kwh: number, more: Partial<Interval> = {}) {
      const i = {
        meter,
        quantity: 'active_energy_import_kwh',
        channel: '',
        startMs,
        endMs: startMs + HOUR_MS / 4,
        value: kwh,
        status: 'actual',
        reasons: [],
        rev: 1,
        ...more,
      }
      detector.onInterval?.(state, i as Interval, info(meter), ctx)
    },
    read(device: string, tsMs: number, value: number, more: Partial<ValidatedRead> = {}) {
      nowMs = tsMs
      const r = {
        device,
        quantity: 'voltage_v',
        phase: '',
        tariff: 0,
        channel: '',
        tsMs,
        value,
        flags: undefined,
        gateway: 'G',
        receivedAtMs: tsMs,
        seq: -1,
        redelivered: false,
        quality: 'good',
        rules: [],
        info: info(device),
        ...more,
      }
      detector.onRead?.(state, r as ValidatedRead, ctx)
    },
    event(device: string, event: 'tamper' | 'cover_open' | 'power_lost', tsMs: number) {
      nowMs = tsMs
      detector.onEvent?.(state, { device, event, tsMs, receivedAtMs: tsMs, gateway: 'G', detail: {} } as never, info(device), ctx)
    },
    tick(atMs: number) {
      nowMs = atMs
      detector.onTick?.(state, { kind: 'tick', nowMs: atMs, ingest: 'i', healthy: true } as never, ctx)
    },
    zone(next: ZoneDef) {
      zone = createZoneContext(next)
      detector.onZone?.(state, ctx)
    },
  }
}

/** Seeded, 0 to 1. */
export function chance(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a * 1664525 + 1013904223) >>> 0
    return a / 4294967296
  }
}
