// Follows what the api asks to be released, in PostgreSQL, and hands it to the pipeline in order of receipt, a portion at a time.
// The order of steps makes it safe to be killed at any of them: to Kafka, then marked. What is sent twice the folds recognise, because
// the times and values are those of the first time.
import { setTimeout as sleep } from 'node:timers/promises'
import { parseIso } from '#model/time.ts'
import type { Log } from '#runtime/log.ts'
import type { Pool, PoolClient } from '#runtime/postgres.ts'
import { listen } from '#runtime/postgres-listen.ts'
import type { Decode } from './decode.ts'
import type { Release } from './pipeline.ts'
import { type ReleaseEntry, type ReleaseResult, releaseEntry } from './release.ts'

/** Entries a portion; an entry has at most 64 KiB. */
const PORTION = 200
const POLL_MS = 10_000
const CLOSE_MS_MAX = 3_000
/** A number of ours: only one ingest of a database releases at a time, so that the order holds. */
const LOCK = 7_361_114

export interface ReleasesOptions {
  pool: Pool
  url: string
  log: Log
  decode: Decode
  /** Reads the registry when it changed: a device is claimed before its entries are released. */
  refresh(): Promise<void>
  /** Resolves when Kafka has what was written. */
  release(write: Release): Promise<void>
  /** Counts entries by what became of them. */
  count(outcome: 'released' | 'refused', entries: number): void
}

export function followReleases(o: ReleasesOptions): { close(): Promise<void> } {
  let closed = false
  let wanted = true
  let wake: () => void = () => undefined
  const signal = (): void => {
    wanted = true
    wake()
  }
  const timer = setInterval(signal, POLL_MS)
  const listener = listen({ url: o.url, channel: 'release_wanted', log: o.log, onNotify: signal })
  const loop = (async () => {
    while (!closed) {
      if (!wanted) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      wanted = false
      try {
        await releaseAll(o, () => closed)
      } catch (error) {
        o.log.warn({ error: (error as Error).message }, 'cannot release now, trying again')
      }
    }
  })()
  return {
    async close() {
      closed = true
      clearInterval(timer)
      wake()
      // A portion that Kafka does not take keeps its mark: it is sent by whoever comes next.
      await Promise.all([listener.close(), Promise.race([loop, sleep(CLOSE_MS_MAX, undefined, { ref: false })])])
    },
  }
}

async function releaseAll(o: ReleasesOptions, stopped: () => boolean): Promise<void> {
  const client = await o.pool.connect()
  let broken = true
  try {
    const { rows } = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock($1) AS mine', [LOCK])
    if (rows[0]?.mine === true) {
      await askForClaimed(client)
      while (!stopped() && (await releasePortion(o, client)) === PORTION);
      await client.query('SELECT pg_advisory_unlock($1)', [LOCK])
    }
    broken = false
  } finally {
    // A connection that failed may still have the lock: closing it gives the lock back.
    client.release(broken)
  }
}

/** Open entries of claimed devices, also those that came into quarantine after the claim. Refused once more, they wait for a person. */
async function askForClaimed(client: PoolClient): Promise<void> {
  await client.query(
    `UPDATE quarantine q SET release_at = now(), release_by = c.claimed_by FROM device_claims c
     WHERE c.claimed_at > now() - interval '7 days' AND q.device = c.device AND q.state = 'open' AND q.reason = 'unknown_device'
       AND q.release_at IS NULL AND q.release_note IS NULL AND q.stored_at < c.claimed_at + interval '1 hour'`,
  )
}

interface Row {
  id: string
  topic: string
  format: string
  gateway: string
  field: string
  received_ms: number
  payload: string
  encoding: 'utf8' | 'base64'
  truncated: boolean
  redelivered: boolean
  release_vouched: boolean
  release_payload: string | null
}

/** One portion, in order of receipt. Returns how many entries it had. */
async function releasePortion(o: ReleasesOptions, client: PoolClient): Promise<number> {
  const { rows } = await client.query<Row>(
    `SELECT id, topic, format, gateway, field, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, payload, encoding, truncated, redelivered,
       release_vouched, release_payload
     FROM quarantine WHERE state = 'open' AND release_at IS NOT NULL ORDER BY received_at, id LIMIT $1`,
    [PORTION],
  )
  if (rows.length === 0) return 0
  // The registry that made the release possible must be known before it is tried.
  await o.refresh()
  const entries = rows.map(entryOf).sort((a, b) => a.receivedAtMs - b.receivedAtMs || timeOf(a) - timeOf(b))
  const results: ReleaseResult[] = []
  await o.release((registry, sink) => {
    for (const entry of entries) results.push(releaseEntry(entry, o.decode, registry, sink))
  })
  await client.query(
    `UPDATE quarantine q SET state = CASE WHEN r.note IS NULL THEN 'released' ELSE 'open' END, release_note = r.note,
       closed_at = CASE WHEN r.note IS NULL THEN now() END, closed_by = CASE WHEN r.note IS NULL THEN q.release_by END, release_at = NULL
     FROM unnest($1::text[], $2::text[]) AS r(id, note) WHERE q.id = r.id`,
    [results.map((r) => r.id), results.map((r) => r.note)],
  )
  const refused = results.filter((r) => r.note !== null).length
  o.count('released', results.length - refused)
  o.count('refused', refused)
  o.log.info({ released: results.length - refused, refused }, 'entries of quarantine released')
  return rows.length
}

function entryOf(r: Row): ReleaseEntry {
  return {
    id: r.id,
    topic: r.topic,
    format: r.format,
    gateway: r.gateway,
    field: r.field,
    receivedAtMs: r.received_ms,
    payload: r.payload,
    encoding: r.encoding,
    truncated: r.truncated,
    redelivered: r.redelivered,
    vouched: r.release_vouched,
    mended: r.release_payload,
  }
}

/** Entries of one message have the same time of receipt: among them the time of measurement decides. */
function timeOf(entry: ReleaseEntry): number {
  const found = /"ts":"([^"]{10,40})"/.exec(entry.payload.slice(0, 1_000))?.[1]
  const ms = found === undefined ? Number.NaN : parseIso(found)
  return Number.isNaN(ms) ? 0 : ms
}
