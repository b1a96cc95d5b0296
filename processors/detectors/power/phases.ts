// How evenly a transformer's three phases are loaded, from its totalising meter, where that gives currents or powers by phase.
import type { ValidatedRead } from '../../fold.ts'

/** Newest values of the three phases and their time; 0 none. Plain data. */
export interface Phases {
  value: [number, number, number]
  tsMs: [number, number, number]
}

const PHASE: Record<string, 0 | 1 | 2 | undefined> = { L1: 0, L2: 1, L3: 2 }

export function newPhases(): Phases {
  return { value: [0, 0, 0], tsMs: [0, 0, 0] }
}

/** Takes a phase value in; the three values of one instant when this one completes them. */
export function notePhase(p: Phases, read: ValidatedRead): readonly [number, number, number] | undefined {
  const k = PHASE[read.phase]
  if (k === undefined || read.quality !== 'good') return undefined
  p.value[k] = Math.abs(read.value)
  p.tsMs[k] = read.tsMs
  return p.tsMs[0] === p.tsMs[1] && p.tsMs[1] === p.tsMs[2] ? p.value : undefined
}

/** Unbalance as distribution utilities state it: (largest - smallest) / largest, 0 to 1. */
export function unbalance([a, b, c]: readonly [number, number, number]): number {
  const most = Math.max(a, b, c)
  return most <= 0 ? 0 : (most - Math.min(a, b, c)) / most
}
