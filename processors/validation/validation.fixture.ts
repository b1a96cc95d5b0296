// A zone with a few devices and a validator in it, for tests: readings in, everything that came out, by the last revision.
import { deserialize, serialize } from 'node:v8'
import { AssetProperties, type Operation, type ZoneDef, type ZoneDevice } from '#model/asset.ts'
import type { Edit, Recalculation } from '#model/edit.ts'
import type { Interval, MeterDay } from '#model/interval.ts'
import type { Refusal } from '#model/outcome.ts'
import type { EventName, Quantity } from '#model/quantity.ts'
import type { Reading } from '#model/reading.ts'
import { MINUTE_MS } from '#model/time.ts'
import type { ValidatedRead, ZoneContext } from '../fold.ts'
import { validation } from './index.ts'
import { ValidationSettings } from './settings.ts'
import type { ValidationState } from './state.ts'
import type { ValidatorContext } from './validator.ts'

export const MIDNIGHT = Date.UTC(2025, 10, 3) // a Monday
export const QUARTER = 15 * MINUTE_MS

export const aMeter = (more: Record<string, unknown> = {}): AssetProperties =>
  AssetProperties.parse({
    id: 'E-1',
    kind: 'electric_meter',
    feeder: 'F',
    gateway: 'G',
    role: 'customer',
    digits: 5,
    decimals: 2,
    multiplier: 1,
    interval_s: 900,
    max_kw: 44,
    ...more,
  })

export const aWaterMeter = (more: Record<string, unknown> = {}): AssetProperties =>
  AssetProperties.parse({ id: 'W-1', kind: 'water_meter', dma: 'A', gateway: 'G', interval_s: 3600, ...more })

export const aSensor = (more: Record<string, unknown> = {}): AssetProperties =>
  AssetProperties.parse({ id: 'P-1', kind: 'pressure_sensor', dma: 'A', gateway: 'G', interval_s: 300, ...more })

export interface Read {
  device?: string
  quantity?: Quantity
  ts: number
  value: number
  /** Receipt; 30 s after ts when left out. */
  at?: number
  channel?: string
}

/** A validator at work on one zone. */
export class Bench {
  state: ValidationState
  accepted: ValidatedRead[] = []
  duplicates: Reading[] = []
  refused: { reading: Reading; reason: Refusal }[] = []
  intervals: Interval[] = []
  days: MeterDay[] = []
  recalculations: Omit<Recalculation, 'zone'>[] = []
  /** Local day, rule and class -> firings, as last told. */
  counts = new Map<string, number>()
  nowMs = 0
  readonly #devices: Map<string, ZoneDevice>
  readonly zone: ZoneContext
  readonly #ctx: ValidatorContext<ValidationSettings>

