import { describe, expect, test } from 'vitest'
import type { Finding } from '#model/finding.ts'
import type { LogRecord } from '#model/telemetry.ts'
import { collect, plainValidator } from '../zone-fold.fixture.ts'
import { createZoneFold } from '../zone-fold.ts'
import { outage } from './outage.ts'
import { aTown, type Life, logOf, type Run, random, runZone, T0, type Town, type TownOptions } from './power.fixture.ts'

const HOUR = 3_600_000
const MINUTE = 60_000
/** A day of history, then six hours in which things happen. */
const EVENT = T0 + 24 * HOUR + 7 * MINUTE + 13_000
const END = T0 + 32 * HOUR

function live(life: Omit<Life, 'toMs'> & { toMs?: number }, o: TownOptions = {}): Run & { town: Town } {
  const town = aTown(o)
  const run = runZone(logOf(town, { toMs: END, ...life }), [outage])
  expect(run.faults).toEqual([])
  return { ...run, town }
}

const outages = (r: Run) => r.final.filter((f) => f.kind === 'outage')
const comms = (r: Run) => r.final.filter((f) => f.kind === 'comms_failure')
const said = (f: Finding) => `${f.scope.type} ${f.scope.id}`
const off = (f: Finding, ms: number) => Math.abs(Date.parse(f.startedAt) - ms)
const endOff = (f: Finding, ms: number) => Math.abs(Date.parse(f.clearedAt ?? '') - ms)
const hours = (h: number) => EVENT + h * HOUR

describe('a dark transformer', () => {
  test('is told by part of its last gasps within a minute of the first, dated by them, and ends with the restorations', () => {
    const r = live({ off: [{ transformers: ['T2'], fromMs: EVENT, toMs: hours(2), gaspRate: 0.5 }] })
    expect(outages(r).map(said)).toEqual(['transformer T2'])
    const [f] = outages(r) as [Finding]
    expect(f).toMatchObject({ cause: 'power', momentary: false, reason: 'restored', affected: ['E7', 'E8', 'E9', 'E10', 'E11', 'E12'] })
    expect(off(f, EVENT)).toBeLessThan(5_000)
    expect(endOff(f, hours(2))).toBeLessThan(5_000)
    expect(Date.parse(f.detectedAt) - EVENT).toBeLessThan(120_000)
    expect(comms(r)).toEqual([])
  })

  test('is told by silence alone when no gasp and no restoration came, within two intervals and the usual delay', () => {
    const r = live({ off: [{ transformers: ['T2'], fromMs: EVENT, toMs: hours(2), gaspRate: 0, restoreRate: 0 }] })
    expect(outages(r).map(said)).toEqual(['transformer T2'])
    const [f] = outages(r) as [Finding]
    expect(off(f, EVENT)).toBeLessThan(15 * MINUTE)
    expect(endOff(f, hours(2))).toBeLessThan(15 * MINUTE)
    expect(Date.parse(f.detectedAt) - EVENT).toBeLessThan(2 * 15 * MINUTE + 3 * MINUTE)
    expect(f.evidence.map((e) => e.what)).toContain('missing-reads')
  })

  test('at half-hourly reads in another zone of time', () => {
    const r = live(
      { off: [{ transformers: ['T1'], fromMs: EVENT, toMs: hours(3), gaspRate: 0, restoreRate: 0.5 }] },
      { stepS: 1800, timezone: 'Asia/Kathmandu' },
    )
    expect(outages(r).map(said)).toEqual(['transformer T1'])
  })

  test('that is back within five minutes is momentary', () => {
    const r = live({ off: [{ transformers: ['T3'], fromMs: EVENT, toMs: EVENT + 200_000, gaspRate: 0.6 }] })
    expect(outages(r).map((f) => [said(f), f.momentary])).toEqual([['transformer T3', true]])
  })

  test('found first as one dark premise, because one gasp came, is widened when the others miss their reads', () => {
    const town = aTown()
    const records = logOf(town, { toMs: END, off: [{ transformers: ['T2'], fromMs: EVENT, toMs: hours(2), gaspRate: 0, restoreRate: 0 }] })
    const gasp = event('E8', 'power_lost', EVENT, EVENT + 9_000)
    const r = runZone(inserted(records, gasp), [outage])
    expect(r.findings[0]).toMatchObject({ scope: { type: 'premise', id: 'E8' } })
    expect(r.final.map(said)).toEqual(['transformer T2'])
    expect(off(r.final[0] as Finding, EVENT)).toBeLessThan(2_000)
    expect(r.findings.find((f) => f.withdrawn)).toMatchObject({ scope: { id: 'E8' }, reason: 'wider-outage' })
  })
})

