// The bookkeeping of findings for both stages: ids, revisions, first detection, and that nothing unchanged is said twice.
import { type Finding, type FindingDraft, findingId } from '#model/finding.ts'
import { hashText } from '#model/hash.ts'
import { DAY_MS, toIso } from '#model/time.ts'

/** An ended finding is forgotten after this much log time; the same onset seen again after that begins at revision 1 again. */
const REMEMBER_MS = 30 * DAY_MS
/** Findings remembered in one book; beyond it those longest unchanged go first, ended ones before open ones. */
const BOOK_MAX = 20_000

export interface FindingEntry {
  rev: number
  detectedAtMs: number
  updatedMs: number
  /** Cleared or withdrawn. */
  ended: boolean
  /** Of the draft as last emitted. */
  hash: number
}

/** Finding id -> what was said last. Plain data, part of a fold's state. */
export type FindingBook = Map<string, FindingEntry>

/** Turns a draft into the next revision of its finding, or undefined when nothing changed. */
export function record(book: FindingBook, draft: FindingDraft, by: { zone: string; detector: string; nowMs: number }): Finding | undefined {
  const id = findingId(draft)
  const known = book.get(id)
  const finding: Finding = {
    type: 'finding',
    id,
    rev: 0,
    kind: draft.kind,
    ...(draft.subtype === undefined ? {} : { subtype: draft.subtype }),
    scope: { type: draft.scope.type, id: draft.scope.id },
    zone: by.zone,
    startedAt: toIso(draft.startedAtMs ?? draft.onsetMs),
    detectedAt: '',
    updatedAt: '',
    clearedAt: draft.clearedAtMs === undefined || draft.clearedAtMs === null ? null : toIso(draft.clearedAtMs),
    severity: draft.severity,
    confidence: draft.confidence,
    ...(draft.size === undefined ? {} : { size: draft.size }),
    ...(draft.candidates === undefined ? {} : { candidates: draft.candidates }),
    ...(draft.cause === undefined ? {} : { cause: draft.cause }),
    ...(draft.momentary === undefined ? {} : { momentary: draft.momentary }),
    ...(draft.affected === undefined ? {} : { affected: draft.affected }),
    ...(draft.withdrawn === true ? { withdrawn: true } : {}),
    reason: draft.reason,
    evidence: draft.evidence,
    detector: by.detector,
    ...(draft.parent === undefined ? {} : { parent: draft.parent }),
  }
  const hash = hashText(JSON.stringify(finding))
  if (known !== undefined && known.hash === hash) return undefined
  const detectedAtMs = known?.detectedAtMs ?? by.nowMs
  finding.rev = (known?.rev ?? 0) + 1
  finding.detectedAt = toIso(detectedAtMs)
  finding.updatedAt = toIso(by.nowMs)
  if (known === undefined && book.size >= BOOK_MAX) makeRoom(book)
  book.set(id, { rev: finding.rev, detectedAtMs, updatedMs: by.nowMs, ended: finding.clearedAt !== null || draft.withdrawn === true, hash })
  return finding
}

/** Forgets findings that ended long ago. Cheap enough to be called once an hour of log time. */
export function forget(book: FindingBook, nowMs: number): void {
  for (const [id, e] of book) if (e.ended && e.updatedMs < nowMs - REMEMBER_MS) book.delete(id)
}

function makeRoom(book: FindingBook): void {
  const oldest = [...book].sort(
    (a, b) => Number(b[1].ended) - Number(a[1].ended) || a[1].updatedMs - b[1].updatedMs || (a[0] < b[0] ? -1 : 1),
  )
  for (const [id] of oldest.slice(0, BOOK_MAX / 10)) book.delete(id)
}

export function countOpen(book: FindingBook): number {
  let n = 0
  for (const e of book.values()) if (!e.ended) n += 1
  return n
}
