import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DataRecord, LogRecord } from '#model/telemetry.ts'
import type { AnyDetector } from './fold.ts'
import { aDevice, aReading, aZone, collect, plainValidator, START_MS, talker } from './zone-fold.fixture.ts'
import { createZoneFold, type ZoneFold } from './zone-fold.ts'

const options = { zone: 'Z', detectors: [talker], validator: plainValidator }
const zoneRecord = (def = aZone(), receivedAtMs = START_MS): LogRecord => ({ kind: 'zone', zone: 'Z', receivedAtMs, def })
const tick = (nowMs: number): LogRecord => ({ kind: 'tick', nowMs, ingest: 'i', brokerConnected: true, gatewaysOnline: 1 })
const data = (...readings: DataRecord['readings']): DataRecord => ({ kind: 'data', zone: 'Z', readings, events: [] })

/** An entry of a log: seconds since the one before, and what came. */
const entry = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constant('reading' as const),
      gapS: fc.integer({ min: 0, max: 90 }),
      device: fc.constantFrom('W1', 'W2', 'P1', 'F1', 'F2', 'X'),
      lagS: fc.integer({ min: -30, max: 600 }),
      value: fc.integer({ min: -5, max: 100 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('event' as const),
      gapS: fc.integer({ min: 0, max: 90 }),
      device: fc.constantFrom('W1', 'F2', 'X'),
      lagS: fc.integer({ min: 0, max: 60 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('gateway' as const), gapS: fc.integer({ min: 0, max: 90 }), online: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      what: fc.constant('operation' as const),
      gapS: fc.integer({ min: 0, max: 90 }),
      note: fc.constantFrom('a', 'b'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('tick' as const), gapS: fc.integer({ min: 1, max: 4000 }) }) },
)

/** One record an entry; times never go back. */
const logs = fc.array(entry, { maxLength: 60 }).map((entries) => {
  let nowMs = START_MS
  const log: LogRecord[] = [zoneRecord()]
  for (const e of entries) {
    nowMs += e.gapS * 1000
    const receivedAtMs = nowMs
    if (e.what === 'tick') log.push(tick(nowMs))
    else if (e.what === 'reading') {
      log.push(
        data(
          aReading({
            device: e.device,
            receivedAtMs,
            tsMs: nowMs - e.lagS * 1000,
            value: e.value,
            quantity: e.device.startsWith('W') ? 'water_volume_m3' : 'flow_m3h',
          }),
        ),
      )
    } else if (e.what === 'event') {
      log.push({
        kind: 'data',
        zone: 'Z',
        readings: [],
        events: [{ device: e.device, event: 'tamper', tsMs: nowMs - e.lagS * 1000, detail: undefined, gateway: 'G1', receivedAtMs }],
      })
    } else if (e.what === 'gateway') log.push({ kind: 'gateway', zone: 'Z', receivedAtMs, gateway: 'G1', online: e.online, tsMs: nowMs })
    else
      log.push({
        kind: 'operation',
        zone: 'Z',
        receivedAtMs,
        operation: { knownAtMs: nowMs, kind: 'hydrant', scopeType: 'dma', scope: 'Z', startMs: nowMs, endMs: nowMs + 60_000, note: e.note },
      })
  }
  return log
})

function run(log: readonly LogRecord[]) {
  const fold = createZoneFold(options)
  const c = collect()
  for (const r of log) fold.apply(r, c.out)
  return { fold, ...c }
}

/** Data records that follow each other become one, as ingest may write them. */
function merged(log: readonly LogRecord[]): LogRecord[] {
  const out: LogRecord[] = []
  for (const r of log) {
    const last = out.at(-1)
    // Within a record a reading comes before an event of the same time, so only such neighbours may merge.
    const fits = last?.kind === 'data' && r.kind === 'data' && (last.events.length === 0 || r.readings.length === 0)
    if (fits) out[out.length - 1] = { ...last, readings: [...last.readings, ...r.readings], events: [...last.events, ...r.events] }
    else out.push(r)
  }
  return out
}

/** What its owner is given to save: also hours that the state has let go meanwhile, because they can no longer change. */
function ledgerOf(fold: ZoneFold) {
  const sum = { received: 0, accepted: 0, duplicate: 0, quarantined: 0 }
  for (const e of fold.takeLedger()) {
    sum.received += e.received
    sum.accepted += e.accepted
    sum.duplicate += e.duplicate
    for (const n of Object.values(e.quarantined)) sum.quarantined += n ?? 0
  }
  return sum
}

describe('a zone fold', () => {
  test('gives the same bytes when its state is saved and restored anywhere', () => {
    fc.assert(
      fc.property(logs, fc.nat(), (log, cutAt) => {
        const whole = run(log)
        const cut = cutAt % (log.length + 1)
        const first = run(log.slice(0, cut))
        const def = first.fold.def === undefined ? undefined : (deserialize(serialize(first.fold.def)) as typeof first.fold.def)
        const second = createZoneFold({ ...options, restored: { def, state: deserialize(serialize(first.fold.state)) } })
        for (const r of log.slice(cut)) second.apply(r, first.out)
        expect(first.lines).toEqual(whole.lines)
        expect(second.state).toEqual(whole.fold.state)
      }),
    )
  })

  test('does not care how the log was cut into records', () => {
    fc.assert(fc.property(logs, (log) => void expect(run(merged(log)).lines).toEqual(run(log).lines)))
  })

  test('finds the same when records come twice', () => {
    fc.assert(
      fc.property(logs, fc.nat(), fc.integer({ min: 1, max: 8 }), (log, at, length) => {
        const from = at % log.length
        const again = [...log.slice(0, from + length), ...log.slice(from)]
        expect(run(again).findings).toEqual(run(log).findings)
      }),
    )
  })

  test('accounts for everything it received', () => {
    fc.assert(
      fc.property(logs, (log) => {
        const { fold, lines } = run(log)
        const sum = ledgerOf(fold)
        expect(sum.received).toBe(sum.accepted + sum.duplicate + sum.quarantined)
        expect(lines.filter((l) => l.startsWith('reading') || l.startsWith('event')).length).toBe(sum.accepted)
        expect(lines.filter((l) => l.startsWith('quarantine')).length).toBe(sum.quarantined)
      }),
    )
  })

  test('copies are seen by detectors, neither stored nor counted', () => {
    const { fold, lines } = run([zoneRecord(), data(aReading({ device: 'F2', quantity: 'flow_m3h', value: 95 }))])
    expect(ledgerOf(fold).received).toBe(0)
    expect(lines.map((l) => l.split(' ')[0])).toEqual(['finding', 'summary'])
  })

  test('a finding keeps its id and first detection, counts revisions, and is not repeated unchanged', () => {
    const at = (s: number, value: number) =>
      data(aReading({ device: 'P1', quantity: 'pressure_bar', tsMs: START_MS + s * 1000, receivedAtMs: START_MS + s * 1000 + 1000, value }))
    const { findings } = run([
      zoneRecord(),
      at(0, 95),
      tick(START_MS + 60_000),
      tick(START_MS + 120_000),
      tick(START_MS + 180_000),
      at(200, 5),
    ])
    expect(findings.map((f) => [f.rev, f.reason, f.clearedAt])).toEqual([
      [1, 'high', null],
      [2, 'lasts', null],
      [3, 'low', '2026-03-01T00:03:21Z'],
    ])
    expect(new Set(findings.map((f) => f.id)).size).toBe(1)
    expect(findings.map((f) => f.detectedAt)).toEqual(['2026-03-01T00:00:01Z', '2026-03-01T00:00:01Z', '2026-03-01T00:00:01Z'])
  })

  test('nothing is found before the warm-up has ended', () => {
    const def = { ...aZone(), warmupUntilMs: START_MS + 3_600_000 }
    const high = (s: number) =>
      data(aReading({ device: 'P1', quantity: 'pressure_bar', tsMs: START_MS + s * 1000, receivedAtMs: START_MS + s * 1000, value: 95 }))
    expect(run([zoneRecord(def), high(10)]).findings).toEqual([])
    expect(run([zoneRecord(def), high(10), high(3600)]).findings).toHaveLength(1)
  })

  test('a detector that throws is reported and disturbs nobody else', () => {
    const broken: AnyDetector = {
      ...talker,
      name: 'broken',
      onRead: () => {
        throw new Error('boom')
      },
    }
    const fold = createZoneFold({ ...options, detectors: [broken, talker] })
    const c = collect()
    fold.apply(zoneRecord(), c.out)
    fold.apply(data(aReading({ value: 95 })), c.out)
    expect(c.lines.map((l) => l.split(' ')[0])).toEqual(['reading', 'fault', 'finding', 'summary'])
  })

  test('a reading on which validation fails is quarantined', () => {
    const fold = createZoneFold({
      ...options,
      validator: {
        ...plainValidator,
        onReading: () => {
          throw new Error('boom')
        },
      },
    })
    const c = collect()
    fold.apply(zoneRecord(), c.out)
    fold.apply(data(aReading()), c.out)
    expect(c.lines.map((l) => l.split(' ')[0])).toEqual(['fault', 'quarantine'])
    expect(ledgerOf(fold)).toEqual({ received: 1, accepted: 0, duplicate: 0, quarantined: 1 })
  })

  test('settings of the log override, wrong ones are reported and the old ones stay', () => {
    const fold = createZoneFold(options)
    const c = collect()
    const settings = (limit: unknown, receivedAtMs: number): LogRecord => ({
      kind: 'settings',
      zone: 'Z',
      receivedAtMs,
      settings: { talker: { limit } },
    })
    fold.apply(zoneRecord(), c.out)
    fold.apply(settings(50, START_MS), c.out)
    fold.apply(data(aReading({ value: 60 })), c.out)
    expect(c.findings).toHaveLength(1)
    fold.apply(settings('many', START_MS + 1), c.out)
    expect(c.lines.at(-1)).toMatch(/^fault .*talker/)
  })

  test('a new definition is taken once, an older one repeated is not; what is gone is forgotten', () => {
    const fold = createZoneFold(options)
    const c = collect()
    fold.apply(zoneRecord(aZone(), START_MS), c.out)
    fold.apply(
      {
        kind: 'data',
        zone: 'Z',
        readings: [],
        events: [{ device: 'W1', event: 'tamper', tsMs: 1, detail: undefined, gateway: 'G1', receivedAtMs: START_MS }],
      },
      c.out,
    )
    fold.apply(zoneRecord(aZone('Z', [aDevice({ id: 'N', kind: 'water_meter' })], '2'), START_MS + 10), c.out)
    fold.apply(zoneRecord(aZone(), START_MS), c.out)
    expect(fold.def?.version).toBe('2')
    expect(fold.state.events.size).toBe(0)
  })

  test('a zone without a definition quarantines', () => {
    const { lines } = run([data(aReading())])
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/unknown_device/)
  })

  test('a state saved by another version of a detector is dropped, the others stay', () => {
    const first = run([zoneRecord(), data(aReading({ value: 3 }))])
    const second = createZoneFold({
      ...options,
      detectors: [{ ...talker, version: 2 }],
      restored: { def: first.fold.def, state: first.fold.state },
    })
    expect(second.state.detectors.get('talker')).toMatchObject({ version: 2, state: { reads: 0 } })
    expect(second.state.validation).toBe(first.fold.state.validation)
  })

  test('a late arrival counts in the current hour once its own is closed', () => {
    const fold = createZoneFold(options)
    const c = collect()
    fold.apply(zoneRecord(), c.out)
    fold.apply(tick(START_MS + 10 * 3_600_000), c.out)
    fold.apply(data(aReading({ receivedAtMs: START_MS })), c.out)
    expect(fold.takeLedger()).toMatchObject([{ hourMs: START_MS + 10 * 3_600_000, received: 1, accepted: 1 }])
    expect(fold.takeLedger()).toEqual([])
  })
})

test('a detector sees each day that is published, and its revisions', () => {
  const days: string[] = []
  const daily: AnyDetector = {
    ...talker,
    name: 'daily',
    onDay: (_state: unknown, day: { meter: string; date: string; rev: number }) => void days.push(`${day.meter} ${day.date} ${day.rev}`),
  }
  const fold = createZoneFold({ ...options, detectors: [daily] })
  const { out, lines } = collect()
  fold.apply(zoneRecord(), out)
  for (const k of [0, 1, 2]) fold.apply(data(aReading({ tsMs: START_MS + k * 900_000, value: k + 1 })), out)
  expect(days).toEqual(['W1 2026-03-01 1', 'W1 2026-03-01 2'])
  expect(lines.filter((l) => l.startsWith('day '))).toHaveLength(2)
})
