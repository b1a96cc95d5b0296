// Time limits of tickets by class and priority, as defaults that a utility's own service standard replaces. The clock runs around
// the clock, in log time; limits do not stop at night, because supply does not.
import type { SlaDue } from '#model/desk.ts'
import type { TicketClass } from '#model/ticket.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'

interface Limits {
  respond: number
  dispatch: number
  resolve: number
}

/**
 * Field work, by priority. The dispatch limits of 1 and 2 are those of State Grid's published service promises for reaching a fault
 * (45 minutes in town, 90 in the country); bursts are treated alike. The other figures are ours.
 */
const FIELD: Record<1 | 2 | 3 | 4, Limits> = {
  1: { respond: 10 * MINUTE_MS, dispatch: 45 * MINUTE_MS, resolve: 4 * HOUR_MS },
  2: { respond: 15 * MINUTE_MS, dispatch: 90 * MINUTE_MS, resolve: 8 * HOUR_MS },
  3: { respond: 2 * HOUR_MS, dispatch: 12 * HOUR_MS, resolve: 3 * DAY_MS },
  4: { respond: DAY_MS, dispatch: 5 * DAY_MS, resolve: 14 * DAY_MS },
}

/** Desk work: bills, complaints, enquiries: an answer within a day, an end within the billing month. */
const DESK: Record<1 | 2 | 3 | 4, Limits> = {
  1: { respond: 2 * HOUR_MS, dispatch: 8 * HOUR_MS, resolve: DAY_MS },
  2: { respond: 8 * HOUR_MS, dispatch: DAY_MS, resolve: 5 * DAY_MS },
  3: { respond: DAY_MS, dispatch: 2 * DAY_MS, resolve: 10 * DAY_MS },
  4: { respond: DAY_MS, dispatch: 5 * DAY_MS, resolve: 20 * DAY_MS },
}

const BY_CLASS: Record<TicketClass, Record<1 | 2 | 3 | 4, Limits>> = {
  outage: FIELD,
  leak: FIELD,
  quality: FIELD,
  meter_work: FIELD,
  installation: DESK,
  billing: DESK,
  complaint: DESK,
  enquiry: DESK,
}

/** Due times, epoch ms of the log clock. */
export function slaDue(cls: TicketClass, priority: 1 | 2 | 3 | 4, openedMs: number): SlaDue {
  const l = BY_CLASS[cls][priority]
  return { respondMs: openedMs + l.respond, dispatchMs: openedMs + l.dispatch, resolveMs: openedMs + l.resolve }
}
