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
  /** The clocks stand still. */
  held: boolean
  /** The customer was told how it ended. */
  replied: boolean
  note: string
}

export type Transition =
  | { ok: true; to: TicketState; reason: string }
  | { ok: false; code: 'illegal_transition' | 'note_required' | 'reply_required'; message: string }

/** state -> action -> next state. `done` is decided by `afterDone`. An action that is not here is illegal in that state. */
const TABLE: Record<TicketState, Partial<Record<TicketAction, TicketState>>> = {
  received: { review: 'reviewed', dispatch: 'dispatched', done: 'resolved', cancel: 'cancelled' },
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
const OFFER: readonly TicketAction[] = [
  'review',
  'dispatch',
  'start',
  'done',
  'reply',
  'confirm',
  'close',
  'reopen',
  'archive',
  'etr',
  'hold',
  'resume',
  'cancel',
  'note',
]

/** Steps beside the state. */
const BESIDE: readonly TicketAction[] = ['reply', 'hold', 'resume', 'etr', 'note']

/** Classes that are answered at a desk: they may end at once, and whoever asked is told. */
const ANSWERED: readonly TicketClass[] = ['billing', 'complaint', 'enquiry', 'installation']

/** Classes whose end shows in the telemetry: "done" alone is not believed. A bill is corrected at a desk. */
const SEEN_BY_TELEMETRY: readonly TicketClass[] = ['outage', 'leak', 'quality', 'meter_work']

export function transition(s: Situation, action: TicketAction): Transition {
  const may = actionsFor(s)
  if (!may.includes(action)) {
    return {
      ok: false,
      code: 'illegal_transition',
      message: `a ${said(s.class)} ticket that is ${said(s.state)}${s.held ? ' and on hold' : ''} cannot ${action}; it can ${may.join(', ')}`,
    }
  }
  if (needsNote(s, action) && s.note === '') {
    const message = action === 'note' ? 'a note needs a text' : `to ${action} a ticket that is ${said(s.state)} say why in a note`
    return { ok: false, code: 'note_required', message: action === 'reply' ? 'say in the note what the customer was told' : message }
  }
  if (BESIDE.includes(action)) return { ok: true, to: s.state, reason: REASONS[action] }
  if (action === 'done') return afterDone(s)
  if (action === 'close' && s.origin === 'report' && ANSWERED.includes(s.class) && !s.replied) {
    return { ok: false, code: 'reply_required', message: 'whoever asked has not been told how it ended; reply first' }
  }
  return { ok: true, to: TABLE[s.state][action] as TicketState, reason: REASONS[action] }
}

const said = (word: string) => word.replace('_', ' ')

function afterDone(s: Situation): Transition {
  if (s.ended || s.origin === 'report' || !SEEN_BY_TELEMETRY.includes(s.class)) return { ok: true, to: 'resolved', reason: 'done' }
  return { ok: true, to: 'verify', reason: 'done_but_telemetry_disagrees' }
}

/** Overruling telemetry, undoing and giving up are explained. */
function needsNote(s: Situation, action: TicketAction): boolean {
  return ['note', 'reply', 'hold', 'cancel', 'reopen'].includes(action) || (action === 'confirm' && s.state === 'verify')
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
  reply: 'customer_told',
  hold: 'clocks_stopped',
  resume: 'clocks_running',
  etr: 'estimate_changed',
  note: 'noted',
}

export function actionsFor(s: Pick<Situation, 'state' | 'class' | 'held'>): TicketAction[] {
  return OFFER.filter((a) =>
    BESIDE.includes(a)
      ? mayBeside(s, a)
      : TABLE[s.state][a] !== undefined && (a !== 'done' || s.state !== 'received' || ANSWERED.includes(s.class)),
  )
}

/** States in which somebody still waits. */
const WAITED_FOR: readonly TicketState[] = ['received', 'reviewed', 'dispatched', 'in_progress', 'verify']

function mayBeside(s: Pick<Situation, 'state' | 'class' | 'held'>, action: TicketAction): boolean {
  switch (action) {
    case 'hold':
      return !s.held && WAITED_FOR.includes(s.state)
    case 'resume':
      return s.held
    case 'etr':
      return SEEN_BY_TELEMETRY.includes(s.class) && WAITED_FOR.includes(s.state)
    case 'reply':
      return s.state !== 'archived' && s.state !== 'cancelled'
    default:
      return true
  }
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
