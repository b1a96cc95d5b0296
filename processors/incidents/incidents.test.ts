import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Finding, type FindingKind, findingId, type Scope } from '#model/finding.ts'
import type { IncidentDecision, TicketIntent } from '#model/ticket.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { createIncidentFold, createIncidentState, type IncidentState } from './fold.ts'
import { PLANNED_EVIDENCE, SETTLE_MS } from './incident.ts'
import { GATEWAY_SILENT_MS } from './silence.ts'
import { TICKET_TYPES } from './types/index.ts'

const T0 = Date.parse('2026-03-01T10:00:00Z')
const fold = createIncidentFold()

interface Given extends Partial<Omit<Finding, 'scope'>> {
  scope?: Scope
  onsetMs?: number
  atMs?: number
  clearedMs?: number
}

/** A finding of feeder F1 or district A, detected two minutes after its onset. */
function aFinding(kind: FindingKind, scope: string, given: Given = {}): Finding {
  const [type, id] = scope.split(' ') as [Scope['type'], string]
  const { onsetMs = T0, atMs = onsetMs + 2 * MINUTE_MS, clearedMs, ...rest } = given
  const s = { type, id }
  return {
    type: 'finding',
    id: findingId({ kind, subtype: rest.subtype, scope: s, onsetMs }),
    rev: 1,
    kind,
    scope: s,
    zone: kind === 'outage' || kind === 'abnormal_usage' ? 'F1' : 'A',
    startedAt: toIso(onsetMs),
    detectedAt: toIso(onsetMs + 2 * MINUTE_MS),
    updatedAt: toIso(atMs),
    clearedAt: clearedMs === undefined ? null : toIso(clearedMs),
    severity: 'major',
    confidence: 0.9,
    reason: 'test',
    evidence: [],
    detector: kind,
    ...rest,
  }
}

function run(state: IncidentState, ...findings: Finding[]): TicketIntent[] {
  return findings.flatMap((f) => fold.apply(state, f))
}

/** What the desk would hold: the newest intent of each key. */
function tickets(intents: readonly TicketIntent[]): Map<string, TicketIntent> {
  const out = new Map<string, TicketIntent>()
  for (const i of intents) if ((out.get(i.key)?.rev ?? 0) < i.rev) out.set(i.key, i)
  return out
}
const openOnes = (intents: readonly TicketIntent[]) => [...tickets(intents).values()].filter((i) => i.closedAt === null)

