// One set of real servers for all integration tests of a vitest run, and a space of its own in it for each test file.
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'
import type { TestProject } from 'vitest/node'
import { type Config, readConfig } from '#runtime/config.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { migrate } from '../migrate.ts'
import { startServers } from './servers.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    serversEnv: Record<string, string>
  }
}

/** vitest's global set-up of the project `integration`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = mkdtempSync(join(tmpdir(), 'meterstream-test-'))
  chmodSync(dir, 0o755)
  const servers = await startServers({ dir, ports: 'auto', say: (line) => process.stderr.write(`${line}\n`) })
  project.provide('serversEnv', servers.env)
  return async () => {
    await servers.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

export interface TestServers {
  kafka: { brokers: string }
  questdb: { url: string }
  postgres: { url: string }
  mqtt: { url: string }
  /** A fresh prefix for topics, groups and tables and a fresh, migrated PostgreSQL database. Call `drop` in afterAll. */
  isolate(): Promise<Isolated>
}

export interface Isolated {
  prefix: string
  postgresUrl: string
  /** Environment for child processes; `config` is the same, parsed. Ports of our own services are not chosen here. */
  env: Record<string, string>
  config: Config
  /** Drops the database, ending its connections. Topics and QuestDB tables go with the servers at the end of the run. */
  drop(): Promise<void>
}

/** The servers of this vitest run; only in files named `*.int.test.ts`. */
export async function startTestServers(): Promise<TestServers> {
  const env = inject('serversEnv')
  if (env === undefined) throw new Error('no servers: integration tests are named *.int.test.ts')
  const get = (name: string) => env[name] as string
  return {
    kafka: { brokers: get('KAFKA_BROKERS') },
    questdb: { url: get('QUESTDB_URL') },
    postgres: { url: get('POSTGRES_URL') },
    mqtt: { url: get('MQTT_URL') },
    isolate: () => isolate(env),
  }
}

async function isolate(env: Record<string, string>): Promise<Isolated> {
  const name = `t${randomBytes(5).toString('hex')}`
  const prefix = `${name}_`
  const adminUrl = env.POSTGRES_URL as string
  const admin = async (sql: string) => {
    const pool = createPool({ url: adminUrl, log: silentLog, max: 1 })
    try {
      await pool.query(sql)
    } finally {
      await pool.end()
    }
  }
  // The name is ours, of letters and digits: identifiers cannot be parameters.
  await admin(`CREATE DATABASE ${name}`)
  const url = new URL(adminUrl)
  url.pathname = `/${name}`
  const pool = createPool({ url: url.href, log: silentLog, max: 1 })
  try {
    await migrate(pool)
  } finally {
    await pool.end()
  }
  const own = { ...env, POSTGRES_URL: url.href, METERSTREAM_PREFIX: prefix, LOG_LEVEL: process.env.LOG_LEVEL ?? 'warn' }
  return {
    prefix,
    postgresUrl: url.href,
    env: own,
    config: readConfig(own),
    drop: () => admin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  }
}
