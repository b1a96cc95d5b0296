import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isOpen, TICKET_ACTIONS, TICKET_STATES, type TicketAction, type TicketState } from '#model/desk.ts'
import type { TicketClass, TicketIntent } from '#model/ticket.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { DEFAULTS } from './settings.ts'
import { rulesOf } from './sla.ts'
import { actionsFor, transition } from './states.ts'
import { applyCommand, applyIntent, breachesOf, type Ticket, ticketNo, viewOf } from './ticket.ts'

const T0 = Date.parse('2026-03-01T10:00:00Z')

function anIntent(given: Partial<TicketIntent> = {}): TicketIntent {
  return {
    type: 'ticket',
    key: 'outage:transformer:T1:x',
    rev: 1,
    class: 'outage',
    findings: ['f1'],
    priority: 2,
    severity: 'major',
    zone: 'F1',
    scope: { type: 'transformer', id: 'T1' },
    title: 'Outage: transformer T1',
    description: '',
    affected: ['E1'],
    openedAt: toIso(T0),
    updatedAt: toIso(T0),
    closedAt: null,
    reason: 'first_finding',
    ...given,
  }
}

const rules = rulesOf(DEFAULTS, 'UTC')
const ctx = { rules }
const opened = (given: Partial<TicketIntent> = {}): Ticket => (applyIntent(null, anIntent(given), ctx) as { ticket: Ticket }).ticket
const next = (t: Ticket, given: Partial<TicketIntent>): Ticket =>
  (applyIntent(t, anIntent({ rev: t.intentRev + 1, ...given }), ctx) as { ticket: Ticket }).ticket

function does(t: Ticket, ...actions: TicketAction[]): Ticket {
  return actions.reduce((ticket, action) => {
    const r = applyCommand(ticket, { action, who: 'anna', atMs: ticket.updatedMs + MINUTE_MS, note: 'because' }, rules)
    if (!r.ok) throw new Error(r.message)
    return r.ticket
  }, t)
}

describe('a ticket and telemetry', () => {
  const end = { closedAt: toIso(T0 + HOUR_MS), updatedAt: toIso(T0 + HOUR_MS), reason: 'all_clear' }

  it('opens with its limits', () => {
    const t = opened()
    expect(t).toMatchObject({ state: 'received', version: 1, sla: { respondMs: T0 + 15 * MINUTE_MS, resolveMs: T0 + 8 * HOUR_MS } })
    expect(viewOf({ ...t, no: 7 }, T0)).toMatchObject({
      id: 'T-7',
      breached: [],
      actions: ['review', 'dispatch', 'reply', 'etr', 'hold', 'cancel', 'note'],
    })
  })

  it('ignores an intent that is not newer', () => {
    const t = opened()
    expect(applyIntent(t, anIntent(), ctx)).toBeUndefined()
    expect(applyIntent(next(t, { priority: 1 }), anIntent({ rev: 1 }), ctx)).toBeUndefined()
  })

  it('closes by itself when nobody works on it', () => {
    expect(next(opened(), end)).toMatchObject({ state: 'closed', closedMs: T0 + HOUR_MS, resolvedMs: T0 + HOUR_MS })
  })

  it('waits for the crew that is on its way', () => {
    expect(next(does(opened(), 'dispatch'), end)).toMatchObject({ state: 'resolved', closedMs: null, telemetryClosedMs: T0 + HOUR_MS })
  })

  it('does not believe done without the end in the telemetry, then does', () => {
    const t = does(opened(), 'dispatch', 'start', 'done')
    expect(t).toMatchObject({ state: 'verify', reason: 'done_but_telemetry_disagrees', resolvedMs: null })
    expect(next(t, end)).toMatchObject({ state: 'resolved' })
  })

  it('believes done when telemetry has seen the end', () => {
    expect(does(next(does(opened(), 'dispatch', 'start'), end), 'confirm', 'close', 'archive').state).toBe('archived')
  })

  it('reopens the same ticket when the incident returns', () => {
    const back = next(next(opened(), end), { closedAt: null, reason: 'returned', updatedAt: toIso(T0 + 2 * HOUR_MS) })
    expect(back).toMatchObject({ state: 'received', closedMs: null, telemetryClosedMs: null, resolvedMs: null, version: 3 })
  })

  it('cancels what was withdrawn, and closes what a wider incident took over', () => {
    expect(next(does(opened(), 'dispatch'), { ...end, withdrawn: true, reason: 'withdrawn' }).state).toBe('cancelled')
    const absorbed = next(does(opened(), 'dispatch'), { ...end, reason: 'absorbed', mergedInto: 'outage:feeder:F1:x' })
    expect(absorbed).toMatchObject({ state: 'closed', mergedInto: 'outage:feeder:F1:x' })
  })

  it('leaves a bill to correct open although use is normal again', () => {
    const t = opened({ class: 'billing', ...end, reason: 'found_after_its_end' })
    expect(t).toMatchObject({ state: 'received', resolvedMs: null })
    expect(does(t, 'review', 'done', 'close').state).toBe('closed')
  })

  it('stops and starts its clocks', () => {
    const held = does(opened(), 'hold')
    expect(held).toMatchObject({ heldSinceMs: T0 + MINUTE_MS, state: 'received' })
    expect(viewOf(held, T0 + DAY_MS)).toMatchObject({ breached: [], clocks: [{ state: 'paused' }, { state: 'paused' }, {}, {}] })
    const goesOn = applyCommand(held, { action: 'resume', who: 'anna', atMs: T0 + 61 * MINUTE_MS, note: '' }, rules)
    expect(goesOn).toMatchObject({ ok: true, ticket: { heldMs: HOUR_MS, heldSinceMs: null, sla: { respondMs: T0 + 75 * MINUTE_MS } } })
  })

  it('starts its clocks anew when it is opened again', () => {
    const t = does(next(opened(), end), 'reopen')
    expect(t).toMatchObject({ reopened: 1, clockFromMs: t.updatedMs, sla: { respondMs: t.updatedMs + 15 * MINUTE_MS }, resolvedMs: null })
  })

  it('takes an estimate only for the future, and takes it back', () => {
    const etr = (etrMs: number | null) =>
      applyCommand(opened(), { action: 'etr', who: 'anna', atMs: T0 + MINUTE_MS, note: '', etrMs }, rules)
    expect(etr(T0)).toMatchObject({ ok: false, code: 'etr_required' })
    expect(etr(T0 + HOUR_MS)).toMatchObject({ ok: true, ticket: { etrMs: T0 + HOUR_MS, etrBy: 'person' } })
    expect(etr(null)).toMatchObject({ ok: true, ticket: { etrMs: null, etrBy: '' } })
  })

  it('counts a limit as broken only when its step came too late', () => {
    const t = opened()
    expect(breachesOf(t, T0 + 20 * MINUTE_MS)).toEqual(['respond'])
    expect(breachesOf(t, T0 + DAY_MS)).toEqual(['respond', 'dispatch', 'resolve', 'reply'])
    expect(breachesOf(next(t, end), T0 + DAY_MS)).toEqual(['respond'])
    expect(breachesOf(does(opened(), 'review'), T0 + 20 * MINUTE_MS)).toEqual([])
  })
})