describe('the incident fold', () => {
  it('opens, updates and closes one ticket over the life of a finding', () => {
    const state = createIncidentState()
    const f = aFinding('outage', 'transformer T1', { affected: ['E1', 'E2'] })
    const intents = run(
      state,
      f,
      { ...f, rev: 2, affected: ['E1', 'E2', 'E3'], updatedAt: toIso(T0 + 5 * MINUTE_MS) },
      { ...f, rev: 3, clearedAt: toIso(T0 + HOUR_MS), updatedAt: toIso(T0 + HOUR_MS + MINUTE_MS) },
    )
    expect(intents.map((i) => [i.key, i.rev, i.reason, i.affected.length, i.closedAt])).toEqual([
      [f.id, 1, 'first_finding', 2, null],
      [f.id, 2, 'affected_changed', 3, null],
      [f.id, 3, 'all_clear', 3, toIso(T0 + HOUR_MS)],
    ])
    expect(intents[0]).toMatchObject({ class: 'outage', priority: 2, openedAt: f.detectedAt, title: 'Outage: transformer T1' })
  })

  it('says nothing when only the confidence changes', () => {
    const state = createIncidentState()
    const f = aFinding('outage', 'transformer T1')
    expect(run(state, f, { ...f, rev: 2, confidence: 0.99 })).toHaveLength(1)
  })

  it('passes the estimate on when it moves by a quarter of an hour', () => {
    const f = aFinding('outage', 'transformer T1', { size: { etrMs: T0 + HOUR_MS } })
    const moved = (rev: number, min: number) => ({ ...f, rev, size: { etrMs: T0 + HOUR_MS + min * MINUTE_MS } })
    expect(run(createIncidentState(), f, moved(2, 5), moved(3, 20)).map((i) => [i.reason, i.size?.etrMs])).toEqual([
      ['first_finding', T0 + HOUR_MS],
      ['estimate_changed', T0 + HOUR_MS + 20 * MINUTE_MS],
    ])
  })

  it('withdraws a ticket whose finding never was one', () => {
    const f = aFinding('outage', 'transformer T1')
    const [, last] = run(createIncidentState(), f, { ...f, rev: 2, withdrawn: true, updatedAt: toIso(T0 + 9 * MINUTE_MS) })
    expect(last).toMatchObject({ rev: 2, withdrawn: true, reason: 'withdrawn', closedAt: toIso(T0 + 9 * MINUTE_MS) })
  })

  it('lets a feeder absorb its transformers and premises, in either order', () => {
    const premise = aFinding('outage', 'premise E9', { affected: ['E9'] })
    const transformer = aFinding('outage', 'transformer T1', { onsetMs: T0 + MINUTE_MS, affected: ['E1', 'E9'] })
    const feeder = aFinding('outage', 'feeder F1', { onsetMs: T0 + 2 * MINUTE_MS, affected: ['E1', 'E2', 'E9'] })
    for (const order of [
      [premise, transformer, feeder],
      [feeder, transformer, premise],
      [transformer, feeder, premise],
    ]) {
      const intents = run(createIncidentState(), ...order)
      const open = openOnes(intents)
      expect(open.map((i) => i.key)).toEqual([feeder.id])
      expect(new Set(open[0]?.findings)).toEqual(new Set([feeder.id, premise.id, transformer.id]))
      // Directly, or by way of a transformer that was known before the feeder.
      for (const i of tickets(intents).values()) {
        if (i.key !== feeder.id) expect([i.reason, [feeder.id, transformer.id].includes(i.mergedInto ?? '')]).toEqual(['absorbed', true])
      }
    }
  })

  it('lets a substation absorb its feeders and what is below them, in zones of their own', () => {
    const substation = aFinding('outage', 'substation S1', {
      onsetMs: T0 + MINUTE_MS,
      zone: 'F1',
      evidence: [{ what: 'feeders-out', feeders: ['F1', 'F2'] }],
    })
    const f1 = aFinding('outage', 'feeder F1', { affected: ['E1'] })
    const f2 = aFinding('outage', 'feeder F2', { affected: ['E2'], zone: 'F2' })
    const transformer = aFinding('outage', 'transformer T2', { onsetMs: T0 + MINUTE_MS, affected: ['E2'], zone: 'F2' })
    const elsewhere = aFinding('outage', 'feeder F3', { affected: ['E3'], zone: 'F3' })
    for (const order of [
      [f1, f2, transformer, elsewhere, substation],
      [substation, elsewhere, transformer, f2, f1],
    ]) {
      const open = openOnes(run(createIncidentState(), ...order))
      expect(open.map((i) => i.key).sort()).toEqual([elsewhere.id, substation.id])
      const whole = open.find((i) => i.key === substation.id)
      expect(new Set(whole?.findings)).toEqual(new Set([substation.id, f1.id, f2.id, transformer.id]))
      expect(whole?.why).toMatchObject({ muted: { wider_outage: 3 } })
    }
  })

  it('frees the feeder that stays out when the rest of its substation is back', () => {
    const state = createIncidentState()
    const substation = aFinding('outage', 'substation S1', { evidence: [{ what: 'feeders-out', feeders: ['F1', 'F2'] }] })
    const f2 = aFinding('outage', 'feeder F2', { affected: ['E2'], zone: 'F2' })
    const at = T0 + HOUR_MS
    run(state, substation, f2, { ...substation, rev: 2, clearedAt: toIso(at), updatedAt: toIso(at) })
    expect(fold.tick(state, at + SETTLE_MS + 1)).toMatchObject([{ key: f2.id, reason: 'no_longer_muted', why: { inhibit: 'none' } }])
  })

  it('takes a state that was saved by zones', () => {
    const f = aFinding('outage', 'transformer T1', { affected: ['E1'] })
    const state = createIncidentState()
    run(state, f)
    const { findings, incidents, nowMs } = structuredClone(state)
    const old = { zones: new Map([['F1', { nowMs, findings, incidents }]]), ignored: 3 } as unknown as IncidentState
    const end = { ...f, rev: 2, clearedAt: toIso(T0 + HOUR_MS), updatedAt: toIso(T0 + HOUR_MS) }
    expect(run(old, f, end)).toEqual(run(state, f, end))
    expect([old.ignored, old.incidents.size]).toEqual([3, 1])
  })

  it('leaves a nested child when a feeder is restored in part, after the settling time', () => {
    const state = createIncidentState()
    const feeder = aFinding('outage', 'feeder F1', { affected: ['E1', 'E2'] })
    const transformer = aFinding('outage', 'transformer T1', { affected: ['E1'] })
    const restored = T0 + HOUR_MS
    const before = run(state, feeder, transformer, { ...feeder, rev: 2, clearedAt: toIso(restored), updatedAt: toIso(restored) })
    expect(openOnes(before)).toEqual([])
    expect(fold.tick(state, restored + SETTLE_MS - 1)).toEqual([])
    const [child] = fold.tick(state, restored + SETTLE_MS + 5_000)
    expect(child).toMatchObject({ key: transformer.id, reason: 'no_longer_muted', openedAt: toIso(restored + SETTLE_MS), closedAt: null })
  })

  it('opens no child when the transformer follows its feeder within the settling time', () => {
    const state = createIncidentState()
    const feeder = aFinding('outage', 'feeder F1', { affected: ['E1', 'E2'] })
    const transformer = aFinding('outage', 'transformer T1', { affected: ['E1'] })
    const at = T0 + HOUR_MS
    const intents = run(
      state,
      feeder,
      transformer,
      { ...feeder, rev: 2, clearedAt: toIso(at), updatedAt: toIso(at) },
      { ...transformer, rev: 2, clearedAt: toIso(at + MINUTE_MS), updatedAt: toIso(at + MINUTE_MS) },
    )
    expect([...intents, ...fold.tick(state, at + HOUR_MS)].map((i) => i.key)).toEqual([feeder.id, feeder.id, feeder.id])
  })

  it('keeps the ticket of an outage that was there long before the feeder went', () => {
    const early = aFinding('outage', 'transformer T1', { affected: ['E1'] })
    const feeder = aFinding('outage', 'feeder F1', { onsetMs: T0 + 3 * HOUR_MS, affected: ['E1', 'E2'] })
    expect(openOnes(run(createIncidentState(), early, feeder)).map((i) => i.key)).toEqual([early.id, feeder.id])
  })

  it('does not absorb the outage of another transformer', () => {
    const a = aFinding('outage', 'transformer T1', { affected: ['E1'] })
    const b = aFinding('outage', 'premise E7', { affected: ['E7'] })
    expect(openOnes(run(createIncidentState(), a, b))).toHaveLength(2)
  })

  it('opens nothing for a momentary interruption, and closes what turns out to be one', () => {
    const state = createIncidentState()
    const f = aFinding('outage', 'transformer T1', { momentary: true, clearedMs: T0 + MINUTE_MS })
    expect(run(state, f)).toEqual([])
    const g = aFinding('outage', 'transformer T2')
    const intents = run(state, g, { ...g, rev: 2, momentary: true, clearedAt: toIso(T0 + 3 * MINUTE_MS) })
    expect(intents.map((i) => i.reason)).toEqual(['first_finding', 'momentary'])
  })

  it('reopens the same ticket when the outage returns right after its end', () => {
    const f = aFinding('outage', 'transformer T1')
    const again = aFinding('outage', 'transformer T1', { onsetMs: T0 + 65 * MINUTE_MS })
    const intents = run(createIncidentState(), f, { ...f, rev: 2, clearedAt: toIso(T0 + HOUR_MS), updatedAt: toIso(T0 + HOUR_MS) }, again)
    expect(tickets(intents).size).toBe(1)
    expect(intents.at(-1)).toMatchObject({ key: f.id, rev: 3, reason: 'returned', closedAt: null, findings: [f.id, again.id] })
  })

  it('never opens an outage ticket for a silent gateway, and meter work only after its time', () => {
    const state = createIncidentState()
    const f = aFinding('comms_failure', 'gateway G1', { affected: ['E1', 'E2'], zone: 'F1' })
    expect(run(state, f)).toEqual([])
    expect(fold.tick(state, T0 + GATEWAY_SILENT_MS - 1)).toEqual([])
    expect(fold.tick(state, T0 + GATEWAY_SILENT_MS + 7_000)).toMatchObject([
      { class: 'meter_work', priority: 3, reason: 'lasted_long_enough', openedAt: toIso(T0 + GATEWAY_SILENT_MS) },
    ])
    const byComms = aFinding('outage', 'premise E5', { cause: 'comms' })
    expect(run(createIncidentState(), byComms)).toEqual([])
  })

  it('opens nothing for a gateway that came back in time', () => {
    const state = createIncidentState()
    const f = aFinding('comms_failure', 'gateway G1')
    run(state, f, { ...f, rev: 2, clearedAt: toIso(T0 + HOUR_MS), updatedAt: toIso(T0 + HOUR_MS) })
    expect(fold.tick(state, T0 + DAY_MS)).toEqual([])
  })

  it('mutes low pressure by a burst of its district, and not by a milder leak', () => {
    const low = aFinding('low_pressure', 'sensor P1', { onsetMs: T0 + MINUTE_MS })
    const burst = aFinding('burst', 'dma A', { severity: 'critical' })
    const intents = run(createIncidentState(), low, burst)
    expect(openOnes(intents)).toMatchObject([{ key: burst.id, class: 'leak', priority: 1, findings: [burst.id, low.id] }])
    const mild = aFinding('leak', 'dma A', { severity: 'minor' })
    expect(openOnes(run(createIncidentState(), mild, low)).map((i) => i.class)).toEqual(['leak', 'quality'])
  })

  it('takes two views of one leak as one incident, and two findings of one detector as two', () => {
    const night = aFinding('leak', 'dma A', { detector: 'night-flow' })
    const pressure = aFinding('burst', 'dma A', { detector: 'pressure', onsetMs: T0 + 2 * HOUR_MS })
    const second = aFinding('leak', 'dma A', { detector: 'night-flow', onsetMs: T0 + 3 * HOUR_MS })
    const open = openOnes(run(createIncidentState(), night, pressure, second))
    expect(open.map((i) => i.findings)).toEqual([[night.id, pressure.id], [second.id]])
    expect(open[0]).toMatchObject({ title: 'Burst: dma A' })
  })

  it('mutes what planned work explains', () => {
    const f = aFinding('outage', 'transformer T1', { evidence: [{ what: PLANNED_EVIDENCE, operation: 'planned_outage' }] })
    expect(run(createIncidentState(), f)).toEqual([])
  })

  it('says of what has no ticket why, once for each reason', () => {
    const state = createIncidentState()
    const said: string[] = []
    const hear = (d: IncidentDecision) =>
      said.push(`${d.why.decide} ${d.why.inhibit} ${d.why.silence} ${d.mutedBy === '' ? '' : 'muted'}`.trim())
    const planned = aFinding('outage', 'transformer T1', { evidence: [{ what: PLANNED_EVIDENCE }] })
    fold.apply(state, planned, hear)
    fold.apply(state, { ...planned, rev: 2, affected: ['E1'] }, hear)
    fold.apply(state, aFinding('outage', 'feeder F1', { onsetMs: T0 + 3 * HOUR_MS }), hear)
    fold.apply(state, aFinding('outage', 'premise E3', { onsetMs: T0 + 3 * HOUR_MS + MINUTE_MS }), hear)
    const gateway = aFinding('comms_failure', 'gateway G1', { onsetMs: T0 + 4 * HOUR_MS })
    fold.apply(state, gateway, hear)
    fold.tick(state, T0 + 9 * HOUR_MS, hear)
    expect(said).toEqual(['silenced none planned_work', 'muted wider_outage none muted', 'silenced none not_lasting_yet'])
  })

  it('mutes a meter without use during its outage', () => {
    const out = aFinding('outage', 'transformer T1', { affected: ['E1'] })
    const zero = aFinding('abnormal_usage', 'meter E1', { subtype: 'zero_usage', onsetMs: T0 + MINUTE_MS })
    expect(openOnes(run(createIncidentState(), out, zero)).map((i) => i.class)).toEqual(['outage'])
  })

  it.each([
    ['bypass', 'billing'],
    ['high_usage', 'billing'],
    ['zero_usage', 'billing'],
    ['usage_on_inactive', 'billing'],
    ['stuck_register', 'meter_work'],
    ['reverse_flow', 'meter_work'],
  ])('gives abnormal usage %s to %s', (subtype, cls) => {
    expect(run(createIncidentState(), aFinding('abnormal_usage', 'meter E1', { subtype }))).toMatchObject([{ class: cls }])
  })

  it('opens a billing ticket for what was over before it was found, and no outage ticket', () => {
    const over = { clearedMs: T0 + HOUR_MS, atMs: T0 + DAY_MS }
    expect(run(createIncidentState(), aFinding('abnormal_usage', 'meter E1', { subtype: 'bypass', ...over }))).toMatchObject([
      { class: 'billing', reason: 'found_after_its_end', closedAt: expect.any(String) },
    ])
    expect(run(createIncidentState(), aFinding('outage', 'premise E1', over))).toEqual([])
  })

  it('forgets what ended long ago and ignores its repeats', () => {
    const state = createIncidentState()
    const f = aFinding('outage', 'transformer T1')
    run(state, f, { ...f, rev: 2, clearedAt: toIso(T0 + HOUR_MS), updatedAt: toIso(T0 + HOUR_MS) })
    run(state, aFinding('outage', 'transformer T2', { onsetMs: T0 + 9 * DAY_MS }))
    expect(state.findings.size).toBe(1)
    expect(run(state, f)).toEqual([])
    expect(state.ignored).toBe(1)
  })

  it('lists every file of types/ exactly once', () => {
    const files = readdirSync(new URL('./types', import.meta.url)).filter((f) => !['index.ts', 'ticket-type.ts'].includes(f))
    expect(TICKET_TYPES.map((t) => `${t.name}.ts`).sort()).toEqual(files.sort())
  })
})

