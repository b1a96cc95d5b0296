// Water is lost: in a district (a crew finds and repairs it) or behind a customer's meter (the customer is told).
import { severityRank } from '../incident.ts'
import { about, clampPriority, place, since, type TicketType, words } from './ticket-type.ts'

export const leak: TicketType = {
  name: 'leak',
  opensWhenOver: false,
  opensFor: (f) => f.incident.family === 'leak' || f.incident.family === 'customer_leak',
  render(f) {
    const flow = about(f.lead?.size.flowM3h, 'm³/h')
    if (f.incident.family === 'customer_leak') {
      return { title: `Customer leak: ${place(f)}`, description: words(flow, since(f)), priority: severityRank(f.severity) >= 2 ? 3 : 4 }
    }
    const burst = f.members.some((m) => m.kind === 'burst')
    const near = f.lead?.candidates.slice(0, 3) ?? []
    return {
      title: `${burst ? 'Burst' : 'Leak'}: ${place(f)}`,
      description: words(flow, near.length === 0 ? '' : `look first at ${near.join(', ')}`, since(f)),
      // critical 1, major 2, minor 3, warning 4; a burst does not wait.
      priority: clampPriority(burst ? Math.min(2, 4 - severityRank(f.severity)) : 4 - severityRank(f.severity)),
    }
  },
}
