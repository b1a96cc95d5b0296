// Which messages came, per gateway and hour: the numbers that a gateway gives its messages show holes. What is kept is sets and
// cumulative counts, so that a message which the broker delivers again changes nothing but its count of deliveries. Pure.

import { addNumber, hasNumber } from '#model/ranges.ts'
import { HOUR_MS } from '#model/time.ts'

/** A number this far from the last one is of a counter that was changed, not a hole or a late message. */
const FAR = 100_000
/** Ranges an entry keeps; beyond, the two closest become one and the numbers between them are counted as missing for good. */
const RANGES_MAX = 200
/** Hours that may still be counted in; later arrivals count in the newest hour. */
const OPEN_HOURS = 3

export interface BookEntry {
  gateway: string
  hourMs: number
  /** Counts up when a gateway's counter begins again. */
  run: number
  deliveries: number
  redelivered: number
  unnumbered: number
  refused: number
  ranges: number[]
  joined: number
}

export interface Delivery {
  /** '' for gateways that nobody knows: together they are one. */
  gateway: string
  receivedAtMs: number
  /** -1: the gateway does not count. */
  seq: number
  redelivered: boolean
  /** Nothing of it could be used. */
  refused: boolean
}

interface Counter {
  run: number
  last: number
  hourMs: number
  entry: BookEntry
}

export class MessageBook {
  readonly #counters = new Map<string, Counter>()
  readonly #entries = new Map<string, BookEntry>()
  readonly #dirty = new Set<BookEntry>()

  /** Goes on with what was kept before a restart. */
  restore(entries: readonly BookEntry[]): void {
    for (const entry of entries) {
      this.#entries.set(keyOf(entry), entry)
      const last = entry.ranges.at(-1) ?? -1
      const known = this.#counters.get(entry.gateway)
      if (known === undefined || entry.run > known.run || (entry.run === known.run && entry.hourMs >= known.hourMs))
        this.#counters.set(entry.gateway, {
          run: entry.run,
          last: Math.max(last, known?.run === entry.run ? known.last : -1),
          hourMs: entry.hourMs,
          entry,
        })
    }
  }

  count(d: Delivery): void {
    const entry = this.#entryFor(d)
    entry.deliveries += 1
    if (d.redelivered) entry.redelivered += 1
    if (d.refused) entry.refused += 1
    if (d.seq < 0) {
      if (!d.redelivered) entry.unnumbered += 1
    } else if (addNumber(entry.ranges, d.seq) && entry.ranges.length > RANGES_MAX * 2) joinClosest(entry)
    this.#dirty.add(entry)
  }

  #entryFor({ gateway, receivedAtMs, seq, redelivered }: Delivery): BookEntry {
    const hourMs = Math.floor(receivedAtMs / HOUR_MS) * HOUR_MS
    const c = this.#counters.get(gateway)
    if (c === undefined) return this.#turn({ run: 0, last: seq, hourMs: 0, entry: undefined as unknown as BookEntry }, gateway, hourMs)
    const begunAgain = seq >= 0 && c.last >= 0 && isNewRun(c, seq, redelivered)
    if (begunAgain) {
      c.run += 1
      c.last = seq
      return this.#turn(c, gateway, Math.max(hourMs, c.hourMs))
    }
    if (seq > c.last) c.last = seq
    return hourMs === c.hourMs || hourMs < c.hourMs ? c.entry : this.#turn(c, gateway, hourMs)
  }

  #turn(c: Counter, gateway: string, hourMs: number): BookEntry {
    const fresh: BookEntry = {
      gateway,
      hourMs,
      run: c.run,
      deliveries: 0,
      redelivered: 0,
      unnumbered: 0,
      refused: 0,
      ranges: [],
      joined: 0,
    }
    const entry = this.#entries.get(keyOf(fresh)) ?? fresh
    this.#entries.set(keyOf(entry), entry)
    this.#counters.set(gateway, { ...c, hourMs, entry })
    for (const [key, e] of this.#entries) {
      // Oldest first: nothing behind it can be older.
      if (e.hourMs >= hourMs - OPEN_HOURS * HOUR_MS || this.#dirty.has(e)) break
      this.#entries.delete(key)
    }
    return entry
  }

  /** Whether there is something to take. */
  changed(): boolean {
    return this.#dirty.size > 0
  }

  /** Entries that changed since they were last taken; undefined when none did. */
  take(): BookEntry[] | undefined {
    if (this.#dirty.size === 0) return undefined
    const taken = [...this.#dirty]
    this.#dirty.clear()
    return taken
  }

  /** Could not be written: they are taken again. */
  putBack(entries: readonly BookEntry[]): void {
    for (const e of entries) this.#dirty.add(e)
  }
}

const keyOf = (e: { gateway: string; hourMs: number; run: number }): string => `${e.hourMs}\n${e.run}\n${e.gateway}`

/** 0 and 1 are where counters begin: heard before and not as a repetition, the counter began again. */
function isNewRun(c: Counter, seq: number, redelivered: boolean): boolean {
  if (Math.abs(seq - c.last) > FAR) return true
  return !redelivered && seq <= 1 && c.last > 1 && (hasNumber(c.entry.ranges, seq) || (c.entry.ranges[0] ?? 0) > 1)
}

function joinClosest(entry: BookEntry): void {
  const { ranges } = entry
  let best = 1
  let gap = Number.POSITIVE_INFINITY
  for (let i = 1; i + 1 < ranges.length; i += 2) {
    const g = (ranges[i + 1] as number) - (ranges[i] as number) - 1
    if (g < gap) {
      gap = g
      best = i
    }
  }
  ranges.splice(best, 2)
  entry.joined += gap
}
