// What another rationalisation would have made of the same findings: replayed in the shadow, nothing is stored. Pure. Suppression by
// design depends on the surroundings and not on the rules, so it is left out on both sides.
import type { Finding } from '#model/finding.ts'
import type { Policy } from './policy.ts'
import type { JournalCall } from './rates.ts'
import { type Alarm, applyFinding, nextDueMs, tick } from './state.ts'

/** Calls of a policy over revisions of findings in order of time, up to `untilMs`. */
export function callsUnder(policy: Policy, revisions: readonly Finding[], untilMs: number): JournalCall[] {
  const alarms = new Map<string, Alarm>()
  const calls: JournalCall[] = []
  const keep = (step: ReturnType<typeof tick>) => {
    if (step === undefined) return
    alarms.set(step.alarm.key, step.alarm)
    for (const c of step.changes) if (c.action === 'annunciate') calls.push({ key: step.alarm.key, atMs: c.atMs, priority: c.priority })
  }
  for (const f of revisions) {
    const key = `${f.kind}${f.subtype === undefined ? '' : `.${f.subtype}`}:${f.scope.type}:${f.scope.id}`
    settle(alarms.get(key), Date.parse(f.updatedAt))
    keep(applyFinding(alarms.get(key) ?? null, f, policy))
    settle(alarms.get(key), Date.parse(f.updatedAt))
  }
  for (const a of [...alarms.values()]) settle(a, untilMs)
  return calls.sort((a, b) => a.atMs - b.atMs || (a.key < b.key ? -1 : 1))

  /** Lets the clock do what is due by then, step by step at its own times. */
  function settle(alarm: Alarm | undefined, nowMs: number): void {
    for (let a = alarm; a !== undefined; a = alarms.get(a.key)) {
      const dueMs = nextDueMs(a, policy)
      if (dueMs === undefined || dueMs > nowMs) return
      const step = tick(a, dueMs, policy)
      if (step === undefined) return
      keep(step)
    }
  }
}

export interface Difference {
  appear: JournalCall[]
  vanish: JournalCall[]
  move: { before: JournalCall; after: JournalCall }[]
  same: number
}

/** The n-th call of an alarm on one side is the n-th on the other. */
export function compareCalls(before: readonly JournalCall[], after: readonly JournalCall[]): Difference {
  const queue = new Map<string, JournalCall[]>()
  for (const c of before) {
    const list = queue.get(c.key)
    if (list === undefined) queue.set(c.key, [c])
    else list.push(c)
  }
  const out: Difference = { appear: [], vanish: [], move: [], same: 0 }
  for (const c of after) {
    const old = queue.get(c.key)?.shift()
    if (old === undefined) out.appear.push(c)
    else if (old.atMs === c.atMs && old.priority === c.priority) out.same += 1
    else out.move.push({ before: old, after: c })
  }
  out.vanish = [...queue.values()].flat().sort((a, b) => a.atMs - b.atMs)
  return out
}
