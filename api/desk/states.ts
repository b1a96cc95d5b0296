// The life of a ticket with people, as a closed table: what may be done in which state, and where it leads.
import type { TicketAction, TicketState } from '#model/desk.ts'
import type { TicketClass } from '#model/ticket.ts'

/** What the transition depends on besides the state. */
export interface Situation {
  state: TicketState
  class: TicketClass
  origin: 'telemetry' | 'report'
  /** Telemetry saw the end of the incident. */
  ended: boolean
  note: string
}

export type Transition =
  | { ok: true; to: TicketState; reason: string }
  | { ok: false; code: 'illegal_transition' | 'note_required'; message: string }

/** state -> action -> next state. `done` is decided by `afterDone`. An action that is not here is illegal in that state. */
const TABLE: Record<TicketState, Partial<Record<TicketAction, TicketState>>> = {
  received: { review: 'reviewed', dispatch: 'dispatched', cancel: 'cancelled' },
  reviewed: { dispatch: 'dispatched', done: 'resolved', cancel: 'cancelled' },
  dispatched: { start: 'in_progress', dispatch: 'dispatched', done: 'resolved', cancel: 'cancelled' },
  in_progress: { done: 'resolved', dispatch: 'dispatched', cancel: 'cancelled' },
  verify: { start: 'in_progress', dispatch: 'dispatched', confirm: 'confirmed' },
  resolved: { confirm: 'confirmed', close: 'closed', reopen: 'reviewed' },
  confirmed: { close: 'closed', reopen: 'reviewed' },
  closed: { archive: 'archived', reopen: 'reviewed' },
  archived: {},
  cancelled: { archive: 'archived', reopen: 'reviewed' },
}

/** Order in which a person is offered what may be done. */
const OFFER: readonly TicketAction[] = ['review', 'dispatch', 'start', 'done', 'confirm', 'close', 'reopen', 'archive', 'cancel', 'note']

/** Classes whose end shows in the telemetry: "done" alone is not believed. A bill is corrected at a desk. */
const SEEN_BY_TELEMETRY: readonly TicketClass[] = ['outage', 'leak', 'quality', 'meter_work']

export function transition(s: Situation, action: TicketAction): Transition {
  if (action === 'note') {
    return s.note === '' ? { ok: false, code: 'note_required', message: 'a note needs a text' } : { ok: true, to: s.state, reason: 'noted' }
  }
  const to = TABLE[s.state][action]
  if (to === undefined) {
    const may = actionsFor(s.state)
    return { ok: false, code: 'illegal_transition', message: `a ticket that is ${s.state} cannot ${action}; it can ${may.join(', ')}` }
  }
  if (action === 'done') return afterDone(s)
  if (needsNote(s, action) && s.note === '') {
    return { ok: false, code: 'note_required', message: `to ${action} a ticket that is ${s.state} say why in a note` }
  }
  return { ok: true, to, reason: REASONS[action] }
}

function afterDone(s: Situation): Transition {
  if (s.ended || s.origin === 'report' || !SEEN_BY_TELEMETRY.includes(s.class)) return { ok: true, to: 'resolved', reason: 'done' }
  return { ok: true, to: 'verify', reason: 'done_but_telemetry_disagrees' }
}

/** Overruling telemetry, undoing and giving up are explained. */
function needsNote(s: Situation, action: TicketAction): boolean {
  return action === 'cancel' || action === 'reopen' || (action === 'confirm' && s.state === 'verify')
}

const REASONS: Record<TicketAction, string> = {
  review: 'reviewed',
  dispatch: 'dispatched',
  start: 'work_begun',
  done: 'done',
  confirm: 'confirmed_by_person',
  close: 'closed_by_person',
  archive: 'archived',
  reopen: 'reopened_by_person',
  cancel: 'nothing_to_do',
  note: 'noted',
}

export function actionsFor(state: TicketState): TicketAction[] {
  return OFFER.filter((a) => a === 'note' || TABLE[state][a] !== undefined)
}

/** Where the end seen by telemetry leads. A ticket that nobody works on closes; one with people on it waits for their word. */
export function afterTelemetryEnd(state: TicketState, cls: TicketClass): TicketState {
  if (!SEEN_BY_TELEMETRY.includes(cls)) return state
  switch (state) {
    case 'received':
    case 'reviewed':
      return 'closed'
    case 'dispatched':
    case 'in_progress':
    case 'verify':
      return 'resolved'
    default:
      return state
  }
}

/** Where the return of the incident leads: whatever was over is to be looked at anew. */
export function afterTelemetryReturn(state: TicketState): TicketState {
  switch (state) {
    case 'resolved':
    case 'confirmed':
    case 'closed':
    case 'archived':
    case 'cancelled':
      return 'received'
    default:
      return state
  }
}
