// Backup and restore of everything that cannot be made again: PostgreSQL of one moment, QuestDB's rows, and what Kafka holds beyond the
// checkpoints. Taken while the system runs. The restored system stands where the log's end was when the backup ended.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { TOPICS } from '#model/topics.ts'
import type { Config } from '#runtime/config.ts'
import { createKafka, ensureTopics, topicName, topicOffsets } from '#runtime/kafka.ts'
import type { Log } from '#runtime/log.ts'
import { createPool, type PoolClient } from '#runtime/postgres.ts'
import { createQuestDb, endpointOf } from '#runtime/questdb.ts'
import { storageApplied } from '../../api/queries/series.ts'
import { ensureQuestDbTables, QUESTDB_TABLES } from '../../processors/sinks/questdb.ts'
import { migrate, readMigrations } from '../migrate.ts'
import { dumpLog, loadLog } from './log.ts'
import { dumpTables, loadTables } from './postgres.ts'
import { dumpSeries, loadSeries } from './questdb.ts'

const FORMAT = 1
const TIME_COLUMN = { readings: 'ts', intervals: 'start', events: 'ts' } as const

const Manifest = z.object({
  format: z.literal(FORMAT),
  /** Moment of PostgreSQL's rows. */
  takenAt: z.string(),
  endedAt: z.string(),
  /** Kafka cluster and prefix: into the same log nothing of it is loaded. */
  log: z.string(),
  partitions: z.int(),
  migrations: z.array(z.string()),
  tables: z.array(z.object({ table: z.string(), rows: z.int() })),
  series: z.array(z.object({ table: z.string(), rows: z.int(), days: z.array(z.string()) })),
  topics: z.array(z.object({ topic: z.string(), records: z.int() })),
})
export type Manifest = z.infer<typeof Manifest>

export interface BackupDeps {
  config: Config
  log: Log
  say: (line: string) => void
}

/** Tables and topics share names: each store has a folder of its own. */
function partOf(dir: string, store: 'postgres' | 'questdb' | 'kafka'): string {
  const path = join(dir, store)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return path
}

/** @throws Error when `dir` is not empty, or a server does not answer; the folder then has no manifest and is no backup. */
export async function backup({ config, log, say }: BackupDeps, dir: string): Promise<Manifest> {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  if (readdirSync(dir).length > 0) throw new Error(`${dir} is not empty`)
  const pool = createPool({ url: config.POSTGRES_URL, log, name: 'backup', max: 2, statementTimeoutMs: 0 })
  const questdb = await createQuestDb({ url: config.QUESTDB_URL, log })
  const kafka = createKafka(config, log, 'backup')
  const client = await pool.connect()
  try {
    const { telemetryPartitions, clusterId } = await ensureTopics(kafka, config)
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    await client.query("SET LOCAL idle_in_transaction_session_timeout = '1h'")
    const takenAt = new Date().toISOString()
    const offsets = await checkpoints(client)
    const migrations = await client.query<{ name: string }>('SELECT name FROM schema_migrations ORDER BY name')
    say('PostgreSQL')
    const tables = await dumpTables(client, partOf(dir, 'postgres'))
    await client.query('COMMIT')
    say('QuestDB')
    // Rows were written before their checkpoint was: with these shown, the copy holds all that the checkpoint counts.
    const storage = await storageApplied({ questdb, prefix: config.METERSTREAM_PREFIX })
    if (storage.state !== 'current') throw new Error(`QuestDB: ${storage.detail}; try again when it has caught up`)
    const series = []
    for (const table of Object.values(QUESTDB_TABLES)) {
      series.push(
        await dumpSeries(questdb, endpointOf(config.QUESTDB_URL), {
          table,
          prefix: config.METERSTREAM_PREFIX,
          time: TIME_COLUMN[table],
          dir: partOf(dir, 'questdb'),
        }),
      )
    }
    say('Kafka')
    const topics = await dumpLog(kafka, config, offsets, partOf(dir, 'kafka'))
    const manifest: Manifest = {
      format: FORMAT,
      takenAt,
      endedAt: new Date().toISOString(),
      log: `${clusterId}/${config.METERSTREAM_PREFIX}`,
      partitions: telemetryPartitions,
      migrations: migrations.rows.map((r) => r.name),
      ...{ tables, series, topics },
    }
    writeFileSync(join(dir, 'manifest.json'), `${JSON.stringify(manifest, null, 1)}\n`, { mode: 0o600 })
    return manifest
  } finally {
    client.release(true)
    await pool.end()
    await questdb.close()
  }
}