/** Lives of a few findings at few places: revisions in order, some cleared, some withdrawn. */
const lives = fc
  .array(
    fc.record({
      what: fc.constantFrom<[FindingKind, string]>(
        ['outage', 'feeder F1'],
        ['outage', 'transformer T1'],
        ['outage', 'transformer T2'],
        ['outage', 'premise E1'],
        ['outage', 'substation S1'],
        ['outage', 'feeder F2'],
        ['comms_failure', 'gateway G1'],
        ['comms_failure', 'meter E1'],
        ['abnormal_usage', 'meter E1'],
      ),
      onsetMin: fc.integer({ min: 0, max: 300 }),
      lastMin: fc.integer({ min: 1, max: 400 }),
      end: fc.constantFrom('cleared', 'withdrawn', 'none', 'momentary'),
    }),
    { maxLength: 12 },
  )
  .map((ls) => {
    const out: Finding[] = []
    const seen = new Set<string>()
    for (const {
      what: [kind, scope],
      onsetMin,
      lastMin,
      end,
    } of ls) {
      const onsetMs = T0 + onsetMin * MINUTE_MS
      const f = aFinding(kind, scope, {
        onsetMs,
        zone: scope === 'feeder F2' ? 'F2' : 'F1',
        affected: ['E1'],
        ...(scope === 'substation S1' ? { evidence: [{ what: 'feeders-out', feeders: ['F1', 'F2'] }] } : {}),
        ...(kind === 'abnormal_usage' ? { subtype: 'zero_usage' } : {}),
      })
      if (seen.has(f.id)) continue
      seen.add(f.id)
      out.push(f)
      const at = toIso(onsetMs + lastMin * MINUTE_MS)
      if (end === 'withdrawn') out.push({ ...f, rev: 2, withdrawn: true, updatedAt: at })
      else if (end !== 'none') out.push({ ...f, rev: 2, clearedAt: at, updatedAt: at, momentary: end === 'momentary' })
    }
    return out.sort((a, b) => a.updatedAt.localeCompare(b.updatedAt))
  })

