// Supply is on but poor: low pressure, an overloaded transformer, losses that grow.
import { severityRank } from '../incident.ts'
import { about, clampPriority, place, since, type TicketType, words } from './ticket-type.ts'

const TITLES: Record<string, string> = { pressure: 'Low pressure', load: 'Overload', loss: 'Losses' }

export const quality: TicketType = {
  name: 'quality',
  opensWhenOver: false,
  opensFor: (f) => TITLES[f.incident.family] !== undefined,
  render(f) {
    const size = f.lead?.size ?? {}
    return {
      title: `${TITLES[f.incident.family] ?? 'Quality'}: ${place(f)}`,
      description: words(about(size.pressureBar, 'bar'), about(size.loadPct, '%'), about(size.lossPct, '%'), since(f)),
      priority: f.incident.family === 'pressure' ? clampPriority(5 - severityRank(f.severity)) : severityRank(f.severity) >= 2 ? 3 : 4,
    }
  },
}
