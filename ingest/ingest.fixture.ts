// For integration tests: an ingest process, a small registry, and everything that a topic holds.
import { type ChildProcess, spawn } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Account, AssetFeature, AssetProperties, Operation } from '#model/asset.ts'
import { decodeRecord, type LogRecord } from '#model/telemetry.ts'
import { consume, createKafka, topicOffsets } from '#runtime/kafka.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { importRegistry } from '../deploy/import.ts'

export const feature = (properties: object): AssetFeature => ({
  type: 'Feature',
  geometry: null,
  properties: properties as AssetProperties,
})

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function setRegistry(
  postgresUrl: string,
  features: AssetFeature[],
  operations: Operation[] = [],
  accounts: Account[] = [],
): Promise<void> {
  const pool = createPool({ url: postgresUrl, log: silentLog, max: 1 })
  try {
    await importRegistry(pool, { meta: { timezone: 'UTC', warmupUntilMs: 0 }, features, accounts, operations })
  } finally {
    await pool.end()
  }
}

export interface IngestProcess {
  child: ChildProcess
  url: string
  /** SIGTERM, or another signal; resolves when gone. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts `ingest/main.ts`; resolves when it is ready. */
export async function startIngest(env: Record<string, string>): Promise<IngestProcess> {
  const port = await freePort()
  const child = spawn(process.execPath, ['--disable-warning=TimeoutNegativeWarning', join(import.meta.dirname, 'main.ts')], {
    env: { ...process.env, LOG_LEVEL: 'warn', ...env, INGEST_PORT: String(port) },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const url = `http://127.0.0.1:${port}`
  for (const began = Date.now(); ; ) {
    if (child.exitCode !== null) throw new Error(`ingest ended with code ${child.exitCode}`)
    const ready = await fetch(`${url}/health/ready`).then(
      (r) => r.ok,
      () => false,
    )
    if (ready) break
    if (Date.now() - began > 60_000) throw new Error('ingest was not ready within 60 s')
    await sleep(100)
  }
  return {
    child,
    url,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
  }
}

export interface TopicRecord {
  key: string
  partition: number
  offset: number
  value: Buffer
}

/** Everything the topic holds now, in order of offset within a partition. */
export async function readTopic(brokers: string, topic: string): Promise<TopicRecord[]> {
  const kafka = createKafka({ KAFKA_BROKERS: brokers }, silentLog, 'test-reader')
  const ends = new Map((await topicOffsets(kafka, topic)).filter((o) => o.high > o.low).map((o) => [o.partition, o.high]))
  const records: TopicRecord[] = []
  if (ends.size === 0) return records
  const all = Promise.withResolvers<void>()
  const consumer = await consume(kafka, {
    group: `test-reader-${process.pid}-${Math.random().toString(36).slice(2)}`,
    topics: [topic],
    log: silentLog,
    from: 'beginning',
    commit: 'manual',
    async onBatch({ partition, records: batch }) {
      for (const r of batch) records.push({ key: r.key, partition, offset: r.offset, value: Buffer.from(r.value) })
      const last = batch.at(-1)
      if (last !== undefined && last.offset + 1 >= (ends.get(partition) ?? 0)) ends.delete(partition)
      if (ends.size === 0) all.resolve()
    },
  })
  await all.promise
  await consumer.stop()
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

export async function readLog(brokers: string, topic: string): Promise<(LogRecord & { partition: number })[]> {
  return (await readTopic(brokers, topic)).map((r) => ({ ...decodeRecord(r.key, r.value), partition: r.partition }))
}
