// Causes of billing tickets: what is wrong with a bill or will be, with the numbers that a person can check. Pure: finders say what is
// there now; this says what that means for what was there before.
import type { TicketIntent } from '#model/ticket.ts'
import { toIso } from '#model/time.ts'

export const CAUSE_KINDS = ['estimated_too_long', 'gate_not_met', 'exchange_unrecorded', 'high_bill_ahead', 'tariff_problem'] as const
export type CauseKind = (typeof CAUSE_KINDS)[number]

export type Evidence = Record<string, string | number | boolean | null | string[]>

export interface Cause {
  /** The ticket's key: kind, subject and, where one comes again with each period, the period. */
  key: string
  kind: CauseKind
  account: string
  meter: string
  zone: string
  evidence: Evidence
}

export interface StoredCause {
  key: string
  kind: CauseKind
  rev: number
  open: boolean
  evidence: Evidence
}

/** What becomes of a cause: it opens, comes back, has other numbers, or is over. */
export interface CauseChange {
  cause: Cause
  rev: number
  action: 'open' | 'reopen' | 'update' | 'close'
}

/** A key that is the same for the same thing, of whatever letters the ids are made. */
export function causeKey(kind: CauseKind, ...parts: string[]): string {
  return `billing:${kind}:${parts.join(':')}`
}

/**
 * Compares what is found now with what is stored of the kinds that were looked for. Numbers that move every day (days so far, a forecast)
 * do not make a revision unless the evidence's `level` changes: a ticket that says something new each day is read by nobody.
 */
export function reconcile(found: readonly Cause[], stored: readonly StoredCause[]): CauseChange[] {
  const before = new Map(stored.map((s) => [s.key, s]))
  const now = new Map(found.map((c) => [c.key, c]))
  const out: CauseChange[] = []
  for (const cause of now.values()) {
    const s = before.get(cause.key)
    if (s === undefined) out.push({ cause, rev: 1, action: 'open' })
    else if (!s.open) out.push({ cause, rev: s.rev + 1, action: 'reopen' })
    else if (s.evidence.level !== cause.evidence.level) out.push({ cause, rev: s.rev + 1, action: 'update' })
  }
  for (const s of stored) {
    if (!s.open || now.has(s.key)) continue
    out.push({
      cause: { key: s.key, kind: s.kind, account: '', meter: '', zone: '', evidence: s.evidence },
      rev: s.rev + 1,
      action: 'close',
    })
  }
  return out
}

const n = (value: unknown, unit = '') =>
  `${typeof value === 'number' ? Math.round(value * 100) / 100 : value}${unit === '' ? '' : ` ${unit}`}`

const TEXTS: Record<CauseKind, { title: string; priority: 2 | 3; says(e: Evidence): string }> = {
  estimated_too_long: {
    title: 'Estimated too long',
    priority: 3,
    says: (e) =>
      `${n(e.days)} days in a row are mostly estimated, since ${e.since}: ${n(e.estimatedValue, String(e.unit))} so far. Read the meter by hand or repair the connection before the bill is closed.`,
  },
  gate_not_met: {
    title: 'Bill closed without days',
    priority: 2,
    says: (e) =>
      `Period ${e.period} was closed without ${n(e.days)} days: ${n(e.held)} held by the quality gate, ${n(e.notKnown)} without a figure (${(e.dates as string[]).join(', ')}). They become adjustments of the next period when they come or are released.`,
  },
  exchange_unrecorded: {
    title: 'Meter exchange not recorded',
    priority: 2,
    says: (e) =>
      `The register fell at ${e.at} and nobody announced an exchange: the interval there is estimated with ${n(e.estimated, String(e.unit))}. Record the exchange with the last index of the old meter and the first of the new one.`,
  },
  high_bill_ahead: {
    title: 'High bill ahead',
    priority: 3,
    says: (e) =>
      `${n(e.used, String(e.unit))} in ${n(e.days)} days; at this rate period ${e.period} comes to ${n(e.forecast, String(e.unit))}, ${n(e.ratio)} times the ${n(e.usual, String(e.unit))} that the last one would come to. Tell the customer; look for a leak or a fault.`,
  },
  tariff_problem: {
    title: 'Bill without a price',
    priority: 2,
    says: (e) =>
      `${n(e.bills)} ${e.bills === 1 ? 'bill' : 'bills'} of period ${e.period} without charges: ${(e.problems as string[]).join('; ')}. Accounts: ${(e.accounts as string[]).join(', ')}${Number(e.bills) > 10 ? ' …' : ''}.`,
  },
}

export interface ToldCause extends Cause {
  rev: number
  openedMs: number
  updatedMs: number
  closedMs: number | null
  /** Findings that are open at the meter: they may be why. */
  findings: string[]
}

/** The desk's form of a cause. */
export function intentOf(c: ToldCause): TicketIntent {
  const text = TEXTS[c.kind]
  const subject = c.meter === '' ? c.account : c.meter
  return {
    type: 'ticket',
    key: c.key,
    rev: c.rev,
    class: 'billing',
    findings: c.findings,
    priority: text.priority,
    severity: 'minor',
    zone: c.zone,
    scope: { type: 'meter', id: subject },
    title: `${text.title}: ${subject}`,
    description: text.says(c.evidence),
    affected: c.meter === '' ? [] : [c.meter],
    openedAt: toIso(c.openedMs),
    updatedAt: toIso(c.updatedMs),
    closedAt: c.closedMs === null ? null : toIso(c.closedMs),
    reason: c.closedMs === null ? c.kind : 'all_clear',
  }
}
