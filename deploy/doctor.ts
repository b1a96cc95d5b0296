// npm run doctor: looks at everything a running system needs and says, for what is wrong, what to do. Exit code 1 when something is.
import { existsSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { TOPICS } from '#model/topics.ts'
import { type Config, readConfig } from '#runtime/config.ts'
import { createKafka, topicName } from '#runtime/kafka.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'
import { createQuestDb } from '#runtime/questdb.ts'
import { QUESTDB_TABLES } from '../processors/sinks/questdb.ts'
import { readMigrations } from './migrate.ts'

export interface Check {
  what: string
  state: 'ok' | 'warning' | 'wrong'
  /** What was found. */
  found: string
  /** What to do; left out when it is ok. */
  todo?: string
}

const ok = (what: string, found: string): Check => ({ what, state: 'ok', found })
const wrong = (what: string, found: string, todo: string): Check => ({ what, state: 'wrong', found, todo })
const warning = (what: string, found: string, todo: string): Check => ({ what, state: 'warning', found, todo })

const NODE_MIN = 24
const DISK_FREE_MIN_GB = 5
const DISK_FREE_WARN_GB = 20
/** A clock this far off spoils the age of readings and the validity of sessions. */
const CLOCK_OFF_MAX_MS = 2_000
const LAG_WARN = 1_000
const ANSWER_MS = 5_000

export function nodeCheck(version: string): Check {
  const major = Number(version.split('.')[0])
  return major >= NODE_MIN
    ? ok('Node', version)
    : wrong('Node', version, `services need Node ${NODE_MIN}: start them by npm, which brings it, or install it`)
}

export function diskCheck(dir: string, freeBytes: number): Check {
  const free = freeBytes / 1e9
  const found = `${free.toFixed(1)} GB free at ${dir}`
  if (free < DISK_FREE_MIN_GB) return wrong('disk', found, 'Kafka and QuestDB stop when it is full: free some, or shorten their retention')
  return free < DISK_FREE_WARN_GB ? warning('disk', found, 'plan for more: see docs/scaling.md') : ok('disk', found)
}

export function clockCheck(name: string, offMs: number): Check {
  const found = `${Math.round(offMs)} ms from ours`
  return Math.abs(offMs) <= CLOCK_OFF_MAX_MS
    ? ok(`clock of ${name}`, found)
    : wrong(`clock of ${name}`, found, 'synchronise the clocks of all hosts (chrony)')
}

export function lagCheck(lag: number): Check {
  return lag <= LAG_WARN
    ? ok('lag of processors', `${lag} records`)
    : warning('lag of processors', `${lag} records`, 'they fall behind or do not run: docs/runbook.md, LogLag')
}

/** Secrets that others on the machine can read. */
export function secretCheck(path: string, mode: number): Check {
  const open = (mode & 0o077) !== 0
  const found = `${path} ${(mode & 0o777).toString(8)}`
  return open ? wrong('secret', found, `chmod 600 ${path}`) : ok('secret', found)
}

async function guarded(what: string, todo: string, look: () => Promise<Check[]>): Promise<Check[]> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS)
  })
  try {
    return await Promise.race([look(), late])
  } catch (error) {
    return [wrong(what, (error as Error).message || String(error), todo)]
  } finally {
    clearTimeout(timer)
  }
}

async function postgresChecks(pool: Pool): Promise<Check[]> {
  const before = Date.now()
  const { rows } = await pool.query<{ version: string; now_ms: number }>(
    `SELECT current_setting('server_version') AS version, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms`,
  )
  const { version, now_ms } = rows[0] as { version: string; now_ms: number }
  const table = await pool.query(`SELECT to_regclass('schema_migrations') AS t`)
  const applied = table.rows[0]?.t === null ? [] : (await pool.query<{ name: string }>('SELECT name FROM schema_migrations')).rows
  const have = new Set(applied.map((r) => r.name))
  const missing = (await readMigrations()).filter((m) => !have.has(m.name))
  return [
    ok('PostgreSQL', version),
    clockCheck('PostgreSQL', now_ms - (before + Date.now()) / 2),
    missing.length === 0
      ? ok('migrations', `${have.size} applied`)
      : wrong('migrations', `${missing.map((m) => m.name).join(', ')} not applied`, 'npm run migrate'),
  ]
}

async function questdbChecks(config: Config): Promise<Check[]> {
  const db = await createQuestDb({ url: config.QUESTDB_URL, log: silentLog })
  try {
    const before = Date.now()
    const now = await db.exec('SELECT build, now() FROM (SELECT build() AS build)')
    const [build, at] = now.dataset[0] as [string, string]
    const wal = await db.exec('SELECT name, suspended FROM wal_tables()')
    const tables = new Map(wal.dataset.map(([name, suspended]) => [String(name), suspended === true]))
    const wanted = Object.values(QUESTDB_TABLES).map((t) => `${config.METERSTREAM_PREFIX}${t}`)
    const missing = wanted.filter((t) => !tables.has(t))
    const suspended = [...tables].filter(([, s]) => s).map(([name]) => name)
    return [
      ok('QuestDB', String(build).split(',')[0] ?? ''),
      clockCheck('QuestDB', Date.parse(at) - (before + Date.now()) / 2),
      missing.length === 0
        ? ok('QuestDB tables', wanted.join(', '))
        : wrong('QuestDB tables', `${missing.join(', ')} missing`, 'processors make them when they start: are they running?'),
      suspended.length === 0
        ? ok('QuestDB log', 'applied')
        : wrong('QuestDB log', `${suspended.join(', ')} suspended`, `free its disk, then: ALTER TABLE '${suspended[0]}' RESUME WAL`),
    ]
  } finally {
    await db.close()
  }
}

