// Where processors are in the log and what their folds knew there, in PostgreSQL. One transaction saves both, and only for the
// holder of the newest epoch: who lost a partition cannot save over its successor.
import { deserialize, serialize } from 'node:v8'
import type { ZoneDef } from '#model/asset.ts'
import type { Recalculation } from '#model/edit.ts'
import type { LedgerEntry } from '#model/ledger.ts'
import type { RuleCount } from '#model/validation-rules.ts'
import { type Pool, type Queryable, tx } from '#runtime/postgres.ts'
import type { ZoneState } from '../zone-state.ts'
import { askRecalculations } from './edits.ts'
import type { DayRow } from './outputs.ts'

/** Raise when ZoneState, NetworkState or what is around them changes shape: older states are then not used, the log is folded from its beginning. */
const STATE_FORMAT = 1

export type Stage = 'zones' | 'network'

/** Another owner has taken the partition over: stop writing for it. */
export class LostPartition extends Error {
  constructor(stage: Stage, partition: number) {
    super(`${stage} partition ${partition} has another owner`)
    this.name = 'LostPartition'
  }
}

export interface RestoredZone {
  zone: string
  def: ZoneDef | undefined
  state: ZoneState
}

export interface Acquired<S> {
  epoch: number
  /** Offset of the first record not yet folded; undefined when nothing was saved for this log. */
  nextOffset: number | undefined
  state: S | undefined
  zones: RestoredZone[]
  /** Why an existing checkpoint is not used, or ''. */
  note: string
}

export interface ZoneSnapshot {
  zone: string
  nextOffset: number
  state: Buffer
  /** Undefined: as saved before. */
  def: Buffer | undefined
  defVersion: string
}

export interface Checkpoint {
  partition: number
  epoch: number
  cluster: string
  nextOffset: number
  /** The log's clock at nextOffset. */
  clockMs: number
  state: Buffer
  zones: ZoneSnapshot[]
  days: DayRow[]
  ledger: LedgerEntry[]
  ruleCounts: RuleCount[]
  recalculations: Recalculation[]
}

export function encodeState(state: unknown): Buffer {
  return serialize({ format: STATE_FORMAT, state })
}

function decodeState<S>(bytes: Buffer): S | undefined {
  const saved = deserialize(bytes) as { format: number; state: S }
  return saved.format === STATE_FORMAT ? saved.state : undefined
}

export const encodeDef = (def: ZoneDef): Buffer => serialize(def)

interface CheckpointRow {
  epoch: number
  cluster: string
  next_offset: number
  state: Buffer | null
}

/**
 * Takes a partition over: raises its epoch and loads what was saved. A predecessor's transaction either ends before or fails after.
 * `cluster` is the log's: offsets of another cluster mean nothing, states still do.
 */
export async function acquire<S>(
  pool: Pool,
  at: { stage: Stage; partition: number; owner: string; cluster: string },
): Promise<Acquired<S>> {
  return tx(pool, async (client) => {
    const { rows } = await client.query<CheckpointRow>(
      `INSERT INTO checkpoints (stage, partition, epoch, owner) VALUES ($1, $2, 1, $3)
       ON CONFLICT (stage, partition) DO UPDATE SET epoch = checkpoints.epoch + 1, owner = $3
       RETURNING epoch, cluster, next_offset, state`,
      [at.stage, at.partition, at.owner],
    )
    const saved = rows[0] as CheckpointRow
    const fresh: Acquired<S> = { epoch: saved.epoch, nextOffset: undefined, state: undefined, zones: [], note: '' }
    if (saved.state === null) return fresh
    const state = decodeState<S>(saved.state)
    if (state === undefined) return { ...fresh, note: 'the saved state has another format: folding the log from its beginning' }
    const zones = at.stage === 'zones' ? await loadZones(client, at.partition) : []
    if (zones === undefined) return { ...fresh, note: 'the saved state of a zone has another format: folding the log from its beginning' }
    if (saved.cluster !== at.cluster)
      return { ...fresh, state, zones, note: `the checkpoint belongs to Kafka cluster ${saved.cluster}: this log begins anew` }
    return { ...fresh, state, zones, nextOffset: saved.next_offset }
  })
}

