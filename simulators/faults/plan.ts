// Which faults, in which order: from a seed, so that a run can be repeated.
import type { Random } from '../random.ts'

export const SERVICES = ['ingest', 'processors-0', 'processors-1', 'api'] as const
export const SERVERS = ['kafka', 'questdb', 'postgres', 'mqtt'] as const
export type ServiceName = (typeof SERVICES)[number]
export type Target = ServiceName | (typeof SERVERS)[number]

/** kill: -9, away for a while, started again. pause: SIGSTOP, then SIGCONT. */
export type Action = 'kill' | 'pause'

export interface Fault {
  no: number
  action: Action
  /** One, or two at once. */
  targets: Target[]
  /** Seconds that it lasts. */
  lastsS: number
  /** Seconds of quiet load before it. */
  afterS: number
}

/**
 * The broker is paused and never killed: mosquitto loses up to 5 s of what it acknowledged and had not delivered (docs/operators.md), which no
 * part of ours can mend.
 */
const ACTIONS: Record<Target, readonly Action[]> = {
  'ingest': ['kill', 'pause'],
  'processors-0': ['kill', 'pause'],
  'processors-1': ['kill', 'pause'],
  'api': ['kill', 'pause'],
  'kafka': ['kill', 'pause'],
  'questdb': ['kill', 'pause'],
  'postgres': ['kill', 'pause'],
  'mqtt': ['pause'],
}
/** Every fourth fault hits two at once. */
const PAIR_EVERY = 4
const KILL_S = [0, 6] as const
/** Longer than the group's session (30 s) is one pause in eight: a zombie wakes up after its partitions went to another. */
const PAUSE_S = [1, 12] as const
const LONG_PAUSE_S = 40
const QUIET_S = [1, 5] as const

const between = (random: Random, [from, to]: readonly [number, number]): number =>
  Math.round((from + random.next() * (to - from)) * 10) / 10

export function planFaults(random: Random, count: number): Fault[] {
  const all = [...SERVICES, ...SERVERS]
  const pick = (from: readonly Target[]): Target => from[Math.floor(random.next() * from.length)] as Target
  // Each target and action comes before any comes again.
  const deck: { target: Target; action: Action }[] = []
  const faults: Fault[] = []
  for (let no = 1; no <= count; no++) {
    if (deck.length === 0) {
      for (const target of all) for (const action of ACTIONS[target]) deck.push({ target, action })
      for (let i = deck.length - 1; i > 0; i--) {
        const j = Math.floor(random.next() * (i + 1))
        const at = deck[i] as (typeof deck)[number]
        deck[i] = deck[j] as (typeof deck)[number]
        deck[j] = at
      }
    }
    const { target, action } = deck.pop() as (typeof deck)[number]
    const others = all.filter((t) => t !== target && ACTIONS[t].includes(action))
    const targets = no % PAIR_EVERY === 0 ? [target, pick(others)] : [target]
    const long = action === 'pause' && no % 8 === 0
    faults.push({
      no,
      action,
      targets,
      lastsS: long ? LONG_PAUSE_S : between(random, action === 'kill' ? KILL_S : PAUSE_S),
      afterS: between(random, QUIET_S),
    })
  }
  return faults
}
