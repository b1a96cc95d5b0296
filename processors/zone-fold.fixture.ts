// A small zone with a plain validator and a talkative detector, for tests of what hosts them.

import { z } from 'zod'
import type { AssetProperties, ZoneDef, ZoneDevice } from '#model/asset.ts'
import type { Finding, Summary } from '#model/finding.ts'
import { isRegister } from '#model/quantity.ts'
import { qualifier, type Reading, seriesKey } from '#model/reading.ts'
import type { Detector } from './fold.ts'
import type { Validator } from './validation/validator.ts'
import type { ZoneOutputs } from './zone-state.ts'

export const START_MS = Date.UTC(2026, 2, 1)

export function aDevice(asset: Partial<AssetProperties> & { id: string; kind: AssetProperties['kind'] }, primary = true): ZoneDevice {
  return {
    asset: { gateway: 'G1', interval_s: 900, ...asset } as AssetProperties,
    primary,
    segment: undefined,
    lon: undefined,
    lat: undefined,
  }
}

export function aZone(zone = 'Z', devices?: ZoneDevice[], version = '1'): ZoneDef {
  return {
    zone,
    kind: 'dma',
    version,
    timezone: 'UTC',
    warmupUntilMs: 0,
    area: undefined,
    devices: devices ?? [
      aDevice({ id: 'W1', kind: 'water_meter' }),
      aDevice({ id: 'W2', kind: 'water_meter' }),
      aDevice({ id: 'P1', kind: 'pressure_sensor' }),
      aDevice({ id: 'F1', kind: 'flow_meter', flows: [] }),
      aDevice({ id: 'F2', kind: 'flow_meter', flows: [] }, false),
    ],
    transformers: [],
    network: [],
    gateways: [{ id: 'G1', zones: [zone] }],
  }
}

export function aReading(r: Partial<Reading> = {}): Reading {
  return {
    device: 'W1',
    quantity: 'water_volume_m3',
    phase: '',
    tariff: 0,
    channel: '',
    tsMs: START_MS,
    value: 1,
    flags: undefined,
    gateway: 'G1',
    receivedAtMs: START_MS + 5_000,
    seq: -1,
    redelivered: false,
    ...r,
  }
}

interface PlainState {
  series: Map<string, { ts: number[]; lastTsMs: number; lastValue: number; rev: number }>
}

/** Refuses negative values, drops exact repeats, makes an interval of every two reads of a register in order, a day at midnight. */
export const plainValidator: Validator<PlainState, Record<string, never>> = {
  name: 'validation',
  settings: z.object({}) as never,
  create: () => ({ series: new Map() }),
  onReading(state, r, info, ctx) {
    if (!(r.value >= 0)) return ctx.refuse(r, 'impossible_value', 'value', 'negative')
    const key = `${r.device}|${seriesKey(r)}`
    let s = state.series.get(key)
    if (s === undefined) {
      s = { ts: [], lastTsMs: Number.NEGATIVE_INFINITY, lastValue: 0, rev: 0 }
      state.series.set(key, s)
    }
    if (s.ts.includes(r.tsMs)) return ctx.duplicate(r)
    s.ts.push(r.tsMs)
    if (s.ts.length > 1000) s.ts.shift()
    const late = r.tsMs < s.lastTsMs
    ctx.accept({ ...r, quality: late ? 'late' : 'good', rules: late ? ['late'] : [], info })
    if (late) return
    if (isRegister(r.quantity) && s.lastTsMs > 0) {
      const value = r.value - s.lastValue
      ctx.interval(
        {
          meter: r.device,
          quantity: r.quantity,
          channel: qualifier(r),
          startMs: s.lastTsMs,
          endMs: r.tsMs,
          value,
          status: 'actual',
          reasons: [],
          rev: 1,
        },
        info,
      )
      s.rev += 1
      ctx.day(
        {
          meter: r.device,
          quantity: r.quantity,
          channel: qualifier(r),
          date: '2026-03-01',
          value: r.value,
          actual: s.rev,
          estimated: 0,
          missing: 0,
          edited: 0,
          estimatedValue: 0,
          tou: undefined,
          rules: [],
          rev: s.rev,
        },
        info,
      )
    }
    s.lastTsMs = r.tsMs
    s.lastValue = r.value
  },
}