async function loadZones(client: Queryable, partition: number): Promise<RestoredZone[] | undefined> {
  const { rows } = await client.query<{ zone: string; def: Buffer | null; state: Buffer }>(
    'SELECT zone, def, state FROM snapshots WHERE partition = $1 ORDER BY zone',
    [partition],
  )
  const zones: RestoredZone[] = []
  for (const r of rows) {
    const state = decodeState<ZoneState>(r.state)
    if (state === undefined) return undefined
    zones.push({ zone: r.zone, def: r.def === null ? undefined : (deserialize(r.def) as ZoneDef), state })
  }
  return zones
}

/** Partitions whose epoch is no longer ours. One small statement, before every flush. */
export async function lostAmong(pool: Pool, stage: Stage, held: readonly { partition: number; epoch: number }[]): Promise<Set<number>> {
  if (held.length === 0) return new Set()
  const { rows } = await pool.query<{ partition: number; epoch: number }>(
    'SELECT partition, epoch FROM checkpoints WHERE stage = $1 AND partition = ANY($2)',
    [stage, held.map((h) => h.partition)],
  )
  const epochs = new Map(rows.map((r) => [r.partition, r.epoch]))
  return new Set(held.filter((h) => epochs.get(h.partition) !== h.epoch).map((h) => h.partition))
}

/** Bytes of state in one statement; PostgreSQL takes up to 1 GB, memory is what counts. */
const STATEMENT_BYTES_MAX = 16 * 1024 * 1024
/** Rows in one statement: at most 65,535 parameters, and arrays need few of them. */
const ZONES_PER_STATEMENT = 200
const ROWS_PER_STATEMENT = 5_000
/** Any constant of our own: writers of days take turns, so that the feed's order is the order of commits. */
const DAYS_LOCK = 0x4d53_0002

/** Saves a checkpoint, days and ledger included, in one transaction. @throws LostPartition */
export async function save(pool: Pool, stage: Stage, c: Checkpoint): Promise<void> {
  await tx(pool, async (client) => {
    const { rowCount } = await client.query(
      `UPDATE checkpoints SET cluster = $4, next_offset = $5, state = $6, clock = $7, updated_at = now()
       WHERE stage = $1 AND partition = $2 AND epoch = $3`,
      [stage, c.partition, c.epoch, c.cluster, c.nextOffset, c.state, iso(c.clockMs)],
    )
    if (rowCount !== 1) throw new LostPartition(stage, c.partition)
    await saveZones(client, c)
    await saveLedger(client, c.ledger)
    await saveDays(client, c.days)
    await saveRuleCounts(client, c.ruleCounts)
    await askRecalculations(client, c.recalculations)
  })
}

async function saveZones(client: Queryable, c: Checkpoint): Promise<void> {
  for (let i = 0; i < c.zones.length; ) {
    const values: unknown[] = [c.partition]
    const tuples: string[] = []
    let bytes = 0
    for (; i < c.zones.length && tuples.length < ZONES_PER_STATEMENT && bytes < STATEMENT_BYTES_MAX; i++) {
      const z = c.zones[i] as ZoneSnapshot
      bytes += z.state.length + (z.def?.length ?? 0)
      const p = values.length
      tuples.push(`($1, $${p + 1}, $${p + 2}::bigint, $${p + 3}::bytea, $${p + 4}::bytea, $${p + 5})`)
      values.push(z.zone, z.nextOffset, z.state, z.def ?? null, z.defVersion)
    }
    await client.query(
      `INSERT INTO snapshots (partition, zone, next_offset, state, def, def_version) VALUES ${tuples.join(', ')}
       ON CONFLICT (partition, zone) DO UPDATE SET next_offset = excluded.next_offset, state = excluded.state,
         def = coalesce(excluded.def, snapshots.def), def_version = excluded.def_version, updated_at = now()`,
      values,
    )
  }
}