describe('for any lives of findings', () => {
  it('a finding that comes again changes nothing, wherever it comes again', () => {
    fc.assert(
      fc.property(lives, fc.array(fc.nat(), { maxLength: 20 }), (findings, again) => {
        const once = run(createIncidentState(), ...findings)
        const repeated: Finding[] = []
        findings.forEach((f, i) => {
          repeated.push(f)
          for (const a of again) if (a % findings.length === i) repeated.push(...findings.slice(a % (i + 1), i + 1))
        })
        expect(run(createIncidentState(), ...repeated)).toEqual(once)
      }),
    )
  })

  it('state survives being stored and loaded at any point', () => {
    fc.assert(
      fc.property(lives, fc.nat(), (findings, cut) => {
        const at = findings.length === 0 ? 0 : cut % findings.length
        const state = createIncidentState()
        const head = run(state, ...findings.slice(0, at))
        const tail = run(structuredClone(state), ...findings.slice(at))
        expect([...head, ...tail]).toEqual(run(createIncidentState(), ...findings))
      }),
    )
  })

  it('re-deciding everything says nothing that was not said', () => {
    fc.assert(
      fc.property(lives, (findings) => {
        const state = createIncidentState()
        for (const f of findings) {
          fold.apply(state, f)
          const all = structuredClone(state)
          for (const incident of all.incidents.values()) incident.dueMs = 1
          expect(fold.tick(all, state.nowMs + 1)).toEqual(fold.tick(structuredClone(state), state.nowMs + 1))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('revisions of a ticket count up by one, and at any time no two open tickets are about one finding', () => {
    fc.assert(
      fc.property(lives, (findings) => {
        const state = createIncidentState()
        const all: TicketIntent[] = []
        for (const f of findings) {
          all.push(...fold.apply(state, f))
          const claimed = openOnes(all).flatMap((i) => i.findings)
          expect(new Set(claimed).size).toBe(claimed.length)
        }
        const revs = new Map<string, number>()
        for (const i of all) {
          expect(i.rev).toBe((revs.get(i.key) ?? 0) + 1)
          revs.set(i.key, i.rev)
        }
      }),
    )
  })

  it('when everything has ended no ticket stays open', () => {
    fc.assert(
      fc.property(lives, (findings) => {
        const state = createIncidentState()
        const all = run(state, ...findings)
        const end = toIso(T0 + 2 * DAY_MS)
        for (const f of findings.filter((x) => x.rev === 1))
          all.push(...fold.apply(state, { ...f, rev: 9, clearedAt: end, updatedAt: end }))
        expect(openOnes(all)).toEqual([])
      }),
    )
  })
})

describe('a storm over several feeders', () => {
  /** 4 feeders of 10 transformers of 49 premises; every second feeder is out as a whole, told last. */
  function storm(): Finding[] {
    const out: Finding[] = []
    for (let f = 0; f < 4; f++) {
      const all: string[] = []
      for (let t = 0; t < 10; t++) {
        const meters = Array.from({ length: 49 }, (_, m) => `E-${f}-${t}-${m}`)
        all.push(...meters)
        for (const m of meters)
          out.push(aFinding('outage', `premise ${m}`, { zone: `F-${f}`, affected: [m], onsetMs: T0 + out.length * 6 }))
        out.push(aFinding('outage', `transformer T-${f}-${t}`, { zone: `F-${f}`, affected: meters, onsetMs: T0 + MINUTE_MS }))
      }
      if (f % 2 === 0) out.push(aFinding('outage', `feeder F-${f}`, { zone: `F-${f}`, affected: all, onsetMs: T0 + MINUTE_MS }))
    }
    return out
  }

  it('opens one ticket an incident, and costs what its findings cost', () => {
    const findings = storm()
    expect(findings.length).toBe(2_002)
    const state = createIncidentState()
    const intents: TicketIntent[] = []
    for (const f of findings) intents.push(...fold.apply(state, f))
    intents.push(...fold.tick(state, T0 + 10 * MINUTE_MS))
    const open = openOnes(intents)
    expect(open).toHaveLength(2 + 20)
    expect(open.flatMap((i) => i.findings).length).toBe(2_002)
    // Each premise opens and is absorbed, transformers likewise: a few intents a finding, whatever is open meanwhile.
    expect(intents.length).toBeLessThan(3 * findings.length)
  })
})
