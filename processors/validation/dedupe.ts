// Has this reading come before? Exact among the newest readings of a series, exact by slot for 40 days after that, and where neither
// can tell, the reading is refused to quarantine: never stored twice, never silently dropped. Everything that is admitted has a time
// of measurement of its own within its series, so the store's keys and the count of accepted readings agree.
import { type PENDING, PRINTS, RING, type SeriesTable, type UNUSED, type USED } from './series.ts'
import { addHole, forgetBefore, HOLES_MAX, type Holes, isFree, take } from './slots.ts'

/** Newest of its series. Otherwise an admitted reading's verdict is its index in the ring (0 = oldest), or LATE_OLD outside it. */
export const NEW = 100
export const LATE_OLD = -1
/** The same time and value came before. */
export const DUPLICATE = -2
/** The same time came before with another value. */
export const CONFLICT = -3
/** Too old to tell. */
export const BEYOND = -4

const f64 = new Float64Array(1)
const u32 = new Uint32Array(f64.buffer)

/** Eight bits of a value and its time within its slot: two different readings of one slot look alike once in 256 times. */
function print(value: number, offsetMs: number): number {
  f64[0] = value
  // The end of MurmurHash3: round values differ in few bits, and all of them must count.
  let h = (u32[0] as number) ^ Math.imul(u32[1] as number, 0x9e3779b1) ^ Math.imul(offsetMs, 0x27d4eb2f)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) & 0xff
}

function modulo(slot: number): number {
  const m = slot % PRINTS
  return m < 0 ? m + PRINTS : m
}

/** Position in the ring's columns of the i-th oldest reading of a row. */
export function ringPos(t: SeriesTable, row: number, i: number): number {
  return row * RING + (((t.ringAt[row] as number) + i) & (RING - 1))
}

/** Time of the newest admitted reading, or -Infinity. */
export function newestMs(t: SeriesTable, row: number): number {
  const n = t.ringCount[row] as number
  return n === 0 ? Number.NEGATIVE_INFINITY : (t.ringTs[ringPos(t, row, n - 1)] as number)
}

function holesOf(t: SeriesTable, row: number): Holes {
  let h = t.holes.get(row)
  if (h === undefined) {
    h = []
    t.holes.set(row, h)
  }
  return h
}

function push(t: SeriesTable, row: number, tsMs: number, value: number): void {
  const n = t.ringCount[row] as number
  if (n === RING) t.ringAt[row] = ((t.ringAt[row] as number) + 1) & (RING - 1)
  else t.ringCount[row] = n + 1
  const p = ringPos(t, row, n === RING ? RING - 1 : n)
  t.ringTs[p] = tsMs
  t.ringValue[p] = value
  t.ringMark[p] = 0
}

/** Puts a reading in its place by time; the oldest makes room. Returns its index. */
function insert(t: SeriesTable, row: number, tsMs: number, value: number): number {
  let n = t.ringCount[row] as number
  let i = n
  while (i > 0 && (t.ringTs[ringPos(t, row, i - 1)] as number) > tsMs) i--
  if (n === RING) {
    t.ringAt[row] = ((t.ringAt[row] as number) + 1) & (RING - 1)
    i--
  } else t.ringCount[row] = ++n
  for (let k = n - 1; k > i; k--) {
    const to = ringPos(t, row, k)
    const from = ringPos(t, row, k - 1)
    t.ringTs[to] = t.ringTs[from] as number
    t.ringValue[to] = t.ringValue[from] as number
    t.ringMark[to] = t.ringMark[from] as number
  }
  const p = ringPos(t, row, i)
  t.ringTs[p] = tsMs
  t.ringValue[p] = value
  t.ringMark[p] = 0
  return i
}

function raise(t: SeriesTable, row: number, low: number): void {
  if (low > (t.lowSlot[row] as number)) t.lowSlot[row] = low
}

/** Marks a slot below the head as taken. False when there is no room to remember the free slots above it. */
function occupy(t: SeriesTable, row: number, slot: number): boolean {
  const base = t.baseSlot[row] as number
  if (slot >= base) {
    const h = t.holes.get(row)
    if (h !== undefined) raise(t, row, take(h, slot))
    return true
  }
  if (slot < base - 1) {
    const h = holesOf(t, row)
    if (h.length / 2 >= HOLES_MAX) return false
    h.unshift(slot + 1, base - 1)
  }
  t.baseSlot[row] = slot
  return true
}

