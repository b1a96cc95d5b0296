// Sessions that nobody uses any more. The broker goes on giving a kept session its share of messages: after a pool was made smaller,
// or an instance was given up for good, they would wait there for nobody. So instances are remembered with their connections and a
// sign of life, and what is left over is taken over, emptied and ended.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#runtime/log.ts'
import { createMqttPool, type MqttPool, type MqttPoolOptions } from '#runtime/mqtt.ts'
import type { Pool } from '#runtime/postgres.ts'

const SIGN_OF_LIFE_MS = 30_000
/** Longer than any restart or upgrade takes; its messages wait that long. */
const STALE_S = 600
/** A session is empty when it brought nothing for so long. */
const QUIET_MS = 3_000

export interface Retiring {
  /** Emptied, ended. False: it was interrupted, or its owner came back; what it holds stays with the broker. */
  done: Promise<boolean>
  stop(): Promise<void>
}

export interface FollowOptions {
  pool: Pool
  cluster: string
  instance: string
  connections: number
  log: Log
  staleS?: number | undefined
  retire(instance: string, first: number, count: number): Retiring
}

/** Keeps our own sign of life, and looks after what others have left, until closed. */
export function followSessions(o: FollowOptions): { close(): Promise<void> } {
  const { log } = o
  let closed = false
  let current: Retiring | undefined
  let had = 0
  const retire = async (instance: string, first: number, count: number): Promise<boolean> => {
    if (closed || count <= 0) return false
    log.info({ instance, first, count }, 'emptying sessions that nobody uses')
    current = o.retire(instance, first, count)
    const done = await current.done
    current = undefined
    return done
  }
  const once = async (): Promise<void> => {
    if (had === 0) had = await knownConnections(o)
    if (had > o.connections) {
      if (!(await retire(o.instance, o.connections, had - o.connections))) return
    }
    had = o.connections
    await signOfLife(o)
    const left = await claimLeft(o)
    if (left !== undefined && (await retire(left.instance, 0, left.connections))) await forget(o, left.instance)
  }
  const end = Promise.withResolvers<void>()
  const loop = (async () => {
    while (!closed) {
      await once().catch((error: Error) => log.warn({ error: error.message }, 'cannot look after left sessions now'))
      await Promise.race([sleep(SIGN_OF_LIFE_MS, undefined, { ref: false }), end.promise])
    }
  })()
  return {
    async close() {
      closed = true
      end.resolve()
      await current?.stop()
      await loop
    },
  }
}

async function knownConnections({ pool, cluster, instance, connections }: FollowOptions): Promise<number> {
  const { rows } = await pool.query<{ connections: number }>(
    'SELECT connections FROM ingest_instances WHERE cluster = $1 AND instance = $2',
    [cluster, instance],
  )
  return rows[0]?.connections ?? connections
}

async function signOfLife({ pool, cluster, instance, connections }: FollowOptions): Promise<void> {
  await pool.query(
    `INSERT INTO ingest_instances (cluster, instance, connections) VALUES ($1, $2, $3)
     ON CONFLICT (cluster, instance) DO UPDATE SET connections = excluded.connections, seen_at = now()`,
    [cluster, instance, connections],
  )
}

/** One instance without a sign of life; ours for as long as the claim lasts, so that no other instance begins as well. */
async function claimLeft({
  pool,
  cluster,
  instance,
  staleS = STALE_S,
}: FollowOptions): Promise<{ instance: string; connections: number } | undefined> {
  const { rows } = await pool.query<{ instance: string; connections: number }>(
    `UPDATE ingest_instances SET seen_at = now() WHERE cluster = $1 AND instance = (
       SELECT instance FROM ingest_instances
       WHERE cluster = $1 AND instance <> $2 AND seen_at < now() - make_interval(secs => $3) ORDER BY seen_at LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING instance, connections`,
    [cluster, instance, staleS],
  )
  return rows[0]
}

async function forget({ pool, cluster }: FollowOptions, instance: string): Promise<void> {
  await pool.query('DELETE FROM ingest_instances WHERE cluster = $1 AND instance = $2', [cluster, instance])
}

/** Takes sessions over, unsubscribes them, passes on what they hold, and ends them when they are quiet. */
export function openRetiring(options: Omit<MqttPoolOptions, 'retiring' | 'onConnection'>, quietMs = QUIET_MS): Retiring {
  let lastMs = Date.now()
  let interrupted = false
  const pool: MqttPool = createMqttPool({
    ...options,
    retiring: true,
    onMessage(message) {
      lastMs = Date.now()
      options.onMessage(message)
    },
    onConnection(connected) {
      if (connected) lastMs = Date.now()
      // Its owner came back, or the broker went: in either case not now.
      else interrupted = true
    },
  })
  const empty = (): boolean => {
    const s = pool.stats()
    return s.connected === s.connections && s.unacknowledged === 0 && Date.now() - lastMs > quietMs
  }
  const run = async (): Promise<boolean> => {
    while (!interrupted && !empty()) await sleep(100)
    const done = !interrupted
    await pool.close({ forget: done })
    return done
  }
  const done = run()
  return {
    done,
    async stop() {
      interrupted = true
      await done
    },
  }
}
