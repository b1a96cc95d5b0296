// State of all series of a zone, in columns: one typed array a field, one row a series. An object per meter would cost more in
// headers than in data; columns cost what they hold, and are saved as they lie.
import { intervalSecondsOf, type ZoneDevice } from '#model/asset.ts'
import { isRegister, type Quantity, quantityCode } from '#model/quantity.ts'
import type { MeterClass } from '#model/validation-rules.ts'
import type { Gap } from './gap.ts'
import { classOf, settingsFor } from './meter-class.ts'
import type { ValidationSettings } from './settings.ts'
import type { Holes } from './slots.ts'
import { BANDS } from './tou.ts'

/** Newest readings kept whole, by time of measurement; a power of two. */
export const RING = 8
/** Fingerprints of values kept for older slots: a day at 15 min. */
export const PRINTS = 96
/** Local days kept in place, yesterday and today; older unfinished ones move to `oldDays`. */
export const DAYS = 2
/** Slots of the like-day shape: weekday and weekend, by local hour. */
export const PROFILE = 48

/** Newest intervals whose value and revision are remembered, so that false reads found out later can be taken back. */
export const RECENT = 8

/** What a reading in the ring is taken for: no end of an interval, believed, waiting. */
export const UNUSED = 0
export const USED = 1
export const PENDING = 2

/** The register stands still although it should move. */
export const STUCK = 1
/** An exchange of the device was announced and not yet seen. */
export const EXPECTED = 2
/** Intervals after the last believed read were declared missing. */
export const OPEN = 4

/** Before and, negated, after every slot: slots are epoch time by interval, in 31 bits to the year 2038 at one second. */
export const NEVER = -(2 ** 31 - 1)

// Field, element type, elements a row, initial value. Instantaneous values have rows too and use some columns of registers: values.ts.
const COLUMNS = [
  ['next', Int32Array, 1, -1], // next row of the same device
  ['code', Uint8Array, 1, 0], // quantity
  ['config', Uint16Array, 1, 0],
  ['ringTs', Float64Array, RING, 0],
  ['ringValue', Float64Array, RING, 0],
  ['ringMark', Uint8Array, RING, 0],
  ['ringAt', Uint8Array, 1, 0],
  ['ringCount', Uint8Array, 1, 0],
  ['prints', Uint8Array, PRINTS, 0],
  ['baseSlot', Int32Array, 1, 0], // lowest slot ever taken; below, all are free
  ['lowSlot', Int32Array, 1, NEVER], // readings below are refused
  ['offFrom', Int32Array, 1, -NEVER], // slots between which readings lay off the grid
  ['offTo', Int32Array, 1, NEVER],
  ['dueMs', Float64Array, 1, Number.POSITIVE_INFINITY], // when the scan must look again
  ['lagMs', Float32Array, 1, 0], // running mean of receipt minus measurement
  // registers
  ['balance', Int16Array, 1, -1], // part in a transformer's balance
  ['pending', Uint8Array, 1, 0], // newest readings of the ring not yet believed
  ['carry', Float64Array, 1, 0], // register units between the last boundary and the last used read
  ['firstMs', Float64Array, 1, 0], // start of the first interval
  ['recentValue', Float32Array, RECENT, 0],
  ['recentRev', Uint8Array, RECENT, 0],
  ['recentSlot', Int32Array, 1, NEVER], // slot of the end of the newest interval said
  ['flatSinceMs', Float64Array, 1, 0],
  ['flatMaxMs', Float32Array, 1, 0],
  ['flags', Uint8Array, 1, 0], // STUCK, EXPECTED, OPEN
  ['peakPerHour', Float32Array, 1, 0],
  ['learnt', Uint32Array, 1, 0], // actual intervals seen
  ['maxRev', Uint8Array, 1, 1], // highest revision said since the register last moved
  ['maxDayRev', Uint8Array, 1, 1], // the same of its days
  ['profile', Int32Array, 1, -1],
  ['levelSeen', Float32Array, 1, 0], // running means of the last days: rate seen, and rate the shape expected
  ['levelExpected', Float32Array, 1, 0],
  ['dayNo', Int32Array, DAYS, -1],
  ['dayValue', Float64Array, DAYS, 0],
  ['dayActual', Uint16Array, DAYS, 0],
  ['dayEstimated', Uint16Array, DAYS, 0],
  ['dayMissing', Uint16Array, DAYS, 0],
  ['dayEdited', Uint16Array, DAYS, 0],
  ['dayEstimatedValue', Float64Array, DAYS, 0],
  ['daySaid', Float64Array, DAYS, 0], // value last published
  ['dayRev', Uint16Array, DAYS, 0], // published revision * 2 + 1 when changed since
  ['dayEdge', Float64Array, DAYS, Number.NaN], // register at the midnight that begins the day; NaN when not known
  ['useMean', Float32Array, 1, 0], // running mean of whole days, unit of the quantity
  ['useDays', Uint8Array, 1, 0], // whole days learnt from
  ['zeroDays', Uint8Array, 1, 0], // days without use in a row, and the most so far
  ['zeroDaysMax', Uint8Array, 1, 0],
  ['estimatedDays', Uint8Array, 1, 0], // days in a row that were mostly estimated
  ['unitDays', Uint8Array, 1, 0], // days in a row off by a factor
  ['spacing', Float32Array, 1, 1], // running mean of the spacing of reads, in intervals
] as const