interface TalkState {
  reads: number
  intervals: number
  events: number
  open: Map<string, number>
  lastTickMs: number
}

/** Uses every hook; a value above 90 opens a finding, one below 10 clears it. */
export const talker: Detector<TalkState, { limit: number }> = {
  name: 'talker',
  zoneKinds: ['dma', 'feeder', 'network'],
  kinds: ['low_pressure'],
  settings: z.object({ limit: z.number().default(90) }),
  create: () => ({ reads: 0, intervals: 0, events: 0, open: new Map(), lastTickMs: 0 }),
  onRead(s, read, ctx) {
    s.reads += 1
    const onset = s.open.get(read.device)
    const draft = { kind: 'low_pressure', scope: { type: 'sensor', id: read.device }, severity: 'minor', confidence: 0.5 } as const
    if (read.value > ctx.settings.limit) {
      const onsetMs = onset ?? read.tsMs
      s.open.set(read.device, onsetMs)
      ctx.emit({ ...draft, onsetMs, reason: 'high', evidence: [{ what: 'value', value: read.value, reads: s.reads }] })
      ctx.summarise('high', { device: read.device, value: read.value })
    } else if (read.value < 10 && onset !== undefined) {
      s.open.delete(read.device)
      ctx.emit({ ...draft, onsetMs: onset, clearedAtMs: ctx.nowMs, reason: 'low', evidence: [] })
    }
  },
  onInterval(s) {
    s.intervals += 1
  },
  onEvent(s, e, _info, ctx) {
    s.events += 1
    ctx.summarise('event', { event: e.event, events: s.events })
  },
  onGateway(s, g, ctx) {
    ctx.summarise('gateway', { online: g.online, reads: s.reads })
  },
  onOperation(s, o, ctx) {
    ctx.summarise('operation', { note: o.note, reads: s.reads, known: ctx.operations.length })
  },
  onTick(s, tick, ctx) {
    if (tick.nowMs - s.lastTickMs < 60_000) return
    s.lastTickMs = tick.nowMs
    ctx.measure(ctx.zone.def.zone, 'flow_m3h', tick.nowMs, s.reads + s.intervals)
    for (const [device, onsetMs] of s.open) {
      ctx.emit({
        kind: 'low_pressure',
        scope: { type: 'sensor', id: device },
        onsetMs,
        severity: 'major',
        confidence: 0.9,
        reason: 'lasts',
        evidence: [],
      })
    }
  },
}

/** Outputs as lines of text, in order. */
export function collect(): { lines: string[]; findings: Finding[]; summaries: Summary[]; out: ZoneOutputs } {
  const lines: string[] = []
  const findings: Finding[] = []
  const summaries: Summary[] = []
  const put = (what: string, ...values: unknown[]) => void lines.push(`${what} ${JSON.stringify(values)}`)
  return {
    lines,
    findings,
    summaries,
    out: {
      reading: (zone, { info: _info, ...read }) => put('reading', zone, read),
      computed: (zone, v) => put('computed', zone, v),
      event: (zone, e) => put('event', zone, e),
      interval: (zone, i) => put('interval', zone, i),
      day: (zone, d, nowMs) => put('day', zone, d, nowMs),
      ruleCount: (c) => put('rule', c.zone, c),
      recalculation: (r) => put('recalculation', r.zone, r),
      finding: (f, seq, nowMs) => {
        findings.push(structuredClone(f))
        put('finding', f, seq, nowMs)
      },
      summary: (s) => {
        summaries.push(structuredClone(s))
        put('summary', s)
      },
      quarantine: (q) => put('quarantine', q),
      fault: (zone, part, error) => put('fault', zone, part, String(error)),
    },
  }
}
