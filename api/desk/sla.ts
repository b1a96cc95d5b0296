// Time limits of a ticket: which apply, when each step is due, how its clock stands, and whether it will be late at the usual pace. Pure.
import { SLA_STEPS, type SlaClock, type SlaDue, type SlaStep } from '#model/desk.ts'
import type { TicketClass } from '#model/ticket.ts'
import { MINUTE_MS } from '#model/time.ts'
import { addWorking, type Calendar, calendarOf, workingMs } from './calendar.ts'
import type { DeskSettings } from './settings.ts'

/** Settings with what is derived from them. */
export interface Rules {
  settings: DeskSettings
  calendar: Calendar
}

export function rulesOf(settings: DeskSettings, timezone: string): Rules {
  return { settings, calendar: calendarOf(settings.calendar, timezone) }
}

export interface Limits {
  clock: 'always' | 'business'
  respondMs: number
  dispatchMs: number
  resolveMs: number
  replyMs: number
}

/** The rule that names most of class, priority and segment; settings are refused when a class or priority has none. */
export function limitsFor(rules: Rules, t: { class: TicketClass; priority: number; segment: string }): Limits {
  let best: DeskSettings['limits'][number] | undefined
  let named = -1
  for (const l of rules.settings.limits) {
    if ((l.class ?? t.class) !== t.class || (l.priority ?? t.priority) !== t.priority || (l.segment ?? t.segment) !== t.segment) continue
    // A segment outweighs a priority, which outweighs a class: it was named on purpose.
    const n = (l.segment === undefined ? 0 : 4) + (l.priority === undefined ? 0 : 2) + (l.class === undefined ? 0 : 1)
    if (n > named) {
      best = l
      named = n
    }
  }
  if (best === undefined) throw new Error(`no limits for ${t.class} of priority ${t.priority}`)
  return {
    clock: best.clock,
    respondMs: best.respondMin * MINUTE_MS,
    dispatchMs: best.dispatchMin * MINUTE_MS,
    resolveMs: best.resolveMin * MINUTE_MS,
    replyMs: best.replyMin * MINUTE_MS,
  }
}

/** Time that counts for a ticket's clock between two instants. */
export function countedMs(rules: Rules, clock: Limits['clock'], fromMs: number, toMs: number): number {
  return clock === 'always' ? Math.max(0, toMs - fromMs) : workingMs(rules.calendar, fromMs, toMs)
}

function dueAfter(rules: Rules, clock: Limits['clock'], fromMs: number, ms: number): number {
  return clock === 'always' ? fromMs + ms : addWorking(rules.calendar, fromMs, ms)
}

/** Due times of a ticket whose clocks run from `fromMs` and have stood still for `heldMs` of counted time. Epoch ms of the log clock. */
export function slaDue(rules: Rules, limits: Limits, fromMs: number, heldMs: number): SlaDue {
  const due = (ms: number) => dueAfter(rules, limits.clock, fromMs, ms + heldMs)
  return {
    respondMs: due(limits.respondMs),
    dispatchMs: due(limits.dispatchMs),
    resolveMs: due(limits.resolveMs),
    replyMs: due(limits.replyMs),
  }
}

/** What the clocks depend on; a Ticket has all of it. */
export interface Timed {
  /** The clocks run from here: when it was opened, or opened again. */
  clockFromMs: number
  sla: SlaDue
  limits: Limits
  heldSinceMs: number | null
  heldMs: number
  respondedMs: number | null
  dispatchedMs: number | null
  resolvedMs: number | null
  repliedMs: number | null
  closedMs: number | null
}

/** Usual times from opening to the end of a step, ms: the median of such tickets; a step not known is left out. */
export type Pace = Partial<Record<SlaStep, number>>

/** Share of the limit used from which a step is at risk, whatever the pace. */
export const RISK_PCT = 80

/** When a step was done: its own time, or the first later step's, for a ticket that skipped it. Null while it is not. */
export function doneMs(t: Timed, step: SlaStep): number | null {
  const resolved = t.resolvedMs ?? t.closedMs
  switch (step) {
    case 'respond':
      return t.respondedMs ?? t.dispatchedMs ?? resolved
    case 'dispatch':
      return t.dispatchedMs ?? resolved
    case 'resolve':
      return resolved
    case 'reply':
      return t.repliedMs ?? t.closedMs
  }
}

export function clocksOf(t: Timed, rules: Rules, nowMs: number, pace: Pace = {}): SlaClock[] {
  return SLA_STEPS.map((step) => clockOf(t, step, { rules, nowMs, pace }))
}

function clockOf(t: Timed, step: SlaStep, { rules, nowMs, pace }: { rules: Rules; nowMs: number; pace: Pace }): SlaClock {
  const dueMs = t.sla[`${step}Ms`]
  const limitMs = t.limits[`${step}Ms`]
  const done = doneMs(t, step)
  const untilMs = done ?? t.heldSinceMs ?? nowMs
  const used = countedMs(rules, t.limits.clock, t.clockFromMs, untilMs) - t.heldMs
  const usedPct = limitMs === 0 ? (used > 0 ? 100 : 0) : Math.max(0, Math.round((used * 100) / limitMs))
  if (done !== null) return { step, dueMs, state: done <= dueMs ? 'met' : 'late', usedPct, forecastMs: null, risk: false }
  if (t.heldSinceMs !== null) return { step, dueMs, state: 'paused', usedPct, forecastMs: null, risk: false }
  const usual = pace[step]
  const forecastMs = usual === undefined ? null : Math.max(nowMs, t.clockFromMs + usual)
  const breached = nowMs > dueMs
  const risk = !breached && (usedPct >= RISK_PCT || (forecastMs !== null && forecastMs > dueMs))
  return { step, dueMs, state: breached ? 'breached' : 'running', usedPct, forecastMs, risk }
}

/** Escalation steps that are due and not yet taken, as they are stored. */
export function escalationsDue(rules: Rules, clocks: readonly SlaClock[], taken: readonly string[]): string[] {
  const out: string[] = []
  for (const e of rules.settings.escalation) {
    const clock = clocks.find((c) => c.step === e.step)
    if (clock === undefined || (clock.state !== 'running' && clock.state !== 'breached') || clock.usedPct < e.usedPct) continue
    const name = `${e.step}:${e.usedPct}:${e.to}`
    if (!taken.includes(name)) out.push(name)
  }
  return out
}
