// Which interval slots of a series hold a reading, exactly and in little memory: everything between the oldest known and the newest
// slot is taken except the holes, and a healthy meter has few holes. A bitmap of 40 days would cost 480 bytes a register; the holes
// of a meter that loses 0.3 % of its reads cost a fifth of that, and nothing for most.

/** Ranges of free slots, ascending, flat: from, to (inclusive), from, to ... */
export type Holes = number[]

/** At most this many ranges a series; with more the oldest is given up and readings before it are refused, never miscounted. */
export const HOLES_MAX = 120

/** Index of the range that holds `slot`, or -1. */
function find(holes: Holes, slot: number): number {
  let lo = 0
  let hi = holes.length / 2 - 1
  while (lo <= hi) {
    const mid = (lo + hi) >> 1
    if (slot < (holes[mid * 2] as number)) hi = mid - 1
    else if (slot > (holes[mid * 2 + 1] as number)) lo = mid + 1
    else return mid
  }
  return -1
}

export function isFree(holes: Holes, slot: number): boolean {
  return find(holes, slot) >= 0
}

/** Adds the free slots between the old head and a new one. Returns the slot below which nothing is known any more, or -Infinity. */
export function addHole(holes: Holes, from: number, to: number): number {
  holes.push(from, to)
  if (holes.length / 2 <= HOLES_MAX) return Number.NEGATIVE_INFINITY
  const low = (holes[1] as number) + 1
  holes.splice(0, 2)
  return low
}

/** Takes a free slot; a slot that is taken already is left as it is. Returns a new lower bound as addHole does. */
export function take(holes: Holes, slot: number): number {
  const i = find(holes, slot)
  if (i < 0) return Number.NEGATIVE_INFINITY
  const from = holes[i * 2] as number
  const to = holes[i * 2 + 1] as number
  if (from === to) holes.splice(i * 2, 2)
  else if (slot === from) holes[i * 2] = slot + 1
  else if (slot === to) holes[i * 2 + 1] = slot - 1
  else {
    holes.splice(i * 2, 2, from, slot - 1, slot + 1, to)
    if (holes.length / 2 > HOLES_MAX) {
      const low = (holes[1] as number) + 1
      holes.splice(0, 2)
      return low
    }
  }
  return Number.NEGATIVE_INFINITY
}

/** Forgets ranges that end before a slot. */
export function forgetBefore(holes: Holes, slot: number): void {
  let n = 0
  while (n < holes.length && (holes[n + 1] as number) < slot) n += 2
  if (n > 0) holes.splice(0, n)
}
