// The newest intervals that were said of a register, with their revisions: what false reads found out later have to take back.
import { RECENT, type SeriesTable } from './series.ts'

const REV_MAX = 127
/** Added to the revision of an interval that a person wrote. */
const EDITED = 128

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
  return slot > newest || slot <= newest - RECENT ? 0 : (t.recentRev[at(row, slot)] as number) & REV_MAX
}

/** True for a remembered interval that a person wrote. */
export function isEditedRecently(t: SeriesTable, row: number, slot: number): boolean {
  const newest = t.recentSlot[row] as number
  return slot <= newest && slot > newest - RECENT && ((t.recentRev[at(row, slot)] as number) & EDITED) !== 0
}

/** Remembers an interval that a person wrote. */
export function rememberEdited(t: SeriesTable, row: number, slot: number, value: number, rev: number): void {
  remember(t, row, slot, value, rev)
  if (recentRev(t, row, slot) > 0) t.recentRev[at(row, slot)] = (t.recentRev[at(row, slot)] as number) | EDITED
}

export function recentValue(t: SeriesTable, row: number, slot: number): number {
  return t.recentValue[at(row, slot)] as number
}