function note(t: SeriesTable, row: number, slot: number, offsetMs: number, value: number, headSlot: number): void {
  if (headSlot - slot < PRINTS) t.prints[row * PRINTS + modulo(slot)] = print(value, offsetMs)
  if (offsetMs !== 0) {
    if (slot < (t.offFrom[row] as number)) t.offFrom[row] = slot
    if (slot > (t.offTo[row] as number)) t.offTo[row] = slot
  }
}

/** Admits a reading or says why not. Admitted ones are recorded: the ring, the slots, the fingerprints. */
export function admit(t: SeriesTable, row: number, tsMs: number, value: number, intervalMs: number, windowMs: number): number {
  const slot = Math.round(tsMs / intervalMs)
  const offsetMs = tsMs - slot * intervalMs
  const n = t.ringCount[row] as number
  if (n === 0) {
    if (slot < (t.lowSlot[row] as number)) return BEYOND
    t.baseSlot[row] = slot
    push(t, row, tsMs, value)
    note(t, row, slot, offsetMs, value, slot)
    return NEW
  }
  const newest = t.ringTs[ringPos(t, row, n - 1)] as number
  const headSlot = Math.round(newest / intervalMs)
  if (tsMs > newest) {
    if (slot > headSlot + 1) {
      const h = holesOf(t, row)
      const oldest = slot - Math.ceil(windowMs / intervalMs)
      forgetBefore(h, oldest)
      raise(t, row, addHole(h, headSlot + 1, slot - 1))
    }
    push(t, row, tsMs, value)
    note(t, row, slot, offsetMs, value, slot)
    return NEW
  }
  return admitOld(t, row, tsMs, value, { slot, offsetMs, headSlot, n, windowSlots: Math.ceil(windowMs / intervalMs) })
}

/** Spacing of reads, in intervals, above which a slot holds one at most but for a few. */
const ONE_A_SLOT = 0.75

/** True for a register that is read about once an interval, if off the grid. */
function isOneASlot(t: SeriesTable, row: number): boolean {
  return t.configs[t.config[row] as number]?.register === true && (t.spacing[row] as number) > ONE_A_SLOT
}

interface Place {
  slot: number
  offsetMs: number
  headSlot: number
  n: number
  windowSlots: number
}

function admitOld(t: SeriesTable, row: number, tsMs: number, value: number, at: Place): number {
  const { slot, offsetMs, headSlot, n } = at
  for (let i = n - 1; i >= 0; i--) {
    const p = ringPos(t, row, i)
    const known = t.ringTs[p] as number
    if (known < tsMs) break
    if (known === tsMs) return t.ringValue[p] === value ? DUPLICATE : CONFLICT
  }
  // The ring holds the newest readings without exception, so a time inside it that is not there has not been seen.
  const inRing = n < RING || tsMs > (t.ringTs[ringPos(t, row, 0)] as number)
  if (!inRing) {
    if (slot < (t.lowSlot[row] as number) || headSlot - slot > at.windowSlots) return BEYOND
    const free = slot < (t.baseSlot[row] as number) || isFree(t.holes.get(row) ?? [], slot)
    if (!free) {
      // Within this range a slot may hold several readings, of which we no longer know the times; one a slot is told by its print.
      const off = offsetMs !== 0 || (slot >= (t.offFrom[row] as number) && slot <= (t.offTo[row] as number))
      if (off && !isOneASlot(t, row)) return BEYOND
      if (headSlot - slot >= PRINTS) return off ? BEYOND : DUPLICATE
      if (t.prints[row * PRINTS + modulo(slot)] === print(value, offsetMs)) return DUPLICATE
      return off ? BEYOND : CONFLICT
    }
    if (!occupy(t, row, slot)) return BEYOND
    note(t, row, slot, offsetMs, value, headSlot)
    return LATE_OLD
  }
  if (!occupy(t, row, slot)) return BEYOND
  note(t, row, slot, offsetMs, value, headSlot)
  return insert(t, row, tsMs, value)
}

/** True when some reading of the series was stored for this slot. */
export function isTaken(t: SeriesTable, row: number, slot: number, intervalMs: number): boolean {
  const head = Math.round(newestMs(t, row) / intervalMs)
  if (slot > head || slot < (t.baseSlot[row] as number)) return false
  return !isFree(t.holes.get(row) ?? [], slot)
}

/** Index in the ring of the last read that is believed, -1 when there is none. */
export function lastUsed(t: SeriesTable, row: number): number {
  return (t.ringCount[row] as number) - 1 - (t.pending[row] as number)
}

/** Changes what a reading of the ring is taken for. */
export function mark(t: SeriesTable, p: number, what: typeof USED | typeof PENDING | typeof UNUSED): void {
  t.ringMark[p] = what
}
