// The truth of a generated power data set, in the shape that power scores read: labels.json, what each meter registered per local day,
// and the intervals whose status cannot be plain `actual`.
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { localDate, localDay, toIso } from '#model/time.ts'
import type { Message } from '../gateways/entry.ts'
import { type PowerStep, QUARTER_MS } from '../power/sim.ts'
import { type Effect, type Outage, supplyEndMs } from '../scenarios/effect.ts'
import type { Town } from '../town/types.ts'

export interface PowerTruthOptions {
  scenario: string
  seed: number
  timezone: string
  startMs: number
  endMs: number
  warmupUntilMs: number
  /** Of the meters' reads. */
  intervalMs: number
  /** Meters that the registry has at another transformer than the one that feeds them. */
  moved: readonly number[]
  /** ... and those that it has at none. */
  homeless: readonly number[]
}

/** Momentary interruptions last at most this long (IEEE 1366). */
const MOMENTARY_MS = 300_000

export class PowerTruth {
  readonly #town: Town
  readonly #o: PowerTruthOptions
  readonly #customers: number[]
  readonly #indexOf: Map<string, number>
  readonly #reads: number
  /** By customer and interval: 1 when the import read at its end was delivered. */
  readonly #delivered: Uint8Array
  readonly #daily: { import: Float64Array; export: Float64Array }[]
  readonly #dates: string[] = []

  constructor(town: Town, o: PowerTruthOptions) {
    this.#town = town
    this.#o = o
    this.#customers = town.power.meters.flatMap((m, i) => (m.role === 'customer' ? [i] : []))
    this.#indexOf = new Map(this.#customers.map((m, k) => [town.power.meters[m]?.id as string, k]))
    this.#reads = Math.floor((o.endMs - o.startMs) / o.intervalMs) + 1
    this.#delivered = new Uint8Array(this.#customers.length * this.#reads)
    this.#daily = this.#customers.map(() => ({ import: new Float64Array(0), export: new Float64Array(0) }))
    for (let at = o.startMs; at < o.endMs; at += QUARTER_MS) {
      const date = localDate(o.timezone, at)
      if (this.#dates[this.#dates.length - 1] !== date) this.#dates.push(date)
    }
    this.#daily = this.#customers.map(() => ({
      import: new Float64Array(this.#dates.length),
      export: new Float64Array(this.#dates.length),
    }))
  }

