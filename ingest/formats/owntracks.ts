// OwnTracks (owntracks.org, booklet: JSON format): positions of repair crews from their telephones. No metering.
// Topic: owntracks/USER/DEVICE, .../event, .../waypoint(s), .../cmd, .../status, ...; or crews/CREW, which binds a login to a crew of the registry.
// Payload: {"_type": location | transition | waypoint(s) | lwt | card | steps | beacon | status | cmd | encrypted ...}.
// Identity: USER/DEVICE, or CREW; the settings' `devices` map either to a crew of the registry. `tid` is for display only.
// Time: `tst`, epoch s of the fix (`created_at` is of the message). Units: lon, lat in degrees WGS 84, acc m, batt %, vel km/h.
// Pitfalls: acc, cog, alt, vel are left out when 0; -1 is unknown; `lwt` comes on the very topic of the positions; a retained position is the last known one and
// welcome; of encrypted payloads nothing can be told.
import { field, idOf, isObject, type Json, numberOf, parseJson, passed, refused, shown } from '../decoding.ts'
import type { Decoded, Disposition, GatewayFormat } from '../format.ts'
import { readTime } from '../local-time.ts'

const TOPIC = /^(?:owntracks\/([^/]+)\/([^/]+)|crews\/([^/]+))(?:\/(.+))?$/

const OTHERS: Readonly<Record<string, readonly [Disposition, string]>> = {
  transition: ['event', 'region_transition'],
  waypoint: ['metadata', 'waypoint'],
  waypoints: ['metadata', 'waypoints'],
  card: ['metadata', 'card'],
  configuration: ['metadata', 'configuration'],
  dump: ['metadata', 'configuration'],
  status: ['status', 'device_state'],
  steps: ['accept_other', 'no_core_reading'],
  beacon: ['accept_other', 'no_core_reading'],
  cmd: ['ignore', 'command'],
  request: ['ignore', 'command'],
}

export const owntracks: GatewayFormat = {
  name: 'owntracks',
  topics: ['owntracks/+/+', 'owntracks/+/+/+'],
  matches: (topic) => TOPIC.test(topic),
  gatewayOf: () => '',
  decode(payload, context): Decoded {
    const [, user, device, crewId, sub] = TOPIC.exec(context.topic) ?? []
    const crew = idOf(crewId ?? (user === undefined ? undefined : `${user}/${device}`))
    if (crew === undefined) return refused('bad_schema', 'the topic names no crew', payload)
    if (sub === 'cmd') return passed('ignore', 'command')
    if (payload.length === 0) return passed('ignore', 'empty')
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'a message must be an object', payload)
    const type = field(parsed.value, '_type')
    if (type === 'location') return location(crew, parsed.value, payload)
    if (type === 'lwt') return { ...passed('status', 'device_offline'), flags: ['gateway_offline'] }
    if (type === 'encrypted') return refused('bad_schema', 'the payload is encrypted: positions cannot be read', payload, '_type')
    const other = typeof type === 'string' && Object.hasOwn(OTHERS, type) ? OTHERS[type] : undefined
    return other === undefined ? refused('bad_schema', `_type ${shown(type, 40)} is not known`, payload, '_type') : passed(...other)
  },
}

function location(crew: string, o: Json, payload: Buffer): Decoded {
  const lat = numberOf(field(o, 'lat'))
  const lon = numberOf(field(o, 'lon'))
  if (lat === undefined || lon === undefined) return refused('bad_schema', 'lat and lon must be numbers', payload, 'lat')
  if (Math.abs(lat) > 90 || Math.abs(lon) > 180) return refused('impossible_value', `${lat}, ${lon} is no place on Earth`, payload, 'lat')
  const tsMs = readTime(field(o, 'tst'), undefined)
  if (typeof tsMs !== 'number') return refused('impossible_time', 'tst must be epoch seconds', payload, 'tst')
  const accuracyM = known(o, 'acc', 1e7)
  const batteryPct = known(o, 'batt', 100)
  const speedKmh = known(o, 'vel', 2_000)
  return {
    ...passed('position', ''),
    position: {
      crew,
      tsMs,
      lon,
      lat,
      ...(accuracyM === undefined ? {} : { accuracyM }),
      ...(batteryPct === undefined ? {} : { batteryPct }),
      ...(speedKmh === undefined ? {} : { speedKmh }),
    },
  }
}

/** A number that is not the sign for unknown. */
function known(o: Json, name: string, max: number): number | undefined {
  const n = numberOf(field(o, name))
  return n === undefined || n < 0 || n > max ? undefined : n
}
