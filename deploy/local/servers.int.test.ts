// The four servers really start, die and come back with their data, and never outlive their parent.
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import mqtt from 'mqtt'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { identityOf } from './process.ts'
import { SERVER_NAMES, type ServerName, type Servers, startServers } from './servers.ts'

let dir: string
let servers: Servers
const exits: string[] = []

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'meterstream-servers-'))
  chmodSync(dir, 0o755)
  const t = performance.now()
  servers = await startServers({ dir, ports: 'auto', onExit: (name) => exits.push(name) })
  console.log(`first start ${Math.round(performance.now() - t)} ms`)
})

afterAll(async () => {
  await servers?.stop()
  rmSync(dir, { recursive: true, force: true })
})

async function sql(text: string): Promise<unknown[][]> {
  const response = await fetch(`${servers.questdb.url}/exec?query=${encodeURIComponent(text)}`)
  const body = (await response.json()) as { dataset?: unknown[][]; error?: string }
  if (body.error !== undefined) throw new Error(body.error)
  return body.dataset ?? []
}

async function postgres(text: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: servers.postgres.url })
  await client.connect()
  try {
    return await client.query(text)
  } finally {
    await client.end()
  }
}

async function topics(create?: string): Promise<string[]> {
  const kafka = new kafkajs.Kafka({ brokers: [servers.kafka.brokers], logLevel: kafkajs.logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  try {
    if (create !== undefined) await admin.createTopics({ topics: [{ topic: create, numPartitions: 2 }], waitForLeaders: true })
    return await admin.listTopics()
  } finally {
    await admin.disconnect()
  }
}

/** Publishes a retained message, or reads it back. */
async function retained(payload?: string): Promise<string> {
  const client = await mqtt.connectAsync(servers.mqtt.url)
  try {
    if (payload !== undefined) {
      await client.publishAsync('kept', payload, { qos: 1, retain: true })
      return payload
    }
    const got = new Promise<string>((resolve) => client.once('message', (_topic, body) => resolve(body.toString())))
    await client.subscribeAsync('kept', { qos: 1 })
    return await got
  } finally {
    await client.endAsync()
  }
}

test('each keeps its data through a kill -9 and a restart', async () => {
  await topics('kept')
  await sql('CREATE TABLE kept (ts TIMESTAMP, v INT) TIMESTAMP(ts) PARTITION BY DAY WAL')
  await sql("INSERT INTO kept VALUES ('2026-01-01T00:00:00Z', 7)")
  await postgres('CREATE TABLE kept AS SELECT 7 AS v')
  await retained('seven')
  // mosquitto saves its state each 5 s.
  await sleep(6500)
  for (const name of SERVER_NAMES) {
    const before = servers[name].pid
    servers.kill(name, 'SIGKILL')
    const t = performance.now()
    await servers.start(name)
    console.log(`${name} back after ${Math.round(performance.now() - t)} ms`)
    expect(servers[name].pid).not.toBe(before)
    expect(identityOf(before)).toBeUndefined()
  }
  expect(exits.sort()).toEqual([...SERVER_NAMES].sort())
  expect(await topics()).toContain('kept')
  await expect.poll(() => sql('SELECT v FROM kept'), { timeout: 10_000 }).toEqual([[7]])
  expect((await postgres('SELECT v FROM kept')).rows).toEqual([{ v: 7 }])
  expect(await retained()).toBe('seven')
})

test('an orderly stop leaves nothing running, and a warm start finds the data', async () => {
  const pids = SERVER_NAMES.map((n) => servers[n].pid)
  let t = performance.now()
  await servers.stop()
  console.log(`stop ${Math.round(performance.now() - t)} ms`)
  expect(pids.map(identityOf)).toEqual(pids.map(() => undefined))
  t = performance.now()
  servers = await startServers({ dir, ports: 'auto' })
  console.log(`warm start ${Math.round(performance.now() - t)} ms`)
  expect(await topics()).toContain('kept')
  expect(await retained()).toBe('seven')
})

test('a server whose parent is killed -9 is ended', async () => {
  const own = mkdtempSync(join(tmpdir(), 'meterstream-orphans-'))
  chmodSync(own, 0o755)
  const only: ServerName[] = ['postgres', 'mqtt']
  const script = `
    const { startServers } = await import(${JSON.stringify(new URL('./servers.ts', import.meta.url).href)})
    const s = await startServers({ dir: ${JSON.stringify(own)}, ports: 'auto', only: ${JSON.stringify(only)} })
    process.stdout.write(JSON.stringify([s.postgres.pid, s.mqtt.pid]) + '\\n')
    setInterval(() => {}, 1000)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const pids = JSON.parse(await new Promise<string>((resolve) => parent.stdout.once('data', (d) => resolve(String(d))))) as number[]
    expect(pids.map((p) => identityOf(p) !== undefined)).toEqual([true, true])
    parent.kill('SIGKILL')
    await expect.poll(() => pids.map(identityOf), { timeout: 15_000 }).toEqual([undefined, undefined])
  } finally {
    parent.kill('SIGKILL')
    rmSync(own, { recursive: true, force: true })
  }
})
