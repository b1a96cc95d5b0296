// node simulators/bench/storm-cli.ts: a storm through the very folds of the live system, without servers. 100,000 last gasps in 60 s over
// 2,000 of 2,500 transformers on 50 feeders, restoration two hours later, and again two days later. Prints one JSON line a round and exits
// with 1 when an incident is missing, wrong, late or double.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { AssetProperties, ZoneDef, ZoneDevice } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import type { MeterEvent } from '#model/reading.ts'
import type { TicketIntent } from '#model/ticket.ts'
import { DAY_MS, HOUR_MS, parseIso, toIso } from '#model/time.ts'
import { Backtest } from '../../processors/backtest.ts'
import { TOPOLOGY } from '../../processors/topology.ts'
import { hashUniform } from '../random.ts'

const FEEDERS = 50
const TRANSFORMERS = 50
const METERS = 50
/** Feeders that are dark as a whole, and dark transformers on each of the others: 2,000 transformers in all. */
const WHOLE = 30
const PART = 25
const GATEWAYS = 4
const T0 = Date.UTC(2026, 0, 5)
const WITHIN_MS = 10_000
const ROUNDS = 2

const feeder = (f: number): string => `FD-${f + 1}`
const transformer = (f: number, t: number): string => `TX-${f + 1}-${t + 1}`
const meter = (f: number, t: number, m: number): string => `EM-${f + 1}-${t + 1}-${m + 1}`
const gateway = (f: number, m: number): string => `GW-${f + 1}-${(m % GATEWAYS) + 1}`
const isDark = (f: number, t: number): boolean => f < WHOLE || t < PART

function zoneOf(f: number): ZoneDef {
  const devices: ZoneDevice[] = []
  for (let t = 0; t < TRANSFORMERS; t++) {
    for (let m = 0; m < METERS; m++) {
      const asset = {
        id: meter(f, t, m),
        kind: 'electric_meter',
        role: 'customer',
        transformer: transformer(f, t),
        feeder: feeder(f),
        gateway: gateway(f, m),
        interval_s: 1800,
      } as AssetProperties
      devices.push({ asset, primary: true, segment: 'general', lon: undefined, lat: undefined })
    }
  }
  return {
    zone: feeder(f),
    kind: 'feeder',
    version: '1',
    timezone: 'UTC',
    warmupUntilMs: 0,
    area: { id: feeder(f), kind: 'feeder', substation: `SS-${(f % 5) + 1}` },
    devices,
    transformers: Array.from({ length: TRANSFORMERS }, (_, t) => ({
      asset: { id: transformer(f, t), kind: 'transformer', feeder: feeder(f), rating_kva: 250 },
      at: [],
    })),
    network: [],
    gateways: Array.from({ length: GATEWAYS }, (_, g) => ({ id: gateway(f, g), zones: [feeder(f)] })),
  }
}

interface Wave {
  event: MeterEvent['event']
  fromMs: number
  /** Each transformer within so long, each message within so long after. */
  spreadMs: number
}

/** Messages of a wave in order of arrival, a hundred at a time and feeder. */
function* messages(w: Wave): Generator<{ atMs: number; zone: string; events: MeterEvent[] }> {
  const all: MeterEvent[] = []
  for (let f = 0; f < FEEDERS; f++) {
    for (let t = 0; t < TRANSFORMERS; t++) {
      if (!isDark(f, t)) continue
      for (let m = 0; m < METERS; m++) {
        const k = (f * TRANSFORMERS + t) * METERS + m
        const receivedAtMs = w.fromMs + 5_000 + Math.floor(w.spreadMs * hashUniform(1, k, w.event.length))
        all.push({
          device: meter(f, t, m),
          event: w.event,
          tsMs: w.fromMs + (k % 3) * 1000,
          detail: undefined,
          gateway: gateway(f, m),
          receivedAtMs,
        })
      }
    }
  }
  all.sort((a, b) => a.receivedAtMs - b.receivedAtMs)
  for (let at = 0; at < all.length; at += 5_000) {
    const batch = Map.groupBy(all.slice(at, at + 5_000), (e) => e.device.split('-')[1] as string)
    for (const [f, events] of batch) {
      const last = events.at(-1) as MeterEvent
      yield { atMs: last.receivedAtMs, zone: `FD-${f}`, events }
    }
  }
}

function heapMb(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return Math.round(process.memoryUsage().heapUsed / 1e6)
}

const cpuS = (): number => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage()
  return (userCPUTime + systemCPUTime) / 1e6
}

