// The api process: the desk's consumer, the live stream, HTTP. Wires and nothing else.
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { readConfig } from '#runtime/config.ts'
import { createKafka, ensureTopics } from '#runtime/kafka.ts'
import { type Lifecycle, runService } from '#runtime/lifecycle.ts'
import { createLog } from '#runtime/log.ts'
import { counter, createRegistry } from '#runtime/metrics.ts'
import { createKeyring } from '#runtime/personal.ts'
import { createPool } from '#runtime/postgres.ts'
import { createQuestDb } from '#runtime/questdb.ts'
import { startAlarms } from './alarms/service.ts'
import { LIMITS } from './app.ts'
import { createAuth } from './auth.ts'
import { startBillingWorker } from './billing/worker.ts'
import { startDeskConsumer } from './desk/consumer.ts'
import { createChannels } from './desk/outbox/channels.ts'
import { startDeskWorker } from './desk/worker.ts'
import { startHealthChecks } from './health.ts'
import { startFeed } from './live/feed.ts'
import { createLive } from './live/live.ts'
import { buildServer } from './server.ts'

const config = readConfig(process.env)
const log = createLog('api', config.LOG_LEVEL)

await runService({ log }, async (life: Lifecycle) => {
  const auth = createAuth(config.API_TOKEN)
  const keyring = createKeyring(config.PERSONAL_DATA_KEYS)
  const registry = createRegistry('api')
  const pool = createPool({ url: config.POSTGRES_URL, log, name: 'meterstream-api', max: 20, statementTimeoutMs: 15_000 })
  life.onStop('postgres', () => pool.end())
  const questdb = await createQuestDb({ url: config.QUESTDB_URL, log })
  life.onStop('questdb', () => questdb.close())
  const kafka = createKafka(config, log, 'meterstream-api')
  await ensureTopics(kafka, config)

  const instance = randomBytes(6).toString('hex')
  const dropped = counter(registry, 'meterstream_live_dropped_total', 'Live streams ended by us, by reason', ['reason'])
  const live = createLive({ clientsMax: LIMITS.liveClients, instance, wallMs: Date.now, onDropped: (reason) => dropped.inc({ reason }) })
  const nowMs = () => live.nowMs() || Date.now()
  const feed = await startFeed({ kafka, config, pool, questdb, live, instance, nowMs, log: log.child({ part: 'live' }) })
  life.onStop('feed', () => feed.stop())
  const desk = await startDeskConsumer({ kafka, config, pool, log: log.child({ part: 'desk' }), registry })
  life.onStop('desk', () => desk.stop())
  const channels = createChannels(config, pool)
  life.onStop('channels', () => channels.close())
  const worker = startDeskWorker({ pool, channels, nowMs, crews: () => live.crews(), log: log.child({ part: 'desk' }), registry })
  life.onStop('desk worker', () => worker.stop())
  const alarms = await startAlarms({
    ...{ kafka, config, pool, registry, nowMs },
    log: log.child({ part: 'alarms' }),
    onLoad: (load) => live.setLoad(load),
  })
  life.onStop('alarms', () => alarms.stop())
  const billing = startBillingWorker({
    ...{ pool, questdb, prefix: config.METERSTREAM_PREFIX, nowMs, registry },
    log: log.child({ part: 'billing' }),
  })
  life.onStop('billing', () => billing.stop())
  const health = startHealthChecks({ pool, questdb, kafka, config, live, listening: feed.listening })
  life.onStop('health', () => health.stop())

  const app = await buildServer(
    {
      pool,
      questdb,
      prefix: config.METERSTREAM_PREFIX,
      auth,
      live,
      registry,
      log,
      nowMs,
      keyring,
      accountLinkSecret: config.ACCOUNT_LINK_SECRET || config.API_TOKEN,
      webDir: fileURLToPath(new URL('./web/dist/', import.meta.url)),
    },
    health,
  )
  life.onStop('http', () => app.close())
  // Before http: open streams would keep it from closing.
  life.onStop('live', () => live.close())
  const address = await app.listen({ host: config.HTTP_HOST, port: config.API_PORT })
  log.info({ address, docs: `${address}/docs` }, 'api listens')
})