describe('a dark feeder', () => {
  test('is one finding for all of its transformers', () => {
    const r = live({ off: [{ transformers: ['T1', 'T2', 'T3'], fromMs: EVENT, toMs: hours(1), gaspRate: 0.4 }] })
    expect(outages(r).map(said)).toEqual(['feeder F1'])
    expect(outages(r)[0]).toMatchObject({ severity: 'critical', size: { transformers: 3, meters: 18 } })
  })

  test('restored in stages stays one finding, partly restored, until the last transformer is back', () => {
    const stage = (t: string, h: number) => ({ transformers: [t], fromMs: EVENT, toMs: hours(h), gaspRate: 0.6 })
    const r = live({ off: [stage('T1', 1), stage('T2', 2), stage('T3', 4)] })
    expect(outages(r).map(said)).toEqual(['feeder F1'])
    expect(r.findings.some((f) => f.reason === 'partly-restored' && f.clearedAt === null && f.affected?.length === 12)).toBe(true)
    expect(endOff(outages(r)[0] as Finding, hours(4))).toBeLessThan(MINUTE)
  })

  test('with a gateway that fails at the same time is still the whole feeder, and the gateway is named too', () => {
    for (const seed of [1, 2, 3]) {
      const r = live({
        seed,
        off: [{ transformers: ['T1', 'T2', 'T3'], fromMs: EVENT, toMs: hours(1.5), gaspRate: 0.7 }],
        failures: [{ gateway: 'G2', fromMs: EVENT - 2 * MINUTE, toMs: hours(4), backfill: false, lastWill: true }],
      })
      expect(outages(r).map(said)).toEqual(['feeder F1'])
      expect(comms(r).map(said)).toEqual(['gateway G2'])
      expect(endOff(outages(r)[0] as Finding, hours(1.5))).toBeLessThan(MINUTE)
    }
  })

  test('is not told from three of four dark transformers: they are named one by one, and linked', () => {
    const r = live({ off: [{ transformers: ['T1', 'T2', 'T3'], fromMs: EVENT, toMs: hours(1), gaspRate: 0.6 }] }, { transformers: 4 })
    expect(outages(r).map(said).sort()).toEqual(['transformer T1', 'transformer T2', 'transformer T3'])
    const [first, ...others] = outages(r) as [Finding, ...Finding[]]
    expect(others.map((f) => f.parent)).toEqual([first.id, first.id])
  })

  test('one premise that stays dark after the rest is back is a child of it', () => {
    const r = live(
      {
        toMs: T0 + 34 * HOUR,
        off: [
          { transformers: ['T1', 'T3'], fromMs: EVENT, toMs: hours(1), gaspRate: 1, restoreRate: 1 },
          { meters: ['E7', 'E8', 'E10', 'E11', 'E12', 'C2'], fromMs: EVENT, toMs: hours(1), gaspRate: 1, restoreRate: 1 },
          { meters: ['E9'], fromMs: EVENT, toMs: hours(6), gaspRate: 1, restoreRate: 1 },
        ],
      },
      {},
    )
    const child = outages(r).find((f) => f.scope.type === 'premise')
    expect(outages(r).map(said).sort()).toEqual(['feeder F1', 'premise E9'])
    expect(child).toMatchObject({
      scope: { id: 'E9' },
      reason: 'left-behind',
      parent: outages(r).find((f) => f.scope.type === 'feeder')?.id,
    })
  })
})

