// Somebody must look at a device: silent, standing still, running backwards, with a wrong clock.
import { severityRank } from '../incident.ts'
import { place, since, type TicketType, words } from './ticket-type.ts'

const USAGE: Record<string, string> = {
  stuck_register: 'Register stands still',
  reverse_flow: 'Register runs backwards',
  phase_loss: 'Phase without voltage',
}

export const meterWork: TicketType = {
  name: 'meter_work',
  opensWhenOver: false,
  opensFor: (f) =>
    ['comms', 'sensor', 'clock'].includes(f.incident.family) ||
    (f.incident.family === 'usage' && USAGE[f.lead?.subtype ?? ''] !== undefined),
  render(f) {
    const subtype = f.lead?.subtype ?? ''
    const n = f.affected.length
    const titles = {
      comms: 'No word',
      sensor: `Sensor fault${subtype === '' ? '' : ` (${subtype})`}`,
      clock: 'Wrong clock',
      usage: USAGE[subtype] ?? 'Meter work',
    }
    const title = titles[f.incident.family as keyof typeof titles] ?? 'Meter work'
    return {
      title: `${title}: ${place(f)}`,
      description: words(n > 1 ? `${n} meters concerned` : '', since(f)),
      priority: f.incident.family === 'comms' && severityRank(f.severity) >= 2 ? 3 : 4,
    }
  },
}