  /** A quarter hour that ends at `endMs`. */
  add(endMs: number, step: PowerStep): void {
    if (endMs <= this.#o.startMs) return
    const day = this.#dates.indexOf(localDate(this.#o.timezone, endMs - QUARTER_MS))
    this.#customers.forEach((m, k) => {
      const d = this.#daily[k] as { import: Float64Array; export: Float64Array }
      d.import[day] = (d.import[day] as number) + (step.registeredKwh[m] as number)
      d.export[day] = (d.export[day] as number) + (step.exportKwh[m] as number)
    })
  }

  deliver(m: Message): void {
    if (m.kind !== 'readings') return
    for (const r of m.readings) {
      const k = this.#indexOf.get(r.device)
      if (k === undefined || r.quantity !== 'active_energy_import_kwh') continue
      this.#delivered[k * this.#reads + (r.tsMs - this.#o.startMs) / this.#o.intervalMs] = 1
    }
  }

  labels(effects: readonly Effect[]): Record<string, unknown> {
    const { meters } = this.#town.power
    const ended = (ms: number): string => toIso(Math.min(ms, this.#o.endMs))
    const idOf = (m: number): string => meters[m]?.id as string
    const outages = effects.filter((e): e is Outage => e.type === 'outage')
    const kinds: Partial<Record<Effect['type'], string>> = { bypass: 'bypass', hidden_solar: 'reverse_flow', high_usage: 'high_usage' }
    return {
      scenario: this.#o.scenario,
      seed: this.#o.seed,
      scored_from: toIso(this.#o.warmupUntilMs),
      scored_to: toIso(this.#o.endMs),
      interval_seconds: this.#o.intervalMs / 1000,
      timezone: this.#o.timezone,
      meters: this.#customers.map(idOf),
      faults: [],
      outages: outages.flatMap((o) => this.#outage(o)),
      comms: effects
        .filter((e) => e.type === 'gateway_down')
        .map((e) => ({
          id: e.id,
          cause: 'comms',
          level: 'gateway',
          node: this.#town.gateways[e.gateway]?.id,
          start: toIso(e.startMs),
          end: ended(e.endMs),
          meters: this.#customers.map(idOf).filter((id) => this.#town.gatewayOf[id] === e.gateway),
          lwt: e.will,
          backfilled: e.backfill !== 'lost',
        }))
        .filter((c) => c.meters.length > 0),
      abnormal: effects.flatMap((e) => {
        const kind = kinds[e.type]
        return kind === undefined
          ? []
          : [{ id: e.id, kind, meter_id: idOf((e as { meter: number }).meter), start: toIso(e.startMs), end: ended(e.endMs) }]
      }),
    }
  }

  /** The registry has it elsewhere; with a whole feeder it is dark wherever it is thought to be. */
  #isAlone(o: Outage, m: number): boolean {
    return this.#o.homeless.includes(m) || (o.level === 'transformer' && this.#o.moved.includes(m))
  }

  /** An outage by the registry's topology, and the premises that stay dark in it or that the registry has elsewhere. */
  #outage(o: Outage): Record<string, unknown>[] {
    const { meters, transformers } = this.#town.power
    const idOf = (m: number): string => meters[m]?.id as string
    const span = (endMs: number) => ({ start: toIso(o.startMs), end: toIso(Math.min(endMs, this.#o.endMs)) })
    const customers = o.meters.filter((m) => meters[m]?.role === 'customer')
    const alone = o.level === 'premise' ? [] : customers.filter((m) => o.leftBehind?.includes(m) || this.#isAlone(o, m))
    const back = new Map<number, number>()
    if (o.level !== 'premise') {
      for (const m of customers) {
        const t = meters[m]?.transformer as number
        if (!alone.includes(m)) back.set(t, Math.max(back.get(t) ?? 0, supplyEndMs(o, m)))
      }
    }
    const event = (id: string, level: Outage['level'], node: string, endMs: number) => ({
      id,
      cause: 'power',
      level,
      node,
      momentary: endMs - o.startMs <= MOMENTARY_MS,
      ...span(endMs),
    })
    const whole = {
      ...event(o.id, o.level, o.node, o.endMs),
      planned: o.planned,
      transformers: [...back].map(([t, ms]) => ({ id: transformers[t]?.id, ...span(ms) })),
      meters: customers.map((m) => ({ meter_id: idOf(m), ...span(supplyEndMs(o, m)) })),
    }
    // Their minutes are counted above.
    return [
      whole,
      ...alone.map((m) => ({ ...event(`${o.id}-${idOf(m)}`, 'premise', idOf(m), supplyEndMs(o, m)), transformers: [], meters: [] })),
    ]
  }

  /** truth-daily.csv.gz and truth-status.csv.gz. */
  async write(dir: string, effects: readonly Effect[]): Promise<void> {
    const touched = this.#touchedDays(effects)
    await gzipLines(`${dir}/truth-daily.csv.gz`, 'meter_id,date,import_kwh,export_kwh,clean,resolution_kwh', this.#dailyLines(touched))
    await gzipLines(`${dir}/truth-status.csv.gz`, 'meter_id,interval_end,expected,accept,fault', this.#statusLines(effects))
  }

  /** Days of each customer that a fault touches or in which a read is missing. */
  #touchedDays(effects: readonly Effect[]): Set<string> {
    const out = new Set<string>()
    for (const { k, endMs } of this.#odd(effects)) out.add(`${k}|${localDate(this.#o.timezone, endMs - this.#o.intervalMs)}`)
    return out
  }

  *#dailyLines(touched: ReadonlySet<string>): Generator<string> {
    const { timezone, warmupUntilMs, endMs } = this.#o
    // Whole local days only: where the clocks change, a span of whole weeks does not end at midnight.
    const opening = localDay(timezone, warmupUntilMs)
    const first = this.#dates.indexOf(opening.date) + (opening.startMs < warmupUntilMs ? 1 : 0)
    const closing = this.#dates.indexOf(localDate(timezone, endMs))
    const last = closing < 0 ? this.#dates.length : closing
    for (const [k, m] of this.#customers.entries()) {
      const meter = this.#town.power.meters[m] as { id: string; multiplier: number }
      for (let d = first; d < last; d++) {
        const date = this.#dates[d] as string
        const day = this.#daily[k] as { import: Float64Array; export: Float64Array }
        const clean = touched.has(`${k}|${date}`) ? 0 : 1
        yield `${meter.id},${date},${(day.import[d] as number).toFixed(3)},${(day.export[d] as number).toFixed(3)},${clean},${0.01 * meter.multiplier}`
      }
    }
  }

  *#statusLines(effects: readonly Effect[]): Generator<string> {
    for (const { k, endMs, outage } of this.#odd(effects)) {
      const id = this.#town.power.meters[this.#customers[k] as number]?.id
      yield outage === undefined
        ? `${id},${toIso(endMs)},estimated,estimated,no_read`
        : `${id},${toIso(endMs)},actual,actual|estimated,outage`
    }
  }

  /** Scored intervals of customers that are in an outage or lack a read at one end. */
  *#odd(effects: readonly Effect[]): Generator<{ k: number; endMs: number; outage: Outage | undefined }> {
    const outages = new Map<number, Outage[]>()
    for (const o of effects) if (o.type === 'outage') for (const m of o.meters) outages.set(m, [...(outages.get(m) ?? []), o])
    const { startMs, endMs, warmupUntilMs, intervalMs } = this.#o
    for (const [k, m] of this.#customers.entries()) {
      for (let q = Math.max(1, (warmupUntilMs - startMs) / intervalMs + 1); startMs + q * intervalMs <= endMs; q++) {
        const end = startMs + q * intervalMs
        const outage = outages.get(m)?.find((o) => o.startMs < end && supplyEndMs(o, m) > end - intervalMs)
        const whole = this.#delivered[k * this.#reads + q] === 1 && this.#delivered[k * this.#reads + q - 1] === 1
        if (outage !== undefined || !whole) yield { k, endMs: end, outage }
      }
    }
  }
}

async function gzipLines(path: string, header: string, lines: Iterable<string>): Promise<void> {
  const gzip = createGzip()
  const done = finished(gzip.pipe(createWriteStream(path)))
  let text = `${header}\n`
  for (const line of lines) {
    text += `${line}\n`
    if (text.length < 65_536) continue
    if (!gzip.write(text)) await once(gzip, 'drain')
    text = ''
  }
  gzip.end(text)
  await done
}