describe('silence that is no outage', () => {
  test.each([
    ['with its last will, sending what it kept afterwards', { lastWill: true, backfill: true }],
    ['without a word, sending what it kept afterwards', { lastWill: false, backfill: true }],
    ['without a word, its reads lost', { lastWill: false, backfill: false }],
  ])('a gateway that fails %s', (_name, how) => {
    const r = live({ failures: [{ gateway: 'G2', fromMs: EVENT, toMs: hours(4), ...how }] })
    expect(outages(r)).toEqual([])
    expect(comms(r).map(said)).toEqual(['gateway G2'])
    expect(comms(r)[0]).toMatchObject({ cause: 'comms', reason: 'heard-again', affected: expect.arrayContaining(['E2']) })
  })

  test('a gateway that alone serves whole transformers, when the totalising meters read on through another', () => {
    const r = live({ failures: [{ gateway: 'G1', fromMs: EVENT, toMs: hours(4) }] }, { gatewayOf: (_m, t) => (t === 0 ? 'G1' : 'G2') })
    expect(outages(r)).toEqual([])
    expect(comms(r).map(said)).toEqual(['gateway G1'])
  })

  test('one meter whose radio dies is told after hours, and is a dead radio when its register went on', () => {
    const r = live({ mute: [{ meter: 'E5', fromMs: EVENT, toMs: hours(5) }] })
    expect(outages(r)).toEqual([])
    expect(comms(r).map(said)).toEqual(['meter E5'])
  })

  test('our own failure: unhealthy ticks, then everything at once', () => {
    const r = live({ unhealthy: { fromMs: EVENT, toMs: hours(2) } })
    expect(r.final).toEqual([])
  })

  test('a hole in the ticks: ingest itself was away', () => {
    const town = aTown()
    const records = logOf(town, { toMs: END }).filter((x) => x.kind !== 'tick' || x.nowMs < EVENT || x.nowMs > hours(1))
    const held = records.map((x) => (x.kind === 'data' && arrival(x) > EVENT && arrival(x) < hours(1) ? delayed(x, hours(1) + 15_000) : x))
    const r = runZone(
      held.sort((a, b) => at(a) - at(b)),
      [outage],
    )
    expect(r.final).toEqual([])
  })

  test('reads that come hours late, four in a thousand', () => {
    const r = live({ lateRate: 0.01, toMs: T0 + 5 * 24 * HOUR })
    expect(outages(r)).toEqual([])
  })
})

describe('one premise', () => {
  test('without gasp is told after the fact by its restoration, and the dead radio is taken back', () => {
    const r = live({ off: [{ meters: ['E4'], fromMs: EVENT, toMs: hours(4), gaspRate: 0, restoreRate: 1 }] })
    expect(outages(r).map(said)).toEqual(['premise E4'])
    expect(comms(r)).toEqual([])
    expect(r.findings.filter((f) => f.withdrawn).map((f) => [f.kind, f.reason])).toEqual([['comms_failure', 'supply-was-off']])
  })

  test('without gasp and restoration is told by a register that stood still', () => {
    const r = live({ off: [{ meters: ['E4'], fromMs: EVENT, toMs: hours(5), gaspRate: 0, restoreRate: 0 }] })
    expect(outages(r).map((f) => [said(f), f.evidence.some((e) => e.what === 'flat-registers')])).toEqual([['premise E4', true]])
  })

  test('with a gasp and a restoration seconds later is nothing', () => {
    const r = live({ off: [{ meters: ['E4'], fromMs: EVENT, toMs: EVENT + 12_000, gaspRate: 1, restoreRate: 1 }] })
    expect(r.final).toEqual([])
  })

  test('with a gasp, no restoration and no missed read is nothing in the end', () => {
    const r = live({ off: [{ meters: ['E4'], fromMs: EVENT, toMs: EVENT + 12_000, gaspRate: 1, restoreRate: 0 }] })
    expect(r.final).toEqual([])
    expect(r.findings.at(-1)).toMatchObject({ withdrawn: true, reason: 'nuisance-dip' })
  })

  test('that is exchanged by plan is not dark', () => {
    const town = aTown()
    const records = logOf(town, { toMs: END, off: [{ meters: ['E4'], fromMs: EVENT, toMs: hours(1), gaspRate: 1 }] })
    const operation = {
      knownAtMs: T0,
      kind: 'meter_exchange',
      scopeType: 'meter',
      scope: 'E4',
      startMs: EVENT - HOUR,
      endMs: hours(2),
      note: '',
    } as const
    const r = runZone(inserted(records, { kind: 'operation', zone: 'F1', receivedAtMs: T0, operation }), [outage])
    expect(r.final).toEqual([])
  })
})

