import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ALARM_ACTIONS, type AlarmAction, alarmKey, floodsOf } from '#model/alarm.ts'
import type { Operation } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import { HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { DEFAULT_POLICY, type Policy, ruleFor } from './policy.ts'
import { loadOf, reportOf } from './rates.ts'
import { type Alarm, actionsFor, applyCommand, applyFinding, nextDueMs, stateOf, suppress, tick } from './state.ts'
import { type Surroundings, suppressionOf } from './suppress.ts'

const T0 = Date.parse('2026-03-01T10:00:00Z')

function finding(given: Partial<Finding> & { atMs?: number } = {}): Finding {
  const { atMs = T0, ...more } = given
  return {
    type: 'finding',
    id: 'f1',
    rev: 1,
    kind: 'outage',
    scope: { type: 'feeder', id: 'F1' },
    zone: 'F1',
    startedAt: toIso(atMs),
    detectedAt: toIso(atMs),
    updatedAt: toIso(atMs),
    clearedAt: null,
    severity: 'major',
    confidence: 1,
    reason: 'last_gasps',
    evidence: [],
    detector: 'test',
    ...more,
  }
}

const take = (a: Alarm | null, f: Finding, policy: Policy = DEFAULT_POLICY): Alarm => {
  const step = applyFinding(a, f, policy)
  if (step === undefined) throw new Error('said nothing new')
  return tick(step.alarm, step.alarm.updatedMs, policy)?.alarm ?? step.alarm
}
const wait = (a: Alarm, nowMs: number): Alarm => tick(a, nowMs, DEFAULT_POLICY)?.alarm ?? a
function does(a: Alarm, action: AlarmAction, more: { atMs?: number; untilMs?: number; reason?: string } = {}): Alarm {
  const r = applyCommand(a, { action, who: 'anna', atMs: a.updatedMs, reason: 'because', ...more }, DEFAULT_POLICY)
  if (!r.ok) throw new Error(r.message)
  return r.step.alarm
}
const cleared = (atMs: number, more: Partial<Finding> = {}) =>
  finding({ rev: 2, atMs, clearedAt: toIso(atMs), reason: 'restored', ...more })

describe('the life of an alarm', () => {
  it('calls, is acknowledged, ends after its off-delay', () => {
    let a = take(null, finding())
    expect([stateOf(a), a.priority, a.calls]).toEqual(['unacknowledged', 1, [T0]])
    a = does(a, 'acknowledge')
    expect(stateOf(a)).toBe('acknowledged')
    a = take(a, cleared(T0 + MINUTE_MS))
    expect(stateOf(a)).toBe('acknowledged')
    expect(nextDueMs(a, DEFAULT_POLICY)).toBe(T0 + 6 * MINUTE_MS)
    a = wait(a, T0 + 6 * MINUTE_MS)
    expect([stateOf(a), a.clearedMs]).toEqual(['normal', T0 + MINUTE_MS])
  })

  it('goes on as the same alarm when it comes back within its off-delay', () => {
    let a = take(take(null, finding()), cleared(T0 + MINUTE_MS))
    a = take(a, finding({ id: 'f2', atMs: T0 + 2 * MINUTE_MS }))
    a = wait(a, T0 + HOUR_MS)
    expect([stateOf(a), a.calls.length, a.finding]).toEqual(['unacknowledged', 1, 'f2'])
  })

  it('is listed as returned until somebody has seen it, and lapses in the end', () => {
    const a = wait(take(take(null, finding()), cleared(T0 + MINUTE_MS)), T0 + 10 * MINUTE_MS)
    expect(stateOf(a)).toBe('returned')
    expect(stateOf(does(a, 'acknowledge'))).toBe('normal')
    expect(stateOf(wait(a, T0 + 25 * HOUR_MS))).toBe('normal')
  })

  it('does not call for what is over before its delay', () => {
    const low = { kind: 'low_pressure', scope: { type: 'sensor', id: 'P1' } } as const
    let a = take(null, finding(low))
    expect(stateOf(a)).toBe('pending')
    const step = applyFinding(a, cleared(T0 + 30_000, low), DEFAULT_POLICY)
    expect(step?.changes.map((c) => c.action)).toEqual(['fleeting'])
    a = wait(a, T0 + MINUTE_MS)
    expect([stateOf(a), a.annunciatedMs]).toEqual(['unacknowledged', T0 + MINUTE_MS])
  })

  it('latches a burst until it is acknowledged and reset', () => {
    const burst = { kind: 'burst', scope: { type: 'dma', id: 'A' } } as const
    let a = wait(take(take(null, finding(burst)), cleared(T0 + MINUTE_MS, burst)), T0 + HOUR_MS)
    expect(stateOf(a)).toBe('latched_unacknowledged')
    a = does(a, 'acknowledge')
    expect([stateOf(a), actionsFor(a)[0]]).toEqual(['latched', 'reset'])
    expect(stateOf(does(a, 'reset'))).toBe('normal')
  })

  it('is quiet while shelved, and calls again when the time is over', () => {
    let a = does(take(null, finding()), 'shelve', { untilMs: T0 + HOUR_MS })
    expect(stateOf(a)).toBe('shelved')
    a = wait(a, T0 + HOUR_MS)
    expect([stateOf(a), a.calls.length]).toEqual(['unacknowledged', 2])
  })

  it('stays out of service until a person puts it back', () => {
    let a = does(take(null, finding()), 'out_of_service')
    a = take(a, finding({ id: 'f2', atMs: T0 + 48 * HOUR_MS }))
    expect([stateOf(wait(a, T0 + 90 * HOUR_MS)), a.calls.length]).toEqual(['out_of_service', 1])
    expect(stateOf(does(a, 'return_to_service'))).toBe('unacknowledged')
  })

  it('calls once more when it becomes more urgent, not when it only changes', () => {
    const t = { scope: { type: 'transformer', id: 'T1' } } as const
    let a = does(take(null, finding(t)), 'acknowledge')
    a = take(a, finding({ ...t, rev: 2, affected: ['E1'] }))
    expect(stateOf(a)).toBe('acknowledged')
    a = take(a, finding({ ...t, rev: 3, severity: 'critical' }))
    expect([stateOf(a), a.priority, a.calls.length]).toEqual(['unacknowledged', 1, 2])
  })

  it('leaves to the desk what is no work of a shift', () => {
    const a = take(null, finding({ kind: 'customer_leak', scope: { type: 'meter', id: 'W1' } }))
    expect([stateOf(a), a.calls]).toEqual(['alert', []])
  })

  it('calls at its own time when news of its end comes late in one go', () => {
    const low = { kind: 'low_pressure', scope: { type: 'sensor', id: 'P1' } } as const
    const begun = applyFinding(null, finding(low), DEFAULT_POLICY)?.alarm as Alarm
    const step = applyFinding(begun, cleared(T0 + HOUR_MS, low), DEFAULT_POLICY)
    expect(step?.changes.map((c) => [c.action, c.atMs])).toEqual([['annunciate', T0 + MINUTE_MS]])
    expect(step?.alarm.dueMs).toBe(T0 + HOUR_MS + 15 * MINUTE_MS)
  })

  it('says nothing twice', () => {
    expect(applyFinding(take(null, finding()), finding(), DEFAULT_POLICY)).toBeUndefined()
  })

  it('refuses with what is possible', () => {
    const a = take(null, finding())
    const refused = (action: AlarmAction, more = {}) => applyCommand(a, { action, who: 'x', atMs: T0, reason: '', ...more }, DEFAULT_POLICY)
    expect(refused('reset')).toMatchObject({ code: 'not_possible', message: expect.stringContaining('acknowledge') })
    expect(refused('shelve', { untilMs: T0 + 1 })).toMatchObject({ code: 'reason_required' })
    expect(refused('shelve', { untilMs: T0 + 99 * HOUR_MS, reason: 'x' })).toMatchObject({ code: 'bad_time' })
    expect(refused('shelve', { reason: 'x' })).toMatchObject({ code: 'bad_time' })
  })

  it('keeps versions, time and states in order, whatever comes', () => {
    const news = fc.record({
      id: fc.constantFrom('f1', 'f2', 'f3'),
      rev: fc.integer({ min: 1, max: 9 }),
      over: fc.boolean(),
      dt: fc.nat(HOUR_MS),
    })
    const act = fc.record({ action: fc.constantFrom(...ALARM_ACTIONS), dt: fc.nat(HOUR_MS) })
    const time = fc.record({ tickMs: fc.nat(30 * HOUR_MS) })
    fc.assert(
      fc.property(fc.array(fc.oneof(news, act, time), { maxLength: 40 }), (steps) => {
        let a: Alarm | null = null
        let now = T0
        for (const s of steps) {
          let step: { alarm: Alarm; changes: { version: number; from: string }[] } | undefined
          if ('tickMs' in s) {
            now += s.tickMs
            step = a === null ? undefined : tick(a, now, DEFAULT_POLICY)
          } else if ('id' in s) {
            now += s.dt
            step = applyFinding(a, finding({ id: s.id, rev: s.rev, atMs: now, clearedAt: s.over ? toIso(now) : null }), DEFAULT_POLICY)
          } else if (a !== null) {
            now += s.dt
            const r = applyCommand(a, { action: s.action, who: 'x', atMs: now, reason: 'y', untilMs: now + HOUR_MS }, DEFAULT_POLICY)
            expect(r.ok).toBe(actionsFor(a).includes(s.action))
            if (r.ok) step = r.step
          }
          if (step === undefined) continue
          step.changes.forEach((c, i) => void expect(c.version).toBe((a?.version ?? 0) + i + 1))
          if (a !== null && step.changes[0] !== undefined) expect(step.changes[0].from).toBe(stateOf(a))
          expect(step.alarm.updatedMs).toBeGreaterThanOrEqual(a?.updatedMs ?? 0)
          a = step.alarm
          expect(a.active || a.open.length === 0).toBe(true)
          expect(a.calls.length).toBeLessThanOrEqual(50)
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('suppress by design', () => {
  const around = (active: Alarm[], more: Partial<Surroundings> = {}): Surroundings => ({
    active: new Map(active.map((a) => [a.key, a])),
    byFinding: new Map(active.flatMap((a) => a.open.map((id) => [id, a.key]))),
    parents: new Map(),
    operations: [],
    places: new Map([['T1', { feeder: 'F1', gateway: 'G1' }]]),
    ...more,
  })
  const work: Operation = { knownAtMs: T0, kind: 'planned_outage', scopeType: 'feeder', scope: 'F1', startMs: T0, endMs: T0, note: '' }
  const transformer = take(null, finding({ id: 't', scope: { type: 'transformer', id: 'T1' } }))
  const feeder = take(null, finding())

  it.each([
    ['planned_work', transformer, around([], { operations: [work] })],
    ['wider_outage', transformer, around([feeder, transformer])],
    ['parent_alarm', transformer, around([feeder], { active: new Map(), parents: new Map([['t', 'f1']]) })],
    [
      'gateway_silent',
      take(null, finding({ kind: 'sensor_fault', scope: { type: 'sensor', id: 'T1' } })),
      around([take(null, finding({ kind: 'comms_failure', scope: { type: 'gateway', id: 'G1' } }))]),
    ],
  ])('%s', (rule, alarm, s) => {
    expect(suppressionOf(alarm, s)?.rule).toBe(rule)
  })

  it('never lets an alarm explain itself, nor work explain what it cannot cause', () => {
    expect(suppressionOf(feeder, around([feeder]))).toBeNull()
    expect(suppressionOf(take(null, finding({ kind: 'overload' })), around([], { operations: [work] }))).toBeNull()
  })

  it('is quiet, and calls when the cause is gone', () => {
    const quiet = suppress(transformer, { rule: 'wider_outage', by: feeder.key }, T0 + 1)?.alarm as Alarm
    expect(stateOf(quiet)).toBe('suppressed')
    expect(suppress(quiet, quiet.suppressed, T0 + 2)).toBeUndefined()
    expect(stateOf(suppress(quiet, null, T0 + 3)?.alarm as Alarm)).toBe('unacknowledged')
  })
})

describe('rates', () => {
  const times = (n: number, everyMs: number, fromMs = T0) => Array.from({ length: n }, (_, i) => fromMs + i * everyMs)

  it('sees a flood begin at ten in ten minutes and end below five', () => {
    expect(floodsOf(times(9, 1000), T0 + HOUR_MS)).toEqual([])
    expect(floodsOf(times(20, 30_000), T0 + 10 * MINUTE_MS)).toMatchObject([{ fromMs: T0, toMs: null, alarms: 20, peak: 20 }])
    // Twenty in one instant: all leave the window together.
    expect(floodsOf(times(20, 0), T0 + HOUR_MS)).toEqual([{ fromMs: T0, toMs: T0 + 10 * MINUTE_MS, alarms: 20, peak: 20 }])
    expect(floodsOf([...times(12, 1000), ...times(12, 1000, T0 + HOUR_MS)], T0 + 2 * HOUR_MS)).toHaveLength(2)
  })

  it('agrees with counting each second', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3000), { maxLength: 60 }), (seconds) => {
        const calls = seconds.sort((a, b) => a - b).map((s) => s * 1000)
        let flood = false
        const spans: [number, number | null][] = []
        for (let t = 0; t <= 4000; t++) {
          const n = calls.filter((c) => c <= t * 1000 && c > t * 1000 - 600_000).length
          if (!flood && n >= 10) {
            flood = true
            spans.push([t * 1000, null])
          } else if (flood && n < 5) {
            flood = false
            ;(spans.at(-1) as [number, number])[1] = t * 1000
          }
        }
        expect(floodsOf(calls, 4_000_000).map((f) => f.toMs)).toEqual(spans.map((s) => s[1]))
      }),
      { numRuns: 20 },
    )
  })

  it('reports the measures of ISA-18.2', () => {
    const calls = [...times(12, 1000), ...times(2, 0, T0 + 2 * HOUR_MS)].map((atMs, i) => ({
      key: i % 2 === 0 ? 'a' : `b${i}`,
      atMs,
      priority: i === 0 ? (1 as const) : (3 as const),
    }))
    const r = reportOf(calls, [{ who: 'anna', atMs: T0, afterMs: 30_000 }], {
      fromMs: T0,
      toMs: T0 + 4 * HOUR_MS,
      nowMs: T0 + 5 * HOUR_MS,
      operators: 2,
    })
    expect(r).toMatchObject({
      annunciations: 14,
      perOperatorHour: { mean: 1.75, most: 6, hoursAboveSix: 0 },
      per10MinMost: 12,
      worst: [{ key: 'a', count: 7, sharePct: 50 }, {}, {}, {}, {}, {}, {}, {}],
      answers: [{ who: 'anna', count: 1, medianS: 30 }],
      hours: [{ count: 12 }, { count: 0 }, { count: 2 }, { count: 0 }],
    })
    expect(r.floods).toHaveLength(1)
  })

  it('counts what stands, what is stale and what chatters, alerts apart', () => {
    const old = take(null, finding())
    const alert = take(null, finding({ kind: 'line_loss' }))
    const busy = { ...take(null, finding({ scope: { type: 'transformer', id: 'T' } })), calls: times(3, 1000, T0 + 25 * HOUR_MS) }
    expect(
      loadOf(
        [old, alert, busy].map((a) => ({ ...a, state: stateOf(a) })),
        times(10, 1000, T0 + 25 * HOUR_MS),
        T0 + 25 * HOUR_MS + 10_000,
      ),
    ).toMatchObject({
      standing: 2,
      stale: 2,
      chattering: 1,
      last10Min: 10,
      floodSinceMs: T0 + 25 * HOUR_MS,
    })
  })
})

describe('the policy', () => {
  it('has a rule for every kind', () => {
    for (const kind of new Set(DEFAULT_POLICY.rules.map((r) => r.kind)))
      expect(ruleFor(DEFAULT_POLICY, { kind, scope: { type: 'meter', id: 'x' } })).toBeDefined()
    expect(alarmKey({ kind: 'abnormal_usage', subtype: 'bypass', scope: { type: 'meter', id: 'E' } })).toBe('abnormal_usage.bypass:meter:E')
  })
})
