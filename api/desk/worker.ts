// What the desk does by itself: tells what happened (events, notices), delivers it, watches limits every minute, draws the call-back sample,
// keeps the crews' trails. Any number of processes may run it: each piece of work is taken by one of them.
import { setTimeout as sleep } from 'node:timers/promises'
import cron from 'node-cron'
import type { CrewView } from '#model/live-events.ts'
import type { Log } from '#runtime/log.ts'
import { counter, type Registry } from '#runtime/metrics.ts'
import type { Pool } from '#runtime/postgres.ts'
import { drawSamples } from './callbacks.ts'
import { keepPositions } from './crew-store.ts'
import type { Channels } from './outbox/channels.ts'
import { startDelivery } from './outbox/deliver.ts'
import { expandEvents } from './outbox/expand.ts'
import { prune } from './outbox/store.ts'
import { confirmReports } from './report-store.ts'
import { setPaces } from './rules.ts'
import { paces, sweep } from './sweep.ts'

export interface DeskWorkerOptions {
  pool: Pool
  channels: Channels
  nowMs(): number
  crews(): readonly CrewView[]
  log: Log
  registry: Registry
  /** How often the outbox and the events are looked at, ms. */
  pollMs?: number
}

export interface DeskWorker {
  stop(): Promise<void>
}

const POLL_MS = 500

export function startDeskWorker(options: DeskWorkerOptions): DeskWorker {
  const { pool, channels, nowMs, crews, log, registry, pollMs = POLL_MS } = options
  const done = counter(registry, 'meterstream_desk_timed_total', 'What time did to tickets', ['what'])
  const stop = new AbortController()
  const delivery = startDelivery({ pool, channels, nowMs, log, registry, pollMs })
  const onTicket = (
    client: Parameters<typeof confirmReports>[0],
    ticket: Parameters<typeof confirmReports>[1],
    actions: readonly string[],
  ) =>
    actions.includes('open') || actions.includes('telemetry_update') || actions.includes('telemetry_return')
      ? confirmReports(client, ticket, nowMs())
      : Promise.resolve()

  const expanding = (async () => {
    while (!stop.signal.aborted) {
      let taken = 0
      try {
        taken = await expandEvents(pool, { channels, nowMs: nowMs(), onTicket })
      } catch (error) {
        log.warn({ error: (error as Error).message }, 'events of the desk could not be told, trying again')
      }
      if (taken === 0) await sleep(pollMs, undefined, { signal: stop.signal }).catch(() => undefined) // Woken to stop.
    }
  })()

  const each = (what: string, work: () => Promise<void>) => async () => {
    try {
      await work()
    } catch (error) {
      log.warn({ what, error: (error as Error).message }, 'the desk could not do what is due, trying again')
    }
  }
  const minute = each('limits', async () => {
    setPaces(await paces(pool, nowMs()))
    const swept = await sweep(pool, nowMs())
    if (swept !== undefined) for (const what of ['escalated', 'raised', 'doubted'] as const) done.inc({ what }, swept[what])
    await keepPositions(pool, crews(), nowMs())
  })
  const quarter = each('call-backs', async () => {
    done.inc({ what: 'callbacks' }, await drawSamples(pool, nowMs()))
    await prune(pool)
  })
  // By the wall clock; what is due is decided by the log's. A simulation that runs fast is swept more often.
  const tasks = [
    cron.schedule('*/10 * * * * *', minute, { noOverlap: true }),
    cron.schedule('30 */5 * * * *', quarter, { noOverlap: true }),
  ]
  void minute()
  void quarter()
  return {
    async stop() {
      stop.abort()
      for (const task of tasks) await task.destroy()
      await expanding
      await delivery.stop()
    },
  }
}