describe('gasps that are not what they seem', () => {
  test('repeated ones change nothing', () => {
    const town = aTown()
    const records = logOf(town, { toMs: END, off: [{ transformers: ['T2'], fromMs: EVENT, toMs: hours(2), gaspRate: 0.6 }] })
    const twice = records.flatMap((x) => (x.kind === 'data' && x.events.length > 0 ? [x, delayed(x, arrival(x) + 3_000, 1_000)] : [x]))
    const [one, two] = [
      runZone(records, [outage]),
      runZone(
        twice.sort((a, b) => at(a) - at(b)),
        [outage],
      ),
    ]
    expect(two.final.map((f) => [f.id, f.clearedAt])).toEqual(one.final.map((f) => [f.id, f.clearedAt]))
  })

  test('one that was kept for hours and belongs to an outage known by silence gives it its start', () => {
    const town = aTown()
    const records = logOf(town, { toMs: END, off: [{ transformers: ['T2'], fromMs: EVENT, toMs: hours(2), gaspRate: 0, restoreRate: 0 }] })
    const late = ['E7', 'E9'].map((id, k) => event(id, 'power_lost', EVENT + k * 1_000, hours(2.5) + k))
    const r = runZone(inserted(records, ...late), [outage])
    expect(r.final.map(said)).toEqual(['transformer T2'])
    expect(off(r.final[0] as Finding, EVENT)).toBeLessThan(2_000)
  })

  test('one from a meter that has read on since is a dip long past', () => {
    const r = runZone(inserted(logOf(aTown(), { toMs: END }), event('E7', 'power_lost', EVENT, hours(2))), [outage])
    expect(r.findings).toEqual([])
  })

  test.each([
    ['an hour slow', -HOUR],
    ['an hour fast', HOUR],
    ['twelve minutes slow', -12 * MINUTE],
  ])('a clock %s moves neither the outage nor its start', (_name, clock) => {
    const clockMs = Object.fromEntries(['E7', 'E8'].map((id) => [id, clock]))
    const r = live({ clockMs, off: [{ transformers: ['T2'], fromMs: EVENT, toMs: hours(2), gaspRate: 0.9 }] })
    expect(outages(r).map(said)).toEqual(['transformer T2'])
    expect(off(outages(r)[0] as Finding, EVENT)).toBeLessThan(MINUTE)
    expect(endOff(outages(r)[0] as Finding, hours(2))).toBeLessThan(2 * MINUTE)
  })

  test('one from the future is dated by its arrival', () => {
    const future = ['E7', 'E8', 'E9'].map((id, k) => event(id, 'power_lost', EVENT + 26 * HOUR, EVENT + 5_000 + k * 1_000))
    const records = logOf(aTown(), { toMs: END, off: [{ transformers: ['T2'], fromMs: EVENT, toMs: hours(2), gaspRate: 0 }] })
    const r = runZone(inserted(records, ...future), [outage])
    expect(r.final.map(said)).toEqual(['transformer T2'])
    expect(off(r.final[0] as Finding, EVENT)).toBeLessThan(MINUTE)
  })
})

test('the night when the clocks change, summer to winter', () => {
  // 25 October 2026, 01:00 UTC: 03:00 becomes 02:00 in Zurich. Everything inside is UTC; nothing may shift.
  const fromMs = Date.UTC(2026, 9, 24)
  const changeMs = Date.UTC(2026, 9, 25, 1)
  const r = live(
    {
      fromMs,
      toMs: changeMs + 6 * HOUR,
      off: [{ transformers: ['T1'], fromMs: changeMs - 20 * MINUTE, toMs: changeMs + 80 * MINUTE, gaspRate: 0.5 }],
    },
    { timezone: 'Europe/Zurich' },
  )
  expect(outages(r).map(said)).toEqual(['transformer T1'])
  expect(outages(r)[0]?.size?.minutes).toBeCloseTo(100, 0)
})

test('planned work is tracked and says so', () => {
  const records = logOf(aTown(), { toMs: END, off: [{ transformers: ['T2'], fromMs: EVENT, toMs: hours(2) }] })
  const operation = {
    knownAtMs: T0,
    kind: 'planned_outage',
    scopeType: 'transformer',
    scope: 'T2',
    startMs: EVENT - MINUTE,
    endMs: hours(2),
    note: 'pole 7',
  } as const
  const r = runZone(inserted(records, { kind: 'operation', zone: 'F1', receivedAtMs: T0, operation }), [outage])
  expect(r.final).toHaveLength(1)
  expect(r.final[0]).toMatchObject({ severity: 'warning', scope: { id: 'T2' } })
  expect(r.final[0]?.evidence[0]).toMatchObject({ what: 'planned-operation', note: 'pole 7' })
})

test('a meter moved to another transformer during an outage takes the outage along without a false one', () => {
  const town = aTown()
  const records = logOf(town, { toMs: END, off: [{ transformers: ['T2'], fromMs: EVENT, toMs: hours(2), gaspRate: 0.6 }] })
  const devices = town.def.devices.map((d) =>
    d.asset.id === 'E1' ? { ...d, asset: { ...d.asset, transformer: 'T3' } as typeof d.asset } : d,
  )
  const def = { ...town.def, version: '2', devices }
  const r = runZone(inserted(records, { kind: 'zone', zone: 'F1', receivedAtMs: hours(1), def }), [outage])
  expect(r.final.map(said)).toEqual(['transformer T2'])
  expect(endOff(r.final[0] as Finding, hours(2))).toBeLessThan(MINUTE)
})