async function checkpoints(client: PoolClient) {
  const { rows } = await client.query<{ stage: string; partition: number; next_offset: number }>(
    'SELECT stage, partition, next_offset FROM checkpoints WHERE state IS NOT NULL',
  )
  const of = (stage: string) => new Map(rows.filter((r) => r.stage === stage).map((r) => [r.partition, r.next_offset]))
  return { zones: of('zones'), network: of('network') }
}

/** @throws Error, naming the file and the field, when it is no backup. */
export function readManifest(dir: string): Manifest {
  const path = join(dir, 'manifest.json')
  if (!existsSync(path)) throw new Error(`${path} is missing: this is no backup, or one that was not finished`)
  const parsed = Manifest.safeParse(JSON.parse(readFileSync(path, 'utf8')))
  if (!parsed.success) throw new Error(`${path}: ${parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; ')}`)
  return parsed.data
}

/** Into a system whose services do not run. @throws Error when it is not empty, or made by another version. */
export async function restore({ config, log, say }: BackupDeps, dir: string): Promise<Manifest> {
  const manifest = readManifest(dir)
  const have = (await readMigrations()).map((m) => m.name)
  const unknown = manifest.migrations.filter((m) => !have.includes(m))
  if (unknown.length > 0) throw new Error(`the backup is of a newer version (${unknown.join(', ')}): restore it with that one`)
  const pool = createPool({ url: config.POSTGRES_URL, log, name: 'restore', max: 2, statementTimeoutMs: 0 })
  const questdb = await createQuestDb({ url: config.QUESTDB_URL, log })
  const kafka = createKafka(config, log, 'restore')
  try {
    await migrate(pool)
    const { clusterId, telemetryPartitions } = await ensureTopics(kafka, { ...config, KAFKA_TELEMETRY_PARTITIONS: manifest.partitions })
    if (telemetryPartitions !== manifest.partitions)
      throw new Error(
        `telemetry has ${telemetryPartitions} partitions, the backup ${manifest.partitions}: delete the topic, it is made again`,
      )
    await ensureQuestDbTables(questdb, config.METERSTREAM_PREFIX)
    const used = await pool.query<{ n: number }>('SELECT count(*)::bigint AS n FROM checkpoints')
    if ((used.rows[0]?.n ?? 0) > 0)
      throw new Error('this system has worked already: restore into an empty one (npm start -- --fresh, then stop the services)')
    const sameLog = manifest.log === `${clusterId}/${config.METERSTREAM_PREFIX}`
    if (!sameLog) {
      const ends = await topicOffsets(kafka, topicName(config, TOPICS.telemetry))
      if (ends.some((e) => e.high > e.low)) throw new Error('the topic telemetry has records of another life: restore into an empty log')
    }
    say('QuestDB')
    for (const dump of manifest.series) {
      const time = TIME_COLUMN[dump.table as keyof typeof TIME_COLUMN]
      await loadSeries(endpointOf(config.QUESTDB_URL), { dump, prefix: config.METERSTREAM_PREFIX, time, dir: join(dir, 'questdb') })
    }
    say('PostgreSQL')
    await loadTables(pool, join(dir, 'postgres'), manifest.tables)
    if (sameLog) say('Kafka: the same log goes on')
    else {
      say('Kafka')
      await loadLog(kafka, config, manifest.topics, join(dir, 'kafka'))
    }
    return manifest
  } finally {
    await pool.end()
    await questdb.close()
  }
}
