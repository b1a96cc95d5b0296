// Asking ingest to send a quarantined entry again, and claiming devices nobody knew.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Queryable } from '#runtime/postgres.ts'

/** Another value of the same series and time is stored, or it cannot be told: the same again would be refused again. */
const FINAL = ['conflicting_value', 'beyond_dedup_window']
const WAIT_MS = 3_000
const LOOK_MS = 100

export interface ReleaseState {
  state: 'open' | 'released' | 'discarded'
  /** Asked for and not done yet. */
  pending: boolean
  /** Why it was refused again. */
  note: string | null
}

/** Undefined when there is no such entry; `final` when only a mended entry can be taken. */
export async function askRelease(
  db: Queryable,
  id: string,
  who: string,
  mended: string | undefined,
): Promise<{ asked: boolean; final: boolean } | undefined> {
  const { rows } = await db.query<{ reason: string }>('SELECT reason FROM quarantine WHERE id = $1', [id])
  const reason = rows[0]?.reason
  if (reason === undefined) return undefined
  if (mended === undefined && FINAL.includes(reason)) return { asked: false, final: true }
  const { rowCount } = await db.query(
    `UPDATE quarantine SET release_at = now(), release_by = $2, release_vouched = true, release_payload = $3, release_note = NULL
     WHERE id = $1 AND state = 'open' AND release_at IS NULL`,
    [id, who, mended ?? null],
  )
  if (rowCount === 1) await wakeIngest(db)
  return { asked: rowCount === 1, final: false }
}

/** Waits a few seconds for ingest; what is not done by then is done later. */
export async function releaseDone(db: Queryable, id: string): Promise<ReleaseState> {
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const { rows } = await db.query<ReleaseState>(
      'SELECT state, release_at IS NOT NULL AS pending, release_note AS note FROM quarantine WHERE id = $1',
      [id],
    )
    const state = rows[0] ?? { state: 'open', pending: false, note: null }
    if (!state.pending || waitedMs >= WAIT_MS) return state
    await sleep(LOOK_MS)
  }
}

/** From now on the open entries of this device are released, in order of receipt. Repeated it also tries again what was refused once more. */
export async function claimDevice(db: Queryable, device: string, who: string): Promise<void> {
  await db.query(
    `INSERT INTO device_claims (device, claimed_by) VALUES ($1, $2)
     ON CONFLICT (device) DO UPDATE SET claimed_by = excluded.claimed_by, claimed_at = now()`,
    [device, who],
  )
  await db.query("UPDATE quarantine SET release_note = NULL WHERE device = $1 AND state = 'open' AND reason = 'unknown_device'", [device])
}

export async function wakeIngest(db: Queryable): Promise<void> {
  await db.query("SELECT pg_notify('release_wanted', '')")
}

export interface ClaimProgress {
  released: number
  /** Not sent yet. */
  waiting: number
  /** Refused again. */
  refused: number
}

export async function claimProgress(db: Queryable, device: string): Promise<ClaimProgress> {
  const { rows } = await db.query<ClaimProgress>(
    `SELECT count(*) FILTER (WHERE state = 'released')::bigint AS released,
       count(*) FILTER (WHERE state = 'open' AND release_note IS NULL)::bigint AS waiting,
       count(*) FILTER (WHERE state = 'open' AND release_note IS NOT NULL)::bigint AS refused
     FROM quarantine WHERE device = $1 AND reason = 'unknown_device'`,
    [device],
  )
  return rows[0] ?? { released: 0, waiting: 0, refused: 0 }
}

/** Waits a few seconds until nothing of this device waits. */
export async function claimSettled(db: Queryable, device: string): Promise<ClaimProgress> {
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const progress = await claimProgress(db, device)
    if (progress.waiting === 0 || waitedMs >= WAIT_MS) return progress
    await sleep(LOOK_MS)
  }
}