const iso = (ms: number): string => new Date(ms).toISOString()

async function saveLedger(client: Queryable, entries: readonly LedgerEntry[]): Promise<void> {
  for (let i = 0; i < entries.length; i += ROWS_PER_STATEMENT) {
    const part = entries.slice(i, i + ROWS_PER_STATEMENT)
    await client.query(
      `INSERT INTO ledger (zone, gateway, hour, received, accepted, duplicate, redelivered, quarantined)
       SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::jsonb[])
       ON CONFLICT (zone, gateway, hour) DO UPDATE SET received = excluded.received, accepted = excluded.accepted,
         duplicate = excluded.duplicate, redelivered = excluded.redelivered, quarantined = excluded.quarantined`,
      [
        part.map((e) => e.zone),
        part.map((e) => e.gateway),
        part.map((e) => iso(e.hourMs)),
        part.map((e) => e.received),
        part.map((e) => e.accepted),
        part.map((e) => e.duplicate),
        part.map((e) => e.redelivered),
        part.map((e) => JSON.stringify(e.quarantined)),
      ],
    )
  }
}

async function saveDays(client: Queryable, rows: readonly DayRow[]): Promise<void> {
  if (rows.length === 0) return
  await client.query('SELECT pg_advisory_xact_lock($1)', [DAYS_LOCK])
  for (let i = 0; i < rows.length; i += ROWS_PER_STATEMENT) {
    const part = rows.slice(i, i + ROWS_PER_STATEMENT)
    await client.query(
      `INSERT INTO meter_days (meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at, edited,
         estimated_value, tou, rules, before_value, why)
       SELECT meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at, edited, estimated_value, tou,
         ARRAY(SELECT jsonb_array_elements_text(rules)), before_value, why
       FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::int[], $6::float8[], $7::int[], $8::int[], $9::int[], $10::text[],
         $11::timestamptz[], $12::int[], $13::float8[], $14::jsonb[], $15::jsonb[], $16::float8[], $17::text[])
         AS d (meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at, edited, estimated_value, tou, rules,
           before_value, why)
       ON CONFLICT (meter, quantity, channel, date, rev) DO NOTHING`,
      [
        part.map((r) => r.day.meter),
        part.map((r) => r.day.quantity),
        part.map((r) => r.day.channel),
        part.map((r) => r.day.date),
        part.map((r) => r.day.rev),
        part.map((r) => r.day.value),
        part.map((r) => r.day.actual),
        part.map((r) => r.day.estimated),
        part.map((r) => r.day.missing),
        part.map((r) => r.zone),
        part.map((r) => iso(r.nowMs)),
        part.map((r) => r.day.edited),
        part.map((r) => r.day.estimatedValue),
        part.map((r) => (r.day.tou === undefined ? null : JSON.stringify(r.day.tou))),
        part.map((r) => JSON.stringify(r.day.rules)),
        part.map((r) => r.day.was?.value ?? null),
        part.map((r) => r.day.was?.why ?? ''),
      ],
    )
  }
}

async function saveRuleCounts(client: Queryable, rows: readonly RuleCount[]): Promise<void> {
  for (let i = 0; i < rows.length; i += ROWS_PER_STATEMENT) {
    const part = rows.slice(i, i + ROWS_PER_STATEMENT)
    await client.query(
      `INSERT INTO rule_counts (zone, date, rule, class, fired)
       SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::bigint[])
       ON CONFLICT (zone, date, rule, class) DO UPDATE SET fired = excluded.fired`,
      [part.map((r) => r.zone), part.map((r) => r.date), part.map((r) => r.rule), part.map((r) => r.class), part.map((r) => r.fired)],
    )
  }
}