  constructor(assets: AssetProperties[], options: { timezone?: string; settings?: Record<string, unknown>; kind?: ZoneDef['kind'] } = {}) {
    this.#devices = new Map(assets.map((asset) => [asset.id, { asset, primary: true, segment: undefined, lon: undefined, lat: undefined }]))
    const devices = [...this.#devices.values()]
    const zone = {
      def: {
        zone: 'F',
        kind: options.kind ?? 'feeder',
        version: '1',
        timezone: options.timezone ?? 'UTC',
        warmupUntilMs: 0,
        area: undefined,
        devices,
        transformers: [],
        network: [],
        gateways: [],
      },
      device: (id: string) => this.#devices.get(id),
      devicesOf: (kind: string) => [...this.#devices.values()].filter((d) => d.asset.kind === kind),
      metersOfTransformer: () => [],
      devicesOfGateway: () => [],
    } satisfies ZoneContext
    this.zone = zone
    const bench = this
    this.#ctx = {
      get nowMs() {
        return bench.nowMs
      },
      zone,
      settings: ValidationSettings.parse(options.settings ?? {}),
      operations: [],
      accept: (r) => this.accepted.push(r),
      duplicate: (r) => this.duplicates.push(r),
      refuse: (reading, reason) => this.refused.push({ reading, reason }),
      interval: (i) => this.intervals.push(i),
      day: (d) => this.days.push(d),
      recalculate: (r) => this.recalculations.push(r),
      ruleCount: (c) => this.counts.set(`${c.date}|${c.rule}|${c.class}`, c.fired),
    }
    this.state = validation.create(zone)
  }

  /** Ticks each minute up to a time (hourly over long silences, so that tests stay quick). */
  wait(untilMs: number): this {
    const step = untilMs - this.nowMs > 3 * 3_600_000 ? 10 * MINUTE_MS : MINUTE_MS
    for (let at = Math.max(this.nowMs, this.nowMs === 0 ? untilMs : this.nowMs); at <= untilMs; at += step) {
      this.nowMs = at
      validation.onTick?.(this.state, { kind: 'tick', nowMs: at, ingest: 'i', brokerConnected: true, gatewaysOnline: 1 }, this.#ctx)
    }
    return this
  }

  read(r: Read): this {
    const device = r.device ?? ([...this.#devices.keys()][0] as string)
    const info = this.#devices.get(device) as ZoneDevice
    const receivedAtMs = r.at ?? r.ts + 30_000
    if (receivedAtMs - this.nowMs >= MINUTE_MS) this.wait(receivedAtMs)
    this.nowMs = Math.max(this.nowMs, receivedAtMs)
    const quantity =
      r.quantity ??
      (info.asset.kind === 'water_meter'
        ? 'water_volume_m3'
        : info.asset.kind === 'electric_meter'
          ? 'active_energy_import_kwh'
          : 'pressure_bar')
    validation.onReading(
      this.state,
      {
        device,
        quantity,
        phase: '',
        tariff: 0,
        channel: r.channel ?? '',
        tsMs: r.ts,
        value: r.value,
        flags: undefined,
        gateway: 'G',
        receivedAtMs,
        seq: -1,
        redelivered: false,
      },
      info,
      this.#ctx,
    )
    return this
  }

  /** Reads of a register every interval from a time on, one for each value; NaN leaves one out. */
  run(startMs: number, values: readonly number[], stepMs = QUARTER): this {
    values.forEach((value, i) => {
      if (!Number.isNaN(value)) this.read({ ts: startMs + i * stepMs, value })
    })
    return this
  }

  event(event: EventName, tsMs: number, detail?: Record<string, unknown>): this {
    this.nowMs = Math.max(this.nowMs, tsMs)
    const info = [...this.#devices.values()][0] as ZoneDevice
    validation.onEvent?.(
      this.state,
      { device: info.asset.id, event, tsMs, detail, gateway: 'G', receivedAtMs: this.nowMs },
      info,
      this.#ctx,
    )
    return this
  }

  edit(e: Edit): this {
    validation.onEdit?.(this.state, e, this.#ctx)
    return this
  }

  operation(o: Operation): this {
    validation.onOperation?.(this.state, o, this.#ctx)
    return this
  }

  /** The registry says something else of a device from here on. */
  rezone(asset: AssetProperties | undefined, id = asset?.id ?? ''): this {
    if (asset === undefined) this.#devices.delete(id)
    else this.#devices.set(id, { asset, primary: true, segment: undefined, lon: undefined, lat: undefined })
    this.zone.def.devices.splice(0, Infinity, ...this.#devices.values())
    validation.onZone?.(this.state, this.#ctx)
    return this
  }

  /** Firings of a rule, all days and classes together. */
  fired(rule: string): number {
    let n = 0
    for (const [key, count] of this.counts) if (key.split('|')[1] === rule) n += count
    return n
  }

  /** Through storage and back. */
  restart(): this {
    this.state = deserialize(serialize(this.state)) as ValidationState
    return this
  }

  /** The last revision of each interval, by its end. */
  last(device?: string): Interval[] {
    const byEnd = new Map<string, Interval>()
    for (const i of this.intervals)
      if (device === undefined || i.meter === device) byEnd.set(`${i.meter}|${i.quantity}|${i.channel}|${i.endMs}`, i)
    return [...byEnd.values()].sort((a, b) => a.endMs - b.endMs)
  }

  /** The last revision of each day. */
  lastDays(): MeterDay[] {
    const by = new Map<string, MeterDay>()
    for (const d of this.days) by.set(`${d.meter}|${d.quantity}|${d.channel}|${d.date}`, d)
    return [...by.values()].sort((a, b) => (a.date < b.date ? -1 : 1))
  }
}