type Column = (typeof COLUMNS)[number]
type Columns = { [C in Column as C[0]]: InstanceType<C[1]> }

/** What the registry says about a series, shared by all series alike. */
export interface SeriesConfig {
  register: boolean
  class: MeterClass
  /** Days are split by time-of-use bands. */
  tou: boolean
  /** A register that a meter with a base load never leaves standing still. */
  neverStill: boolean
  intervalMs: number
  /** A read this little after the grid counts as on it. */
  snapMs: number
  multiplier: number
  modulus: number
  /** 10^decimals of the face; 1e6 when not known. */
  scale: number
  resolution: number
  /** Register units per hour; 0 when the connection is not described. */
  maxPerHour: number
  fallbackPerHour: number
  floorPerHour: number
  rangeFrom: number
  rangeTo: number
}

export interface SeriesTable extends Columns {
  capacity: number
  rows: number
  free: number[]
  first: Map<string, number>
  device: string[]
  channel: string[]
  configs: SeriesConfig[]
  /** Earliest dueMs of each DUE_BLOCK rows, or earlier: the scan looks at few rows. */
  dueBlocks: Float64Array
  profiles: Float16Array
  /** Beside each like-day shape: values of the days in the columns by time-of-use band. */
  bands: Float64Array
  profileCount: number
  profileFree: number[]
  holes: Map<number, Holes>
  gaps: Map<number, Gap[]>
  /** Days that left the columns and may still change, OLD_DAY numbers each (days.ts). */
  oldDays: Map<number, number[]>
}

const VALUES = new Map(COLUMNS.map((c) => [c[0], c] as const))

/** Rows in a block. */
export const DUE_BLOCK = 64

/** An empty table with room for `expected` series. */
export function createTable(expected: number): SeriesTable {
  const capacity = Math.max(4, expected)
  const t = {
    capacity,
    rows: 0,
    free: [],
    first: new Map(),
    device: [],
    channel: [],
    configs: [],
    dueBlocks: new Float64Array(Math.ceil(capacity / DUE_BLOCK)).fill(Number.POSITIVE_INFINITY),
    profiles: new Float16Array(0),
    bands: new Float64Array(0),
    profileCount: 0,
    profileFree: [],
    holes: new Map(),
    gaps: new Map(),
    oldDays: new Map(),
  } as unknown as SeriesTable
  for (const [name, type, width, fill] of COLUMNS) (t as unknown as Record<string, unknown>)[name] = new type(capacity * width).fill(fill)
  return t
}

function grow(t: SeriesTable): void {
  const capacity = Math.ceil(t.capacity * 1.25) + 1
  for (const [name, type, width, fill] of COLUMNS) {
    const wider = new type(capacity * width).fill(fill)
    wider.set(t[name] as never)
    ;(t as unknown as Record<string, unknown>)[name] = wider
  }
  const blocks = new Float64Array(Math.ceil(capacity / DUE_BLOCK)).fill(Number.POSITIVE_INFINITY)
  blocks.set(t.dueBlocks)
  t.dueBlocks = blocks
  t.capacity = capacity
}

/** Row of a series, or -1. */
export function findRow(t: SeriesTable, device: string, code: number, channel: string): number {
  let row = t.first.get(device)
  if (row === undefined) return -1
  while (row >= 0) {
    if (t.code[row] === code && t.channel[row] === channel) return row
    row = t.next[row] as number
  }
  return -1
}

function resetRow(t: SeriesTable, row: number): void {
  for (const [name, , width, fill] of COLUMNS) t[name].fill(fill, row * width, (row + 1) * width)
}

