import { z } from 'zod'
import { DAY_MS, HOUR_MS, toIso } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { messageCounts, sumMessages } from '../queries/messages.ts'
import { Id, type Range, rangeOf, Time } from '../queries/params.ts'
import { type LedgerLine, ledgerBook, withStored } from '../queries/proof.ts'
import { type Storage, type StoredCount, storageApplied, storedCounts } from '../queries/series.ts'
import { PROBLEMS } from './schemas.ts'

const Counts = {
  received: z.number(),
  accepted: z.number(),
  duplicate: z.number(),
  redelivered: z.number(),
  quarantined: z.number(),
  reasons: z.record(z.string(), z.number()),
  stored: z.number().nullable(),
  unaccounted: z.number(),
  unstored: z.number().nullable(),
  difference: z.number(),
}
const Messages = z
  .object({
    deliveries: z.number(),
    redelivered: z.number(),
    refused: z.number(),
    present: z.number(),
    missing: z.number(),
    expected: z.number(),
    holes: z.array(z.tuple([z.number(), z.number()])),
  })
  .describe(
    "Messages: expected = present + missing by the gateway's own counter (seq); holes are the missing numbers, first and last of each",
  )
const RANGE_MS_MAX = 31 * DAY_MS

export function ledgerRoutes(app: App, deps: ApiDeps): void {
  app.get(
    '/v1/ledger',
    {
      schema: {
        tags: ['proof'],
        summary: 'The proof that nothing was lost, by gateway and hour of receipt',
        description:
          "received = accepted + duplicate + quarantined + unaccounted; accepted = stored + unstored; difference = unaccounted + unstored is 0 when nothing was lost. Counts readings and events. An hour is settled when the processors have counted all of it (countedUntil is past its end) and storage has caught up; before that it may differ by what is on its way; an entry that arrived more than three hours before it was folded is counted in the hour of the log's clock. from and to are widened to whole hours; at most 31 days.",
        querystring: z.object({ from: Time.optional(), to: Time.optional(), gateway: Id.optional() }),
        response: {
          200: z.object({
            from: z.string(),
            to: z.string(),
            countedUntil: z.string(),
            storage: z.object({ state: z.enum(['current', 'behind', 'suspended', 'unknown']), detail: z.string() }),
            entries: z.array(z.object({ gateway: z.string(), hour: z.string(), ...Counts, settled: z.boolean(), messages: Messages })),
            total: z.object({ ...Counts, messages: Messages }),
          }),
          ...PROBLEMS,
        },
      },
    },
    async (request) => {
      const asked = rangeOf(request.query, { nowMs: deps.nowMs(), usualMs: DAY_MS, mostMs: RANGE_MS_MAX })
      const range = { fromMs: Math.floor(asked.fromMs / HOUR_MS) * HOUR_MS, toMs: Math.ceil(asked.toMs / HOUR_MS) * HOUR_MS }
      const { gateway } = request.query
      const book = await ledgerBook(deps.pool, range, gateway)
      const { storage, stored } = await storedOf(deps, range)
      const messages = await messageCounts(deps.pool, range, gateway)
      // A gateway whose messages were all refused, or lost, has a line too.
      for (const key of messages.keys()) book.lineOf(key.slice(0, key.lastIndexOf('|')), Number(key.slice(key.lastIndexOf('|') + 1)))
      const lines = withStored(book, gateway, stored, storage.state !== 'behind')
      return {
        from: toIso(range.fromMs),
        to: toIso(range.toMs),
        countedUntil: toIso(book.countedMs),
        storage,
        entries: lines.map(({ hourMs, ...line }) => ({
          ...line,
          hour: toIso(hourMs),
          messages: messages.get(`${line.gateway}|${hourMs}`) ?? sumMessages([]),
        })),
        total: { ...totalOf(lines, stored !== null), messages: sumMessages(messages.values()) },
      }
    },
  )
}

/** Never fails: the ledger is worth seeing without the storage. */
async function storedOf(
  deps: ApiDeps,
  range: Range,
): Promise<{ storage: Storage | { state: 'unknown'; detail: string }; stored: StoredCount[] | null }> {
  try {
    const storage = await storageApplied(deps)
    return { storage, stored: await storedCounts(deps, range) }
  } catch (error) {
    const { message } = error as Error
    deps.log.warn({ error: message }, 'the ledger is shown without what is stored')
    return { storage: { state: 'unknown', detail: message }, stored: null }
  }
}

function totalOf(lines: readonly LedgerLine[], stored: boolean) {
  const sum = (of: (l: LedgerLine) => number | null) => lines.reduce((s, l) => s + (of(l) ?? 0), 0)
  const reasons: Record<string, number> = {}
  for (const l of lines) for (const [reason, n] of Object.entries(l.reasons)) reasons[reason] = (reasons[reason] ?? 0) + n
  return {
    received: sum((l) => l.received),
    accepted: sum((l) => l.accepted),
    duplicate: sum((l) => l.duplicate),
    redelivered: sum((l) => l.redelivered),
    quarantined: sum((l) => l.quarantined),
    reasons,
    stored: stored ? sum((l) => l.stored) : null,
    unaccounted: sum((l) => l.unaccounted),
    unstored: stored ? sum((l) => l.unstored) : null,
    difference: sum((l) => l.difference),
  }
}
