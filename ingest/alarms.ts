// Alarms as gateways write them, in field names and in status texts, read as the alarm names of decoding.ts. Pure.

/** Spelling of each alarm within a name or text in lower case whose other characters are underscores. `no_leak` is none. */
const SPELLINGS: readonly (readonly [alarm: string, spelling: RegExp])[] = [
  ['leak', /(?<!no_|not_|non)leak(?!_?(test|free|off|ok|none))/],
  ['burst', /(?<!no_)burst|pipe_?break/],
  ['backflow', /(?<!no_)(back_?(ward_?)?flow|revers)/],
  ['tamper', /(?<!no_)(tamper|fraud|manipulat|sabotage|magnet|module_removed|removal)/],
  ['cover_open', /(cover|case|lid|enclosure|housing)_?open|open_?(cover|case|lid|enclosure)/],
  ['dry', /(^|_)dry(_|$)|empty_?pipe|pipe_?empty|air_?in_?pipe|(^|_)empty(_|$)/],
  ['battery_low', /low_?(power_)?bat|bat(t|tery)?_?(voltage_)?(low|empty|end_of_life|warning)|(^|_)power_low(_|$)/],
  ['power_lost', /(power|mains|supply)_?(lost|loss|fail|failure|outage)(?!_?count)/],
]

/** Parts of a name that make it something about an alarm (when, how often, where the limit is), not the alarm itself. */
const ABOUT =
  /date|time|duration|count|threshold|limit|days|hours|enable|config|setting|previous|prev_|last|history|volume|consum|total|rate|lit(er|re)|(^|_)m3|_l$|level/

/** Names come again with every message of a device; made-up ones empty the table when it is full, and long ones never enter. */
const NAMES_MAX = 20_000
const NAME_LENGTH_MAX = 100

/** A pure function of a name, remembered. */
export function remembered<T>(of: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>()
  return (name) => {
    if (name.length > NAME_LENGTH_MAX) return of(name)
    const before = known.get(name)
    if (before !== undefined || known.has(name)) return before as T
    if (known.size >= NAMES_MAX) known.clear()
    const value = of(name)
    known.set(name, value)
    return value
  }
}

/** Units whose capitals are no word boundary: `energy_kWh` must not end in `_wh`. Mega is written out, milli is not meant. */
const UNIT_CAPITALS = /kWh|kW|kPa|kVArh|kvarh|kVarh|MWh|MW|MPa|GJ|Wh|mA|mV|m³/g
const MEGA: Readonly<Record<string, string>> = { MWh: 'megawh', MW: 'megaw', MPa: 'megapa', 'm³': 'm3' }

/** Lower case, camel case split, everything else an underscore: `lowBattery` and `LOW BATTERY` give `low_battery`. */
export const normal = remembered((text: string): string =>
  text
    .slice(0, 400)
    .replace(UNIT_CAPITALS, (u, at: number) => `${at > 0 ? '_' : ''}${MEGA[u] ?? u.toLowerCase()}`)
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_'),
)

/** Alarms that a status text tells: `PERMANENT_ERROR SABOTAGE_ENCLOSURE` gives tamper. */
export function alarmsInText(text: string): string[] {
  const n = normal(text)
  return SPELLINGS.filter(([, spelling]) => spelling.test(n)).map(([alarm]) => alarm)
}

/** The alarm that a field's name stands for, or undefined: `backflow` and `alarm_reverse_flow`, but not `leak_date`. */
export const alarmOfName = remembered((name: string): string | undefined => {
  const n = normal(name)
  if (ABOUT.test(n)) return undefined
  return SPELLINGS.find(([, spelling]) => spelling.test(n))?.[0]
})

const OFF = /^(|0|no|none|ok|off|false|normal|inactive|clear(ed)?|released|dry|not_.*|no_.*|unknown|n_a|null|healthy|good)$/

/** Whether the value of an alarm's field says that it is raised. */
export function isRaised(v: unknown): boolean {
  if (typeof v === 'boolean') return v
  if (typeof v === 'number') return v === 1
  return typeof v === 'string' && !OFF.test(normal(v).replace(/^_+|_+$/g, ''))
}