test('the state survives serialisation at any tick, and the findings are the same', () => {
  const town = aTown()
  const log = logOf(town, {
    toMs: END,
    off: [{ transformers: ['T1', 'T3'], fromMs: EVENT, toMs: hours(2), gaspRate: 0.5 }],
    failures: [{ gateway: 'G3', fromMs: hours(3), toMs: hours(5) }],
  })
  const whole = runZone(log, [outage])
  let fold = createZoneFold({ zone: 'F1', detectors: [outage], validator: plainValidator })
  const { findings, lines, out } = collect()
  for (const [k, record] of log.entries()) {
    fold.apply(record, out)
    lines.length = 0
    if (k % 4_001 !== 0) continue
    const state = structuredClone(fold.state)
    fold = createZoneFold({ zone: 'F1', detectors: [outage], validator: plainValidator, restored: { def: fold.def, state } })
  }
  expect(findings).toEqual(whole.findings)
})

test('a storm of 100,000 gasps in a minute over 2,000 of 2,500 transformers: every one is named within ten seconds of the last, once', () => {
  const each = 50
  const dark = 2_000
  const town = aTown({ transformers: 2_500, metersEach: each, gateways: 200, checkMeters: false })
  const fold = createZoneFold({ zone: 'F1', detectors: [outage], validator: plainValidator })
  const found: { scope: string; rev: number; atMs: number; meters: number }[] = []
  const out = new Proxy({} as Parameters<typeof fold.apply>[1], {
    get: (_, name) =>
      name !== 'finding'
        ? () => undefined
        : (f: Finding) => found.push({ scope: said(f), rev: f.rev, atMs: Date.parse(f.updatedAt), meters: f.affected?.length ?? 0 }),
  })
  const tick = (nowMs: number): LogRecord => ({ kind: 'tick', nowMs, ingest: 'i', brokerConnected: true, gatewaysOnline: 200 })
  fold.apply({ kind: 'zone', zone: 'F1', receivedAtMs: 0, def: town.def }, out)
  const rnd = random(7)
  const gasps = town.meters
    .slice(0, dark * each)
    .map((id, k) => event(id, 'power_lost', T0 + Math.floor(k / each) * 10, T0 + 20_000 + Math.floor(rnd() * 60_000), `G${k % 200}`))
  gasps.sort((a, b) => arrival(a) - arrival(b))
  let next = T0
  for (let k = 0; k < gasps.length; k += 100) {
    const batch = gasps.slice(k, k + 100)
    const [first] = batch as [ReturnType<typeof event>]
    for (; next < arrival(first); next += 10_000) fold.apply(tick(next), out)
    fold.apply({ ...first, events: batch.flatMap((g) => g.events) }, out)
  }
  for (const until = next + 20_000; next < until; next += 10_000) fold.apply(tick(next), out)
  const lastMs = arrival(gasps.at(-1) as ReturnType<typeof event>)
  const named = new Map(found.map((f) => [f.scope, f]))
  expect(named.size).toBe(dark)
  expect([...named.values()].every((f) => f.scope.startsWith('transformer ') && f.meters === each && f.atMs <= lastMs + 10_000)).toBe(true)
  expect(found.length).toBeLessThan(2 * dark)
}, 60_000)

function event(device: string, name: 'power_lost' | 'power_restored', tsMs: number, receivedAtMs: number, gateway = 'G1') {
  return {
    kind: 'data' as const,
    zone: 'F1',
    readings: [],
    events: [{ device, event: name, tsMs, detail: undefined, gateway, receivedAtMs }],
  }
}

function arrival(r: Extract<LogRecord, { kind: 'data' }>): number {
  return r.readings[0]?.receivedAtMs ?? r.events[0]?.receivedAtMs ?? 0
}

function at(r: LogRecord): number {
  return r.kind === 'data' ? arrival(r) : r.kind === 'tick' ? r.nowMs : r.receivedAtMs
}

function inserted(log: readonly LogRecord[], ...more: LogRecord[]): LogRecord[] {
  return [...log, ...more].sort((a, b) => at(a) - at(b))
}

function delayed(r: Extract<LogRecord, { kind: 'data' }>, receivedAtMs: number, tsShiftMs = 0): LogRecord {
  return {
    ...r,
    readings: r.readings.map((x) => ({ ...x, receivedAtMs })),
    events: r.events.map((x) => ({ ...x, receivedAtMs, tsMs: x.tsMs + tsShiftMs })),
  }
}
