// The ingest service: MQTT → decode → route → Kafka. Wires the parts; everything it decides is elsewhere.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { TOPICS } from '#model/topics.ts'
import { type Config, readConfig } from '#runtime/config.ts'
import { startHealthServer } from '#runtime/http.ts'
import { createKafka, createProducer, ensureTopics, topicName } from '#runtime/kafka.ts'
import { type Lifecycle, runService } from '#runtime/lifecycle.ts'
import { createLog, type Log } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { createPool } from '#runtime/postgres.ts'
import { createDecoder } from './decode.ts'
import { openLessons } from './lessons.ts'
import { openMessageLedger } from './message-ledger.ts'
import { ingestMetrics } from './metrics.ts'
import { type MqttSource, openMqttSource } from './mqtt-source.ts'
import { Pipeline } from './pipeline.ts'
import { openRegistry, type Registry } from './registry.ts'
import { readClock, writeClock } from './registry-read.ts'
import { followReleases } from './releases.ts'
import { parseSettings, type Settings } from './settings.ts'

const WAIT_MS = 2_000
const CLOCK_SAVE_MS = 1_000
const DRAIN_MS_MAX = 5_000
/** A send that hangs for so long will not come back; a restart begins anew and loses nothing. */
const HUNG_SEND_MS = 300_000
const NO_STATS = {
  connected: 0,
  connections: 0,
  unacknowledged: 0,
  bytes: 0,
  stalled: false,
  received: 0,
  redelivered: 0,
  reconnects: 0,
  watchdogRestarts: 0,
}

/** Tries until it works: a server that is away at our start may come later. */
async function untilDone<T>(what: string, life: Lifecycle, log: Log, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (life.stopping) throw error
      log.warn({ waitingFor: what, error: (error as Error).message }, 'not available yet')
      await sleep(WAIT_MS)
    }
  }
}

function readSettings(config: Config): Settings {
  return parseSettings(config.METERSTREAM_SETTINGS === '' ? '' : readFileSync(config.METERSTREAM_SETTINGS, 'utf8'))
}

async function start(life: Lifecycle, config: Config, log: Log): Promise<void> {
  const settings = readSettings(config)
  let source: MqttSource | undefined
  let pipeline: Pipeline | undefined
  let registry: Registry | undefined
  const metricsRegistry = createRegistry('ingest')
  const metrics = ingestMetrics(
    metricsRegistry,
    () => source?.stats() ?? NO_STATS,
    () => pipeline?.state() ?? { queued: 0, queueAgeS: 0, logTimeMs: undefined },
  )
  const health = await startHealthServer({
    host: config.HTTP_HOST,
    port: config.INGEST_PORT,
    registry: metricsRegistry,
    live: () => (pipeline?.sendingMs() ?? 0) < HUNG_SEND_MS,
    ready() {
      const stats = source?.stats() ?? NO_STATS
      const sendingMs = pipeline?.sendingMs() ?? 0
      return {
        ok: !life.stopping && stats.connections > 0 && stats.connected === stats.connections && sendingMs < WAIT_MS * 5,
        details: {
          mqtt: `${stats.connected} of ${stats.connections} connections`,
          kafka: sendingMs < WAIT_MS * 5 ? 'ok' : `no acknowledgement for ${Math.round(sendingMs / 1000)} s`,
          registry: registry === undefined ? 'not read yet' : `current ${Math.round(registry.ageMs() / 1000)} s ago`,
        },
      }
    },
  })
  life.onStop('health', () => health.close())

  const pool = createPool({ url: config.POSTGRES_URL, log, name: 'ingest', max: 4 })
  life.onStop('postgres', () => pool.end())
  const kafka = createKafka(config, log, `meterstream-${config.INGEST_INSTANCE}`)
  const { telemetryPartitions, clusterId } = await untilDone('kafka', life, log, () => ensureTopics(kafka, config))
  const producer = await untilDone('kafka', life, log, () => createProducer(kafka))
  life.onStop('kafka', () => producer.close())

  const cluster = `${clusterId}/${config.METERSTREAM_PREFIX}`
  const simulated = config.METERSTREAM_CLOCK === 'messages'
  const startMs = simulated ? await untilDone('postgres', life, log, () => readClock(pool, cluster, config.INGEST_INSTANCE)) : undefined
  const followed = await untilDone('postgres', life, log, () =>
    openRegistry({
      pool,
      url: config.POSTGRES_URL,
      cluster,
      timezone: config.METERSTREAM_TIMEZONE,
      settings,
      log,
      onChange: () => pipeline?.registryChanged(),
    }),
  )
  registry = followed
  life.onStop('registry', () => followed.close())

  const decode = createDecoder(settings)
  const lessons = await untilDone('postgres', life, log, () =>
    openLessons({ pool, cluster, instance: config.INGEST_INSTANCE, decode, log }),
  )
  const messages = await untilDone('postgres', life, log, () => openMessageLedger({ pool, cluster, instance: config.INGEST_INSTANCE, log }))
  const running = new Pipeline({
    decode,
    registry: followed,
    send: (records) => producer.send(records),
    lessons,
    messages,
    acknowledge: (messages) => source?.acknowledge(messages),
    collecting: () => source?.collecting() ?? false,
    clock: config.METERSTREAM_CLOCK,
    startMs,
    instance: config.INGEST_INSTANCE,
    topics: {
      telemetry: topicName(config, TOPICS.telemetry),
      quarantine: topicName(config, TOPICS.quarantine),
      crews: topicName(config, TOPICS.crews),
    },
    partitions: telemetryPartitions,
    metrics,
    log,
  })
  pipeline = running
  running.start()
  // The log is told of the registry before the first message comes.
  running.registryChanged()
  source = openMqttSource({
    config,
    settings,
    log,
    onMessage: (m) => running.push(m),
    onConnection: () => running.connectionChanged(),
    onTakenOver: () => life.stop('another ingest has our name', 1),
    pool,
    cluster,
  })
  if (simulated) saveClock(life, running, (ms) => writeClock(pool, cluster, config.INGEST_INSTANCE, ms), log)
  const opened = source
  life.onStop('pipeline', async () => {
    opened.pause()
    await running.stop(DRAIN_MS_MAX)
    await opened.close()
    await lessons.close()
    await messages.close()
  })
  const releases = followReleases({
    pool,
    url: config.POSTGRES_URL,
    log,
    decode,
    refresh: () => followed.refresh(false),
    release: (write) => running.release(write),
    count: (outcome, entries) => metrics.released(outcome, entries),
  })
  // Before the pipeline stops (last in, first out): it waits for a portion on its way.
  life.onStop('releases', () => releases.close())
  log.info({ partitions: telemetryPartitions, clock: config.METERSTREAM_CLOCK, instance: config.INGEST_INSTANCE }, 'ingest runs')
}

/** A restarted simulation ticks on from where Kafka has the log, not from its next message. */
function saveClock(life: Lifecycle, pipeline: Pipeline, save: (ms: number) => Promise<void>, log: Log): void {
  let saved: number | undefined
  const saveNow = async (): Promise<void> => {
    const ms = pipeline.durableMs
    if (ms === undefined || ms === saved) return
    try {
      await save(ms)
      saved = ms
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'cannot save the clock of the log; after a restart some ticks come again')
    }
  }
  const timer = setInterval(() => void saveNow(), CLOCK_SAVE_MS)
  life.onStop('clock', async () => {
    clearInterval(timer)
    await saveNow()
  })
}

const config = readConfig(process.env)
const log = createLog('ingest', config.LOG_LEVEL)
await runService({ log }, (life) => start(life, config, log))