const findings = new Map<string, Finding>()
const tickets = new Map<string, TicketIntent>()
const problems: string[] = []
const backtest = new Backtest({
  topology: TOPOLOGY,
  emit: new Set(['findings', 'tickets']),
  write: (line) => {
    const x = JSON.parse(line) as Finding | TicketIntent
    if (x.type === 'finding') findings.set(x.id, x)
    else tickets.set(x.key, x)
  },
  onFault: (part, error) => problems.push(`fault in ${part}: ${String(error)}`),
})

let nextMs = T0
function ticksTo(ms: number, stepMs = 10_000): void {
  for (; nextMs <= ms; nextMs += stepMs)
    backtest.apply({ kind: 'tick', nowMs: nextMs, ingest: 'storm', brokerConnected: true, gatewaysOnline: FEEDERS * GATEWAYS })
}

function run(w: Wave): { lastMs: number; sent: number } {
  let lastMs = 0
  let sent = 0
  for (const { atMs, zone, events } of messages(w)) {
    ticksTo(atMs - 1)
    backtest.apply({ kind: 'data', zone, readings: [], events })
    lastMs = Math.max(lastMs, atMs)
    sent += events.length
  }
  return { lastMs, sent }
}

/** What must stand ten seconds after the last gasp, and nothing else. */
function check(lastMs: number, startMs: number): { right: number; wanted: number } {
  const open = [...findings.values()].filter((f) => f.kind === 'outage' && f.withdrawn !== true && parseIso(f.startedAt) >= startMs)
  const wanted = new Set<string>()
  for (let f = 0; f < FEEDERS; f++) {
    if (f < WHOLE) wanted.add(`feeder ${feeder(f)}`)
    else for (let t = 0; t < PART; t++) wanted.add(`transformer ${transformer(f, t)}`)
  }
  let right = 0
  for (const f of open) {
    // It gathers feeders that are checked one by one.
    if (f.scope.type === 'substation') continue
    const scope = `${f.scope.type} ${f.scope.id}`
    const meters = f.scope.type === 'feeder' ? TRANSFORMERS * METERS : METERS
    if (!wanted.delete(scope)) problems.push(`${scope}: not dark, or said twice`)
    else if (f.affected?.length !== meters) problems.push(`${scope}: ${f.affected?.length} meters instead of ${meters}`)
    else if (parseIso(f.updatedAt) > lastMs + WITHIN_MS) problems.push(`${scope}: right only at ${f.updatedAt}`)
    else right += 1
  }
  for (const scope of [...wanted].slice(0, 10)) problems.push(`${scope}: missing`)
  return { right, wanted: WHOLE + (FEEDERS - WHOLE) * PART }
}

for (let f = 0; f < FEEDERS; f++) backtest.apply({ kind: 'zone', zone: feeder(f), receivedAtMs: T0, def: zoneOf(f) })
ticksTo(T0 + HOUR_MS, 60_000)
for (let round = 0; round < ROUNDS; round++) {
  const startMs = nextMs
  const heapBefore = heapMb()
  const cpuBefore = cpuS()
  const { lastMs, sent } = run({ event: 'power_lost', fromMs: startMs, spreadMs: 60_000 })
  ticksTo(lastMs + WITHIN_MS)
  const cpu = cpuS() - cpuBefore
  backtest.apply({ kind: 'tick', nowMs: nextMs, ingest: 'storm', brokerConnected: true, gatewaysOnline: FEEDERS * GATEWAYS })
  const { right, wanted } = check(lastMs, startMs)
  const heapDuring = heapMb()
  ticksTo(lastMs + 5 * 60_000)
  const opened = [...tickets.values()].filter((t) => t.class === 'outage' && t.closedAt === null).length
  run({ event: 'power_restored', fromMs: startMs + 2 * HOUR_MS, spreadMs: 60_000 })
  ticksTo(startMs + 3 * HOUR_MS, 60_000)
  const still = [...findings.values()].filter((f) => f.kind === 'outage' && f.withdrawn !== true && f.clearedAt === null).length
  if (still > 0) problems.push(`${still} outages still open after restoration`)
  // Ended interruptions can be revised for two days.
  ticksTo(startMs + 3 * DAY_MS, 600_000)
  findings.clear()
  tickets.clear()
  const line = {
    storm: round + 1,
    at: toIso(startMs),
    gasps: sent,
    incidents: wanted,
    right,
    tickets: opened,
    cpuS: Math.round(cpu * 10) / 10,
  }
  process.stdout.write(`${JSON.stringify({ ...line, heapMb: { before: heapBefore, during: heapDuring, after: heapMb() } })}\n`)
}
for (const p of problems.slice(0, 20)) process.stderr.write(`${p}\n`)
if (problems.length > 0) process.exitCode = 1
