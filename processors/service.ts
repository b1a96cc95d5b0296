// The processors as one object: folds of the log, second stage, quarantine table. main.ts wires it to a process, tests to theirs.
import { TOPICS } from '#model/topics.ts'
import type { Config } from '#runtime/config.ts'
import { consume, createKafka, createProducer, ensureTopics, topicName } from '#runtime/kafka.ts'
import type { Lifecycle } from '#runtime/lifecycle.ts'
import type { Log } from '#runtime/log.ts'
import type { Registry } from '#runtime/metrics.ts'
import { createPool } from '#runtime/postgres.ts'
import { createQuestDb } from '#runtime/questdb.ts'
import { createMetrics, watchRunners } from './metrics.ts'
import { Editor } from './runner/editor.ts'
import { persistently } from './runner/persist.ts'
import { StageRunner } from './runner/stage.ts'
import { ZonesRunner } from './runner/zones.ts'
import type { OutTopics } from './sinks/outputs.ts'
import { quarantineEntries, storeQuarantine } from './sinks/quarantine.ts'
import { ensureQuestDbTables } from './sinks/questdb.ts'
import type { Topology } from './topology.ts'

export interface ServiceOptions {
  config: Config
  log: Log
  registry: Registry
  topology: Topology
  /** Parts register their closing here, in the order of their making. */
  life: Pick<Lifecycle, 'onStop' | 'stop'>
  owner: string
  checkpointMs?: number
  sessionTimeoutMs?: number
}

export interface Processors {
  zones: ZonesRunner
  stage: StageRunner
  /** Undefined when all is well. */
  problem(): string | undefined
}

function outTopics(config: Config): OutTopics {
  const name = (t: keyof OutTopics) => topicName(config, TOPICS[t])
  return {
    findings: name('findings'),
    summaries: name('summaries'),
    quarantine: name('quarantine'),
    live: name('live'),
    tickets: name('tickets'),
  }
}

/** Starts everything; waits for servers that are not up yet. */
export async function startProcessors(options: ServiceOptions): Promise<Processors> {
  const { config, log, registry, topology, life, owner } = options
  const persist = { log, givingUp: () => false, onProblem: () => undefined }
  const pool = createPool({ url: config.POSTGRES_URL, log, name: 'processors' })
  life.onStop('postgres', () => pool.end())
  const kafka = createKafka(config, log, 'processors')
  const { telemetryPartitions, clusterId } = await persistently('reaching Kafka', persist, () => ensureTopics(kafka, config))
  const questdb = await createQuestDb({ url: config.QUESTDB_URL, log })
  life.onStop('questdb', () => questdb.close())
  await persistently('creating QuestDB tables', persist, () => ensureQuestDbTables(questdb, config.METERSTREAM_PREFIX))
  const producer = await persistently('opening a producer', persist, () => createProducer(kafka))
  life.onStop('producer', () => producer.close())

  const topics = outTopics(config)
  const metrics = createMetrics(registry)
  const prefix = config.METERSTREAM_PREFIX
  const times = {
    ...(options.checkpointMs === undefined ? {} : { checkpointMs: options.checkpointMs }),
    ...(options.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: options.sessionTimeoutMs }),
  }
  const shared = { kafka, producer, pool, log, cluster: `${clusterId}/${prefix}`, topics, topology, owner, ...times }
  const zones = new ZonesRunner({
    ...shared,
    questdb,
    metrics: metrics.zones,
    group: `${prefix}processors`,
    telemetry: topicName(config, TOPICS.telemetry),
    tablePrefix: prefix,
    onBroken: (error) => {
      log.error({ err: error }, 'the flush cycle broke')
      life.stop('flush cycle broke', 1)
    },
  })
  const stage = new StageRunner({ ...shared, metrics: metrics.stage, group: `${prefix}processors-network`, telemetryPartitions })
  const quarantine = await consume(kafka, {
    group: `${prefix}processors-quarantine`,
    topics: [topics.quarantine],
    log,
    from: 'beginning',
    commit: 'after-batch',
    onBatch: async (batch) => {
      const { entries, unreadable } = quarantineEntries(batch.records)
      if (unreadable > 0) log.error({ unreadable }, 'records on the topic of quarantine that are none')
      await persistently('storing quarantine', { ...persist, alive: batch.heartbeat }, () => storeQuarantine(pool, entries))
      metrics.quarantined(entries.length)
    },
  })
  life.onStop('quarantine', () => quarantine.stop())
  await stage.start()
  life.onStop('second stage', () => stage.stop())
  await zones.start()
  life.onStop('zones', () => zones.stop())
  const editor = new Editor({ pool, questdb, producer, log, prefix, telemetry: topicName(config, TOPICS.telemetry) })
  editor.start()
  life.onStop('editor', () => editor.stop())
  watchRunners(registry, zones, stage)
  return {
    zones,
    stage,
    problem: () => [zones.problem, stage.problem].find((p) => p !== '') ?? (zones.joined ? undefined : 'joining the group'),
  }
}
