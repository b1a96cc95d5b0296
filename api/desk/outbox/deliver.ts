// Takes messages out of the outbox, every lane on its own: one that times out or answers 500 for a day holds up nobody else. A lane that
// fails again and again is only probed, so that its messages do not use up their attempts while their receiver is down.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#runtime/log.ts'
import { type Counter, counter, gauge, type Registry } from '#runtime/metrics.ts'
import type { Pool } from '#runtime/postgres.ts'
import { waitMs } from './backoff.ts'
import type { Channels } from './channels.ts'
import { claim, lanesDue, type Message, markFailed, markSent } from './store.ts'

export interface DeliveryOptions {
  pool: Pool
  channels: Channels
  /** The log's clock, for quiet hours. */
  nowMs(): number
  log: Log
  registry: Registry
  /** How often lanes are looked at, ms. */
  pollMs?: number
  random?: () => number
}

/** Messages of a lane in the air at once. */
const AT_ONCE = 8
/** Lanes served at once; further ones wait their turn. */
const LANES_MAX = 64
/** A claimed message is another process's after this: longer than any channel waits. */
const LEASE_S = 60
const POLL_MS = 1_000
/** After so many failures in a row a lane is probed with one message at a time, … */
const PROBE_AFTER = 5
/** … at most this seldom. */
const PROBE_MS = [5_000, 15_000, 60_000] as const

interface Lane {
  failures: number
  quietUntil: number
  busy: boolean
}

export function startDelivery(options: DeliveryOptions): { stop(): Promise<void> } {
  const { pool, channels, nowMs, log, registry, pollMs = POLL_MS, random = Math.random } = options
  const counted: Counter<'lane' | 'result'> = counter(
    registry,
    'meterstream_outbox_attempts_total',
    'Attempts to deliver by lane and result',
    ['lane', 'result'],
  )
  const waiting = gauge(registry, 'meterstream_outbox_messages', 'Messages in the outbox by state', ['state'])
  const lanes = new Map<string, Lane>()
  const running = new Set<Promise<void>>()
  let stopped = false
  let looked = 0

  const label = (lane: string) => (lane.startsWith('hub:') ? 'hub' : lane)

  async function one(lane: Lane, m: Message): Promise<void> {
    const sent = await channels.send(m)
    if (sent.ok) {
      lane.failures = 0
      counted.inc({ lane: label(m.lane), result: 'sent' })
      await markSent(pool, m.id)
      return
    }
    if (sent.cannot === true || sent.gone === true) {
      counted.inc({ lane: label(m.lane), result: 'given_up' })
      await markFailed(pool, m.id, sent.error, undefined)
      return
    }
    lane.failures += 1
    const wait = waitMs(m.attempts, random(), sent.askedMs)
    counted.inc({ lane: label(m.lane), result: wait === undefined ? 'given_up' : 'failed' })
    if (wait === undefined)
      log.error({ message: m.id, lane: label(m.lane), error: sent.error }, 'a message could not be delivered and was given up')
    await markFailed(pool, m.id, sent.error, wait)
  }

  async function serve(name: string, lane: Lane): Promise<void> {
    for (;;) {
      const probing = lane.failures >= PROBE_AFTER
      const due = await claim(pool, name, { limit: probing ? 1 : AT_ONCE, leaseS: LEASE_S, logMs: nowMs() })
      if (due.length === 0) return
      const before = lane.failures
      await Promise.all(due.map((m) => one(lane, m)))
      if (lane.failures >= PROBE_AFTER && lane.failures > before) {
        const step = Math.min(PROBE_MS.length - 1, Math.floor((lane.failures - PROBE_AFTER) / AT_ONCE))
        lane.quietUntil = Date.now() + (PROBE_MS[step] as number)
        if (before < PROBE_AFTER) log.warn({ lane: label(name) }, 'a receiver does not take messages, it is only probed from now on')
        return
      }
      if (stopped) return
    }
  }

  async function look(): Promise<void> {
    for (const name of await lanesDue(pool, nowMs())) {
      const lane = lanes.get(name) ?? { failures: 0, quietUntil: 0, busy: false }
      lanes.set(name, lane)
      if (lane.busy || Date.now() < lane.quietUntil || running.size >= LANES_MAX) continue
      lane.busy = true
      const work = serve(name, lane)
        .catch((error: Error) => log.warn({ lane: label(name), error: error.message }, 'a lane of the outbox stopped, trying again'))
        .finally(() => {
          lane.busy = false
          running.delete(work)
        })
      running.add(work)
    }
    if (looked++ % 30 === 0) {
      const { rows } = await pool.query<{ state: string; n: number }>(
        "SELECT state, count(*) AS n FROM outbox WHERE state IN ('waiting', 'dead') GROUP BY state",
      )
      waiting.reset()
      for (const state of ['waiting', 'dead']) waiting.set({ state }, rows.find((r) => r.state === state)?.n ?? 0)
    }
  }

  const stop = new AbortController()
  const loop = (async () => {
    while (!stopped) {
      await look().catch((error: Error) => log.warn({ error: error.message }, 'the outbox cannot be read, trying again'))
      await sleep(pollMs, undefined, { signal: stop.signal }).catch(() => undefined) // Woken to stop.
    }
  })()
  return {
    async stop() {
      stopped = true
      stop.abort()
      await loop
      await Promise.all(running)
    },
  }
}