describe('transitions', () => {
  const situation = (state: TicketState, note = '') => ({
    state,
    class: 'outage' as TicketClass,
    origin: 'telemetry' as const,
    ended: false,
    held: false,
    replied: false,
    note,
  })

  it('offers exactly what it allows', () => {
    for (const state of TICKET_STATES) {
      const allowed = TICKET_ACTIONS.filter((a) => transition(situation(state, 'why'), a).ok)
      expect(new Set(actionsFor(situation(state)))).toEqual(new Set(allowed))
    }
  })

  it.each([
    ['received', 'close'],
    ['received', 'start'],
    ['closed', 'dispatch'],
    ['archived', 'reopen'],
    ['verify', 'close'],
    ['verify', 'done'],
  ] as const)('refuses to %s → %s with what is possible', (state, action) => {
    expect(transition(situation(state, 'why'), action)).toMatchObject({
      ok: false,
      code: 'illegal_transition',
      message: expect.stringContaining('note'),
    })
  })

  it.each([
    ['received', 'cancel'],
    ['closed', 'reopen'],
    ['verify', 'confirm'],
    ['received', 'note'],
  ] as const)('asks why for %s → %s', (state, action) => {
    expect(transition(situation(state), action)).toMatchObject({ ok: false, code: 'note_required' })
  })

  it('lets a desk ticket end at once, and not close before whoever asked was told', () => {
    const asked = { ...situation('received', 'why'), class: 'complaint' as TicketClass, origin: 'report' as const }
    expect(transition(asked, 'done')).toMatchObject({ ok: true, to: 'resolved' })
    expect(transition({ ...asked, state: 'resolved' }, 'close')).toMatchObject({ ok: false, code: 'reply_required' })
    expect(transition({ ...asked, state: 'resolved', replied: true }, 'close')).toMatchObject({ ok: true, to: 'closed' })
  })

  it('reads ticket numbers strictly', () => {
    expect(['T-1', 'T-1042', 'T-0', 'T-01', 't-1', 'T-1e3', "T-1' OR 1=1", ''].map(ticketNo)).toEqual([
      1,
      1042,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })
})

describe('any mix of intents and commands', () => {
  it('counts versions up by one, never turns time back, and has a closing time exactly when it is not open', () => {
    const step = fc.oneof(
      fc.record({
        action: fc.constantFrom(...TICKET_ACTIONS),
        note: fc.constantFrom('', 'why'),
        dt: fc.integer({ min: -HOUR_MS, max: HOUR_MS }),
      }),
      fc.record({
        rev: fc.integer({ min: 1, max: 12 }),
        end: fc.boolean(),
        reason: fc.constantFrom('all_clear', 'absorbed', 'returned'),
        dt: fc.nat(HOUR_MS),
      }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let t = opened()
        for (const s of steps) {
          const at = t.updatedMs + s.dt
          const r =
            'action' in s
              ? applyCommand(t, { action: s.action, who: 'x', atMs: at, note: s.note, etrMs: null }, rules)
              : applyIntent(t, anIntent({ rev: s.rev, updatedAt: toIso(at), closedAt: s.end ? toIso(at) : null, reason: s.reason }), ctx)
          if (r === undefined || ('ok' in r && !r.ok)) continue
          const next = (r as { ticket: Ticket }).ticket
          expect(next.version).toBe(t.version + 1)
          expect(next.updatedMs).toBeGreaterThanOrEqual(t.updatedMs)
          expect(next.closedMs === null).toBe(isOpen(next.state))
          t = next
        }
      }),
    )
  })
})
