// The processors against real Kafka, QuestDB and PostgreSQL: live equals in-process, a kill loses and doubles nothing, a zombie stays silent.
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { encodeControl, type LogRecord } from '#model/telemetry.ts'
import { TOPICS } from '#model/topics.ts'
import { createProducer, topicName } from '#runtime/kafka.ts'
import { readDataSet } from '../deploy/dataset.ts'
import { dataSetLog } from '../deploy/dataset-log.ts'
import { startTestServers, type TestServers } from '../deploy/local/test-servers.ts'
import { parseSettings } from '../ingest/settings.ts'
import { PLAIN_TOPOLOGY } from './processors.fixture.ts'
import { acquire, encodeState, LostPartition, save } from './sinks/checkpoints.ts'
import {
  aSystem,
  countOf,
  expectSaid,
  expectStored,
  inProcess,
  PARTITIONS,
  readTopic,
  run,
  spawnProcessors,
  syntheticLog,
  until,
} from './system.fixture.ts'
import { TOPOLOGY } from './topology.ts'
import { START_MS } from './zone-fold.fixture.ts'

describe('processors', () => {
  let servers: TestServers
  beforeAll(async () => {
    servers = await startTestServers()
  })

  test('the log through Kafka gives byte for byte what it gives in-process', async () => {
    const system = await aSystem(await servers.isolate())
    const log = syntheticLog()
    const expected = inProcess(log, PLAIN_TOPOLOGY)
    expect(expected.findings.length).toBeGreaterThan(100)
    expect(expected.tickets.length).toBeGreaterThan(0)
    const { life } = await run(system, PLAIN_TOPOLOGY)
    // In pieces, so that checkpoints and flushes fall anywhere.
    for (let i = 0; i < log.length; i += 700) await system.publish(log.slice(i, i + 700))
    await system.settled()
    await expectSaid(system, expected)
    await expectStored(system, expected.counts)
    const refused = await readTopic(system.kafka, topicName(system.space.config, TOPICS.quarantine), `${system.space.prefix}check-q`)
    const ids = new Set(refused.map((l) => (JSON.parse(l) as { id: string }).id))
    await until('quarantine', async () => (await system.pool.query('SELECT count(*)::int n FROM quarantine')).rows[0].n === ids.size)
    expect(life.problem).toBeUndefined()
    await life.close()
  })

  test('kill -9 in the midst of the log, twice, loses nothing and doubles nothing', async () => {
    const system = await aSystem(await servers.isolate())
    const log = syntheticLog()
    const expected = inProcess(log, PLAIN_TOPOLOGY)
    let child = spawnProcessors(system)
    await once(child.stdout as NodeJS.ReadableStream, 'data')
    for (let i = 0, piece = 0; i < log.length; i += 400, piece++) {
      await system.publish(log.slice(i, i + 400))
      await sleep(200)
      if (piece === 2 || piece === 5) {
        child.kill('SIGKILL')
        await once(child, 'exit')
        child = spawnProcessors(system)
      }
    }
    await system.settled()
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    expect(code).toBe(0)
    await expectSaid(system, expected)
    await expectStored(system, expected.counts)
  })

  test('two processes share the partitions, and one takes over when the other goes', async () => {
    const system = await aSystem(await servers.isolate())
    const log = syntheticLog()
    const expected = inProcess(log, PLAIN_TOPOLOGY)
    const first = await run(system, PLAIN_TOPOLOGY, 'first')
    await system.publish(log.slice(0, 900))
    const second = await run(system, PLAIN_TOPOLOGY, 'second')
    await system.publish(log.slice(900, 2000))
    await sleep(3_000)
    await first.life.close()
    await system.publish(log.slice(2000))
    await system.settled()
    await second.life.close()
    await expectSaid(system, expected)
    await expectStored(system, expected.counts)
  })

  test('who lost a partition cannot save over its successor', async () => {
    const system = await aSystem(await servers.isolate())
    const at = { stage: 'zones', partition: 3, cluster: 'c' } as const
    const checkpoint = (epoch: number, nextOffset: number) => ({
      partition: 3,
      epoch,
      cluster: 'c',
      nextOffset,
      clockMs: nextOffset,
      state: encodeState({ clockMs: nextOffset }),
      zones: [],
      ledger: [],
      ruleCounts: [],
      recalculations: [],
      days: [],
    })
    const old = await acquire(system.pool, { ...at, owner: 'old' })
    await save(system.pool, 'zones', checkpoint(old.epoch, 10))
    const successor = await acquire(system.pool, { ...at, owner: 'successor' })
    expect(successor).toMatchObject({ epoch: old.epoch + 1, nextOffset: 10, state: { clockMs: 10 } })
    await expect(save(system.pool, 'zones', checkpoint(old.epoch, 20))).rejects.toThrow(LostPartition)
    await save(system.pool, 'zones', checkpoint(successor.epoch, 30))
    const third = await acquire(system.pool, { ...at, owner: 'third', cluster: 'other' })
    expect(third).toMatchObject({ nextOffset: undefined, state: { clockMs: 30 } })
  })

  test('a zombie sends nothing more', async () => {
    const system = await aSystem(await servers.isolate())
    const log = syntheticLog(6)
    const { processors, life } = await run(system, PLAIN_TOPOLOGY)
    await system.publish(log)
    await system.settled()
    const before = await countOf(system, 'readings')
    const held = [...processors.zones.partitions.keys()]
    expect(held).toHaveLength(PARTITIONS)
    // Someone else takes all partitions over behind its back.
    await system.pool.query("UPDATE checkpoints SET epoch = epoch + 1, owner = 'other'")
    await system.publish(syntheticLog(12).slice(log.length))
    await until('letting go', async () => processors.zones.partitions.size === 0)
    await sleep(1_000)
    expect(await countOf(system, 'readings')).toBe(before)
    await life.close()
  })

  test('a record that is none is quarantined and the rest goes on', async () => {
    const system = await aSystem(await servers.isolate())
    const { life } = await run(system, PLAIN_TOPOLOGY)
    const log = syntheticLog(2)
    await system.publish(log.slice(0, 20))
    const producer = await createProducer(system.kafka)
    await producer.send([
      { topic: system.telemetry, key: 'A', value: 'not a record' },
      { topic: system.telemetry, key: 'A', value: encodeControl({ kind: 'zone', zone: 'A', receivedAtMs: START_MS } as never) },
    ])
    await producer.close()
    await system.publish(log.slice(20))
    await system.settled()
    await until(
      'quarantine',
      async () => (await system.pool.query("SELECT count(*)::int n FROM quarantine WHERE format = 'log'")).rows[0].n === 2,
    )
    await expectSaid(system, inProcess(log, PLAIN_TOPOLOGY))
    await life.close()
  })

  // A week of warm-up and two days after it.
  const sets = [
    { name: 'water', endMs: Date.UTC(2025, 2, 12) },
    { name: 'power', endMs: Date.UTC(2025, 9, 29) },
  ]
  for (const { name, endMs } of sets) {
    const dir = `../shared/data/${name}`
    test.skipIf(!existsSync(dir))(
      `nine days of the data set ${name}, all detectors: the findings and tickets of the backtest`,
      async () => {
        const system = await aSystem(await servers.isolate())
        const log: LogRecord[] = []
        for await (const records of dataSetLog(await readDataSet(dir), parseSettings('')).records()) {
          log.push(...records)
          const last = records.at(-1)
          if (last?.kind === 'data' && (last.readings[0]?.receivedAtMs ?? 0) > endMs) break
        }
        const expected = inProcess(log, TOPOLOGY)
        const { life } = await run(system, TOPOLOGY)
        for (let i = 0; i < log.length; i += 2_000) await system.publish(log.slice(i, i + 2_000))
        await system.settled(240_000)
        await expectSaid(system, expected)
        await life.close()
      },
      600_000,
    )
  }
})