/** Adds a series of a device. */
export function addRow(t: SeriesTable, device: string, code: number, channel: string, config: number): number {
  let row = t.free.pop()
  if (row === undefined) {
    if (t.rows === t.capacity) grow(t)
    row = t.rows++
  }
  resetRow(t, row)
  t.device[row] = device
  t.channel[row] = channel
  t.code[row] = code
  t.config[row] = config
  t.next[row] = t.first.get(device) ?? -1
  t.first.set(device, row)
  return row
}

/** Drops everything known of a device. */
export function removeDevice(t: SeriesTable, device: string): void {
  let row = t.first.get(device) ?? -1
  t.first.delete(device)
  while (row >= 0) {
    const next = t.next[row] as number
    const profile = t.profile[row] as number
    if (profile >= 0) t.profileFree.push(profile)
    t.holes.delete(row)
    t.gaps.delete(row)
    t.oldDays.delete(row)
    resetRow(t, row)
    t.device[row] = ''
    t.free.push(row)
    row = next
  }
}

/** Number of a row's like-day shape, made when first needed. */
export function profileOf(t: SeriesTable, row: number): number {
  const known = t.profile[row] as number
  if (known >= 0) return known
  const p = t.profileFree.pop() ?? t.profileCount++
  if ((p + 1) * PROFILE > t.profiles.length) {
    const room = Math.ceil(p * 1.25) + 4
    const wider = new Float16Array(room * PROFILE)
    wider.set(t.profiles)
    t.profiles = wider
    const bands = new Float64Array(room * DAYS * BANDS)
    bands.set(t.bands)
    t.bands = bands
  }
  t.profiles.fill(Number.NaN, p * PROFILE, (p + 1) * PROFILE)
  t.bands.fill(0, p * DAYS * BANDS, (p + 1) * DAYS * BANDS)
  t.profile[row] = p
  return p
}

/** Largest time after the grid that counts as on it: a thirtieth of the interval, at most a minute. */
const SNAP_SHARE = 30
const SNAP_MAX_MS = 60_000

function configOf(info: ZoneDevice, quantity: Quantity, common: ValidationSettings): SeriesConfig {
  const { asset } = info
  const cls = classOf(info)
  const s = settingsFor(common, cls)
  const intervalMs = Math.max(1000, Math.round(intervalSecondsOf(asset) * 1000))
  const a = asset as {
    digits?: number
    decimals?: number
    multiplier?: number
    max_kw?: number
    registered_generation_kwp?: number
    role?: string
  }
  const multiplier = a.multiplier ?? 1
  const electric = quantity.endsWith('kwh') || quantity.endsWith('kvarh')
  const maxKw =
    electric && asset.kind === 'electric_meter'
      ? Math.max(a.max_kw ?? 0, a.max_kw === undefined ? 0 : (a.registered_generation_kwp ?? 0))
      : 0
  const range = s.ranges[quantity]
  return {
    class: cls,
    register: isRegister(quantity),
    tou: isRegister(quantity) && s.tou.quantities.includes(quantity) && s.tou.rules.length > 0,
    neverStill: quantity === 'active_energy_import_kwh' && asset.kind === 'electric_meter' && a.role === 'customer',
    intervalMs,
    snapMs: Math.min(SNAP_MAX_MS, intervalMs / SNAP_SHARE),
    multiplier,
    modulus: a.digits === undefined ? 0 : 10 ** a.digits,
    scale: a.decimals === undefined ? 1e6 : 10 ** a.decimals,
    resolution: a.decimals === undefined ? 0 : 10 ** -a.decimals,
    maxPerHour: maxKw / multiplier,
    fallbackPerHour: (s.maxPerHour[quantity] ?? 1e6) / multiplier,
    floorPerHour: (s.floorPerHour[quantity] ?? 0) / multiplier,
    rangeFrom: range === undefined ? Number.NEGATIVE_INFINITY : range[0],
    rangeTo: range === undefined ? Number.POSITIVE_INFINITY : range[1],
  }
}

/** Index of the configuration of a device's quantity. */
export function configIndex(t: SeriesTable, info: ZoneDevice, quantity: Quantity, s: ValidationSettings): number {
  const c = configOf(info, quantity, s)
  const key = JSON.stringify(c)
  const i = t.configs.findIndex((x) => JSON.stringify(x) === key)
  return i >= 0 ? i : t.configs.push(c) - 1
}

/** Bytes of a row in the columns, for the budget. */
export const ROW_BYTES = [...VALUES.values()].reduce((sum, [, type, width]) => sum + type.BYTES_PER_ELEMENT * width, 0)

/** Code of a quantity of the model's own list. */
export function codeOf(quantity: Quantity): number {
  return quantityCode(quantity) as number
}
