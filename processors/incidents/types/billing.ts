// The bill is or will be wrong: energy or water past the meter, use where none should be, none where some should be.
// A person corrects it even when the use is normal again, so it opens also for what is over.
import { severityRank } from '../incident.ts'
import { place, since, type TicketType, words } from './ticket-type.ts'

const TITLES: Record<string, string> = {
  bypass: 'Use past the meter suspected',
  tamper: 'Meter tampered with, and less use since',
  usage_on_inactive: 'Use without a contract',
  high_usage: 'Unusually high use',
  zero_usage: 'No use where some is expected',
}

export const billing: TicketType = {
  name: 'billing',
  opensWhenOver: true,
  opensFor: (f) => f.incident.family === 'usage' && TITLES[f.lead?.subtype ?? ''] !== undefined,
  render(f) {
    return {
      title: `${TITLES[f.lead?.subtype ?? ''] ?? 'Abnormal use'}: ${place(f)}`,
      description: words(since(f)),
      priority: severityRank(f.severity) >= 2 ? 2 : 3,
    }
  },
}
