// Where messages come from: one shared subscription over a pool of connections, whose sessions the broker keeps while ingest is
// down; beside it a look at what the broker retains, at the start, and an end for sessions that nobody uses any more.
import type { Config } from '#runtime/config.ts'
import type { Log } from '#runtime/log.ts'
import { createMqttPool, type MqttMessage, type MqttPool, type MqttPoolOptions, type MqttStats } from '#runtime/mqtt.ts'
import type { Pool } from '#runtime/postgres.ts'
import { followSessions, openRetiring } from './left-sessions.ts'
import { defaultSources, type Settings } from './settings.ts'
import { filterCovers, filtersOverlap } from './topic-filter.ts'

export const RECEIVE_MAXIMUM = 500
/** Seven days: as long as the log itself is kept. */
const SESSION_EXPIRY_S = 7 * 86_400
/** Retained messages come at once after subscribing; the last one was long ago. */
const RETAINED_QUIET_MS = 3_000
/** Above this share of the window the broker probably holds more for us than we have. */
const WINDOW_FULL = 0.9

export interface MqttSource {
  acknowledge(messages: readonly MqttMessage[]): void
  stats(): MqttStats
  /** All connections are up and none is kept waiting by us. */
  collecting(): boolean
  pause(): void
  close(): Promise<void>
}

export interface MqttSourceOptions {
  config: Pick<
    Config,
    'METERSTREAM_PREFIX' | 'METERSTREAM_CLOCK' | 'MQTT_URL' | 'MQTT_USERNAME' | 'MQTT_PASSWORD' | 'MQTT_POOL' | 'INGEST_INSTANCE'
  >
  settings: Settings
  log: Log
  onMessage(message: MqttMessage): void
  onConnection(): void
  /** Another process has our name. */
  onTakenOver(): void
  /** Where instances are remembered: database, and Kafka cluster id with prefix. */
  pool: Pool
  cluster: string
  /** Seconds without a sign of life after which an instance's sessions are emptied and ended by another. */
  staleS?: number
}

/**
 * The filters to subscribe to: those that another one covers are left out, because the broker would send their messages twice. Where two
 * overlap in part a message can still come twice; the folds recognise it, and who configured it is told. (The usual topics of all formats
 * overlap only in names that nobody uses.)
 */
export function subscriptionFilters(settings: Settings, log: Pick<Log, 'warn'>): string[] {
  const topics = [...new Set(settings.sources.map((s) => s.topic))]
  const kept = topics.filter((t) => !topics.some((o) => o !== t && filterCovers(o, t)))
  const usual = new Set(defaultSources().map((s) => s.topic))
  for (const [i, a] of kept.entries()) {
    for (const b of kept.slice(i + 1)) {
      if (filtersOverlap(a, b) && !(usual.has(a) && usual.has(b)))
        log.warn({ filters: [a, b] }, 'two sources overlap: a message under both comes twice')
    }
  }
  return kept
}

export function openMqttSource(options: MqttSourceOptions): MqttSource {
  const { config, settings, log } = options
  const ordered = config.METERSTREAM_CLOCK === 'messages'
  const connections = ordered ? 1 : config.MQTT_POOL
  const group = `${config.METERSTREAM_PREFIX}meterstream`
  const common = {
    url: config.MQTT_URL,
    username: config.MQTT_USERNAME,
    password: config.MQTT_PASSWORD,
    clientId: `${group}-${config.INGEST_INSTANCE}`,
    log,
    onMessage: options.onMessage,
  }
  const topics = subscriptionFilters(settings, log)
  const filters = topics.map((f) => `$share/${group}/${f}`)
  const pool = createMqttPool({
    ...common,
    filters,
    connections,
    qos: 1,
    receiveMaximum: RECEIVE_MAXIMUM,
    sessionExpiryS: SESSION_EXPIRY_S,
    watchdog: true,
    onConnection: options.onConnection,
    onTakenOver: options.onTakenOver,
  })
  // Retained messages do not come by a shared subscription. In a simulation the order of messages is all, and there is one connection.
  const retained = ordered ? undefined : readRetained(common, topics)
  const left = followSessions({
    pool: options.pool,
    cluster: options.cluster,
    instance: config.INGEST_INSTANCE,
    connections,
    log,
    staleS: options.staleS,
    retire: (instance, first, count) =>
      openRetiring({
        ...common,
        clientId: `${group}-${instance}`,
        filters,
        qos: 1,
        sessionExpiryS: SESSION_EXPIRY_S,
        firstNumber: first,
        connections: count,
      }),
  })
  return {
    acknowledge: (messages) => pool.acknowledge(messages),
    stats: () => pool.stats(),
    collecting() {
      const s = pool.stats()
      return s.connected === s.connections && !s.stalled && s.unacknowledged < s.connections * RECEIVE_MAXIMUM * WINDOW_FULL
    },
    pause() {
      pool.pause()
    },
    async close() {
      await Promise.all([pool.close(), retained?.close(), left.close()])
    },
  }
}

type Common = Pick<MqttPoolOptions, 'url' | 'clientId' | 'log' | 'onMessage'>

/**
 * Brings once, at the start, what the broker keeps: the status of gateways, and what some formats must know of their devices. A plain
 * subscription also brings everything that is published meanwhile; that comes by the shared one as well and is dropped here.
 */
function readRetained(common: Common, filters: readonly string[]): { close(): Promise<void> } {
  let lastMs = Number.POSITIVE_INFINITY
  let closed: Promise<void> | undefined
  const view: MqttPool = createMqttPool({
    ...common,
    clientId: `${common.clientId}-retained`,
    filters,
    connections: 1,
    qos: 0,
    sessionExpiryS: 0,
    onConnection(connected) {
      if (connected) lastMs = Date.now()
    },
    onMessage(message) {
      if (!message.retained) {
        view.acknowledge([message])
        return
      }
      lastMs = Date.now()
      common.onMessage(message)
    },
  })
  const close = (): Promise<void> => {
    clearInterval(timer)
    closed ??= view.close()
    return closed
  }
  const timer = setInterval(() => {
    if (Date.now() - lastMs > RETAINED_QUIET_MS) void close()
  }, 500)
  return { close }
}
