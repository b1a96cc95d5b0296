// The classes of tickets that telemetry opens, in the order in which they are asked. Complaints, enquiries and installations come
// from people only.
import type { Facts } from '../incident.ts'
import { billing } from './billing.ts'
import { leak } from './leak.ts'
import { meterWork } from './meter_work.ts'
import { outage } from './outage.ts'
import { quality } from './quality.ts'
import type { TicketType } from './ticket-type.ts'

export const TICKET_TYPES: readonly TicketType[] = [outage, leak, billing, quality, meterWork]

export function ticketTypeFor(f: Facts): TicketType | undefined {
  return TICKET_TYPES.find((t) => t.opensFor(f))
}
