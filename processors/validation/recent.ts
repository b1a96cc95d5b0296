// The newest intervals that were said of a register, with their revisions: what false reads found out later have to take back.
import { RECENT, type SeriesTable } from './series.ts'

const REV_MAX = 255

function at(row: number, slot: number): number {
  return row * RECENT + (((slot % RECENT) + RECENT) % RECENT)
}

/** Remembers an interval by the slot of its end, if it is among the newest. */
export function remember(t: SeriesTable, row: number, slot: number, value: number, rev: number): void {
  const newest = t.recentSlot[row] as number
  if (slot <= newest - RECENT) return
  if (slot > newest) {
    // Slots that are passed over have not been said.
    for (let s = Math.max(newest + 1, slot - RECENT + 1); s < slot; s++) t.recentRev[at(row, s)] = 0
    t.recentSlot[row] = slot
  }
  const k = at(row, slot)
  t.recentValue[k] = value
  t.recentRev[k] = rev < REV_MAX ? rev : REV_MAX
}

/** Revision last said of an interval; 0 when it was not said or is no longer remembered. */
export function recentRev(t: SeriesTable, row: number, slot: number): number {
  const newest = t.recentSlot[row] as number
  return slot > newest || slot <= newest - RECENT ? 0 : (t.recentRev[at(row, slot)] as number)
}

export function recentValue(t: SeriesTable, row: number, slot: number): number {
  return t.recentValue[at(row, slot)] as number
}
