// From outage findings to interruptions. A finding that was withdrawn never was one; a revised one replaces what it said before, so the
// indices are computed anew from the newest revisions and are right whenever the findings are.
import type { Finding } from '#model/finding.ts'
import { localDate, MINUTE_MS, parseIso } from '#model/time.ts'
import type { Interruption } from './indices.ts'

/** What the indices need of a finding. */
export type OutageFacts = Pick<
  Finding,
  'kind' | 'scope' | 'zone' | 'startedAt' | 'clearedAt' | 'size' | 'momentary' | 'withdrawn' | 'affected'
> & {
  planned: boolean
}

/** Scopes that hold customers of their own; a substation only gathers its feeders. */
const COUNTED = new Set(['feeder', 'transformer', 'premise'])

/** Interruptions of supply, planned ones apart; `nowMs` ends those that go on, so far. */
export function interruptionsOf(
  findings: Iterable<OutageFacts>,
  o: { timezone: string; nowMs: number },
): { unplanned: Interruption[]; planned: Interruption[] } {
  const unplanned: Interruption[] = []
  const planned: Interruption[] = []
  for (const f of findings) {
    if (f.kind !== 'outage' || f.withdrawn === true || !COUNTED.has(f.scope.type)) continue
    const startMs = parseIso(f.startedAt)
    const still = f.affected?.length ?? 0
    const customers = f.size?.customers ?? still
    let customerMinutes = f.size?.customerMinutes ?? 0
    if (f.clearedAt === null) customerMinutes += (still * Math.max(0, o.nowMs - startMs)) / MINUTE_MS
    else if (f.size?.customerMinutes === undefined) customerMinutes = (customers * (parseIso(f.clearedAt) - startMs)) / MINUTE_MS
    const one = { feeder: f.zone, date: localDate(o.timezone, startMs), customers, customerMinutes, momentary: f.momentary === true }
    if (f.planned) planned.push(one)
    else unplanned.push(one)
  }
  return { unplanned, planned }
}
