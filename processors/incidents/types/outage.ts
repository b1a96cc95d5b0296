// Supply is off: a crew restores it. A silent gateway never opens one of these.
import { severityRank } from '../incident.ts'
import { clampPriority, place, since, type TicketType, words } from './ticket-type.ts'

const PRIORITY: Record<string, number> = { network: 1, substation: 1, feeder: 1, transformer: 2 }

export const outage: TicketType = {
  name: 'outage',
  opensWhenOver: false,
  opensFor: (f) => f.incident.family === 'outage',
  render(f) {
    const base = PRIORITY[f.lead?.scope.type ?? ''] ?? 3
    const n = f.affected.length
    const meters = n === 0 ? '' : n === 1 ? '1 meter without supply' : `${n} meters without supply`
    return {
      title: `Outage: ${place(f)}`,
      description: words(meters, since(f)),
      priority: clampPriority(severityRank(f.severity) === 3 ? base - 1 : base),
    }
  },
}
