// The fold's share of the proof that nothing was lost: what came, by gateway and hour of receipt, and what became of it.
import type { LedgerEntry } from '#model/ledger.ts'
import { HOUR_MS } from '#model/time.ts'

/** `gateway|hour` -> entry. Plain data, part of a fold's state. */
export type LedgerBook = Map<string, LedgerEntry>

/** Hours that may still be counted in. Later arrivals count in the hour of the log's clock, so that no finished hour begins again at 0. */
const OPEN_HOURS_MS = 3 * HOUR_MS

export function entryOf(book: LedgerBook, at: { zone: string; gateway: string; receivedAtMs: number; nowMs: number }): LedgerEntry {
  const timeMs = at.receivedAtMs < at.nowMs - OPEN_HOURS_MS ? at.nowMs : at.receivedAtMs
  const hourMs = Math.floor(timeMs / HOUR_MS) * HOUR_MS
  const key = `${at.gateway}|${hourMs}`
  let entry = book.get(key)
  if (entry === undefined) {
    entry = { zone: at.zone, gateway: at.gateway, hourMs, received: 0, accepted: 0, duplicate: 0, redelivered: 0, quarantined: {} }
    book.set(key, entry)
  }
  return entry
}

/** Drops hours that can no longer change. */
export function forgetHours(book: LedgerBook, nowMs: number): void {
  for (const [key, e] of book) if (e.hourMs + HOUR_MS < nowMs - OPEN_HOURS_MS) book.delete(key)
}
