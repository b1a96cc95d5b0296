// Intervals written anew by a person or by another multiplier: a revision like any other, that says what it replaces and why. What a person
// wrote stands: no late read, no estimate and no false read found out later changes it, only another edit.
import type { Edit, EditedDay, EditedInterval } from '#model/edit.ts'
import type { IntervalStatus, RevisionReason } from '#model/interval.ts'
import { DAY_MS } from '#model/time.ts'
import { tally } from './balance.ts'
import { addAll, addTo, addToDay, COUNT, type Count, FIGURES, publishDays, restoreDay } from './days.ts'
import { COUNT_OF, flush, gapsOf, replaced } from './flush.ts'
import { type Gap, gapEndMs, intervalsOf, SAID, SAID_REV } from './gap.ts'
import { outlet } from './publish.ts'
import { isEditedRecently, recentRev, remember, rememberEdited } from './recent.ts'
import { tidy } from './register.ts'
import { bandAt, dayAt, say, type Work, wake } from './state.ts'

const CODE: Record<IntervalStatus, number> = {
  missing: SAID.missing,
  actual: SAID.actual,
  estimated: SAID.estimated,
  rejected: SAID.rejected,
  edited: SAID.edited,
}
const COUNT_BY_STATUS: Record<IntervalStatus, Count> = {
  missing: COUNT.missing,
  actual: COUNT.actual,
  estimated: COUNT.estimated,
  rejected: COUNT.estimated,
  edited: COUNT.edited,
}

/** Writes the intervals of an edit, and the days they belong to. */
export function applyEdit(w: Work, edit: Edit): void {
  const why: RevisionReason = edit.kind === 'manual' ? 'manual_edit' : 'multiplier'
  for (const d of edit.days) restoreDay(w.t, w.row, asOldDay(w, d))
  const days: number[] = []
  for (const i of edit.intervals) {
    if (i.startMs % w.c.intervalMs !== 0 || i.endMs - i.startMs !== w.c.intervalMs) continue
    const g = gapAt(w, i.endMs)
    // What gaps hold is calculated anew by themselves, below.
    if (edit.kind === 'multiplier' && g !== undefined) continue
    write(w, edit, i, { g, why, days })
  }
  for (let j = 0; j < days.length; j += FIGURES) addToDay(w.t, w.row, days, j, () => 0)
  if (edit.kind === 'multiplier') {
    for (const g of [...gapsOf(w)]) {
      g.why = 'multiplier'
      flush(w, g)
    }
  }
  wake(w, publishDays(w.t, w.row, outlet(w, why)))
}

/** The gap that holds an interval and has spoken of it. */
function gapAt(w: Work, endMs: number): Gap | undefined {
  return (w.t.gaps.get(w.row) ?? []).find((g) => {
    if (endMs < g.firstEndMs || endMs > gapEndMs(g, w.c.intervalMs)) return false
    return (g.said[indexIn(w, g, endMs) * 2 + 1] as number) >= SAID_REV
  })
}

function indexIn(w: Work, g: Gap, endMs: number): number {
  return Math.min(intervalsOf(g) - 1, Math.round((endMs - g.firstEndMs) / w.c.intervalMs))
}

function write(w: Work, edit: Edit, i: EditedInterval, x: { g: Gap | undefined; why: RevisionReason; days: number[] }): void {
  const { t, row, c } = w
  const slot = i.endMs / c.intervalMs
  const manual = edit.kind === 'manual'
  const now = { value: tidy(i.value, 1e6), status: manual ? ('edited' as const) : i.beforeStatus }
  let { rev } = i
  let was = { value: i.before, status: i.beforeStatus, why: x.why }
  if (x.g !== undefined) {
    const k = indexIn(w, x.g, i.endMs) * 2
    const meta = x.g.said[k + 1] as number
    if (Math.floor(meta / SAID_REV) > rev) was = replaced(w, x.g.said[k] as number, meta % SAID_REV, x.why)
    rev = Math.max(rev, Math.floor(meta / SAID_REV))
    x.g.said[k] = now.value
    x.g.said[k + 1] = (rev + 1) * SAID_REV + CODE[now.status]
  } else rev = Math.max(rev, recentRev(t, row, slot))
  const part = t.balance[row] as number
  if (part >= 0 && was.status === 'actual') {
    tally(w.state.balances, part, i.startMs, manual ? -(was.value ?? 0) : now.value - (was.value ?? 0), manual ? -1 : 0)
  }
  if (manual) rememberEdited(t, row, slot, now.value, rev + 1)
  else if (!isEditedRecently(t, row, slot)) remember(t, row, slot, now.value, rev + 1)
  const day = dayAt(w, i.startMs)
  const band = bandAt(w, i.startMs)
  const diff: number[] = []
  addTo(diff, day.no, { value: was.value ?? 0, count: COUNT_BY_STATUS[was.status], band, n: -1 })
  addTo(diff, day.no, { value: now.value, count: manual ? (COUNT_OF[SAID.edited] as Count) : COUNT_BY_STATUS[now.status], band, n: 1 })
  addAll(x.days, diff, 1)
  if (x.g !== undefined) addAll(x.g.days, diff, 1)
  say(w, {
    ...{ startMs: i.startMs, endMs: i.endMs, value: now.value, status: now.status, rev: rev + 1, was },
    reasons: [manual ? 'manual_edit' : 'recalculated', `edit:${edit.id}`],
  })
}

/** A day as it was published, as the columns would hold it. */
function asOldDay(w: Work, d: EditedDay): { figures: number[]; rev: number } {
  const no = Date.parse(`${d.date}T00:00:00Z`) / DAY_MS
  const bands = w.s.tou.bands.slice(1).map((name) => d.tou?.[name] ?? 0)
  while (bands.length < 3) bands.push(0)
  return { figures: [no, d.value, d.estimatedValue, ...bands, d.actual, d.estimated, d.missing, d.edited], rev: d.rev }
}