async function kafkaChecks(config: Config, pool: Pool): Promise<Check[]> {
  const admin = createKafka(config, silentLog, 'doctor').admin()
  await admin.connect()
  try {
    const { brokers } = await admin.describeCluster()
    const names = new Set(await admin.listTopics())
    const missing = Object.values(TOPICS)
      .map((t) => topicName(config, t))
      .filter((t) => !names.has(t))
    const checks = [
      ok('Kafka', `${brokers.length} ${brokers.length === 1 ? 'broker' : 'brokers'}`),
      missing.length === 0
        ? ok('topics', `${Object.keys(TOPICS).length}`)
        : wrong('topics', `${missing.join(', ')} missing`, 'any service makes them when it starts; may it create topics here?'),
    ]
    const telemetry = topicName(config, TOPICS.telemetry)
    if (!names.has(telemetry)) return checks
    const ends = await admin.fetchTopicOffsets(telemetry)
    const saved = await pool.query<{ partition: number; next_offset: number }>(
      `SELECT partition, next_offset FROM checkpoints WHERE stage = 'zones'`,
    )
    const at = new Map(saved.rows.map((r) => [r.partition, r.next_offset]))
    checks.push(lagCheck(ends.reduce((n, e) => n + Math.max(0, Number(e.high) - (at.get(e.partition) ?? Number(e.low))), 0)))
    return checks
  } finally {
    await admin.disconnect()
  }
}

async function brokerChecks(config: Config): Promise<Check[]> {
  const client = await connectAsync(config.MQTT_URL, {
    ...(config.MQTT_USERNAME === '' ? {} : { username: config.MQTT_USERNAME, password: config.MQTT_PASSWORD }),
    clientId: `doctor-${process.pid}`,
    reconnectPeriod: 0,
    connectTimeout: ANSWER_MS,
  })
  await client.endAsync()
  return [ok('MQTT broker', 'lets us in')]
}

async function serviceChecks(name: string, url: string): Promise<Check[]> {
  const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(ANSWER_MS) })
  const body = (await response.text()).slice(0, 300)
  return [response.ok ? ok(name, 'ready') : warning(name, body, 'its log says why')]
}

/** All checks; never throws. */
export async function examine(config: Config): Promise<Check[]> {
  const dir = config.METERSTREAM_DATA_DIR
  const here = existsSync(dir) ? dir : '.'
  const { bavail, bsize } = statfsSync(here)
  const checks = [nodeCheck(process.versions.node), diskCheck(here, bavail * bsize)]
  for (const name of ['token', 'env']) {
    const path = join(dir, name)
    if (existsSync(path)) checks.push(secretCheck(path, statSync(path).mode))
  }
  const pool = createPool({ url: config.POSTGRES_URL, log: silentLog, name: 'doctor', max: 2, connectionTimeoutMs: ANSWER_MS })
  const host = config.HTTP_HOST === '0.0.0.0' ? '127.0.0.1' : config.HTTP_HOST
  try {
    const parts = await Promise.all([
      guarded('PostgreSQL', 'is it running? POSTGRES_URL says where', () => postgresChecks(pool)),
      guarded('QuestDB', 'is it running? QUESTDB_URL says where', () => questdbChecks(config)),
      guarded('Kafka', 'is it running? KAFKA_BROKERS says where', () => kafkaChecks(config, pool)),
      guarded('MQTT broker', 'is it running? MQTT_URL, MQTT_USERNAME and MQTT_PASSWORD say where and who', () => brokerChecks(config)),
      guarded('ingest', 'npm start starts it', () => serviceChecks('ingest', `http://${host}:${config.INGEST_PORT}`)),
      guarded('processors', 'npm start starts it', () => serviceChecks('processors', `http://${host}:${config.PROCESSORS_PORT}`)),
      guarded('api', 'npm start starts it', () => serviceChecks('api', `http://${host}:${config.API_PORT}`)),
    ])
    return [...checks, ...parts.flat()]
  } finally {
    await pool.end()
  }
}

export function render(checks: readonly Check[]): string {
  const width = Math.max(...checks.map((c) => c.what.length))
  const mark = { ok: 'ok     ', warning: 'WARNING', wrong: 'WRONG  ' }
  return checks
    .map(
      (c) =>
        `${mark[c.state]}  ${c.what.padEnd(width)}  ${c.found}${c.todo === undefined ? '' : `\n         ${' '.repeat(width)}  -> ${c.todo}`}`,
    )
    .join('\n')
}

if (import.meta.main) {
  const checks = await examine(readConfig(process.env))
  process.stdout.write(`${render(checks)}\n`)
  if (checks.some((c) => c.state === 'wrong')) process.exitCode = 1
}
