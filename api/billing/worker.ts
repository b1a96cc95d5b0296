// What billing does by itself, every 15 seconds by node-cron: publishes days into the feed, looks again at held ones, closes periods that are
// due on the utility's calendar, opens and ends billing tickets. What is due is decided by the log's clock, so a simulation closes its
// months as fast as they pass. Any number of processes may run it: advisory locks let one at a time do each piece of work.
import cron from 'node-cron'
import { localDate } from '#model/time.ts'
import type { Log } from '#runtime/log.ts'
import { counter, gauge, type Registry } from '#runtime/metrics.ts'
import { type Pool, tx } from '#runtime/postgres.ts'
import { registryMeta } from '../queries/assets.ts'
import type { SeriesStore } from '../queries/series.ts'
import { estimatedTooLong, exchangeUnrecorded, gateNotMet, highBillAhead, tariffProblems } from './cause-finders.ts'
import { saveCauses, tellCauses } from './cause-store.ts'
import type { Cause, CauseKind } from './causes.ts'
import { closeDue } from './closer.ts'
import { publishPending, reviewHeld } from './publisher.ts'

export interface BillingWorkerOptions extends SeriesStore {
  pool: Pool
  nowMs(): number
  log: Log
  registry: Registry
  /** node-cron pattern; tests run `once` instead. */
  pattern?: string
}

export interface BillingWorker {
  /** Does all that is due now. */
  once(): Promise<void>
  stop(): Promise<void>
}

/** Publications of one run: with more waiting the next run goes on. */
const PUBLISH_ROUNDS = 200
/** A look over a month of all registers: seconds with a hundred thousand meters. */
const DAILY_STATEMENT_MS = 120_000

export function startBillingWorker(options: BillingWorkerOptions): BillingWorker {
  const { pool, log, registry } = options
  const did = counter(registry, 'meterstream_billing_total', 'Entries published and held, documents closed, causes changed', ['what'])
  const failed = counter(registry, 'meterstream_billing_failures_total', 'Pieces of billing work that failed and are tried again', ['what'])
  gauge(registry, 'meterstream_billing_held', 'Revisions that a quality gate holds back', [], async function () {
    const { rows } = await pool.query<{ n: number }>('SELECT count(*) AS n FROM billing_held')
    this.set(rows[0]?.n ?? 0)
  })
  const timezone = async () => (await registryMeta(pool)).timezone || 'UTC'
  const parts: Record<string, () => Promise<void>> = {
    publish: async () => {
      for (let i = 0; i < PUBLISH_ROUNDS; i++) {
        const p = await publishPending(pool)
        did.inc({ what: 'published' }, p.published)
        did.inc({ what: 'held' }, p.held)
        if (p.looked === 0) break
      }
      did.inc({ what: 'released' }, (await reviewHeld(pool, options.nowMs())).released)
    },
    close: async () => {
      const r = await closeDue({ pool, questdb: options.questdb, prefix: options.prefix, timezone }, options.nowMs())
      did.inc({ what: 'closed' }, r.closed)
      if (r.done.length > 0) log.info({ periods: r.done }, 'billing periods closed')
    },
    causes: async () => {
      did.inc({ what: 'causes' }, await lookForCauses(options, await timezone()))
      await tellCauses(pool)
    },
  }
  let running: Promise<void> = Promise.resolve()
  const once = async () => {
    for (const [what, work] of Object.entries(parts)) {
      try {
        await work()
      } catch (error) {
        failed.inc({ what })
        log.warn({ what, error: (error as Error).message }, 'billing could not do what is due, trying again')
      }
    }
  }
  const task = cron.schedule(options.pattern ?? '*/15 * * * * *', () => (running = once()), { noOverlap: true })
  return {
    once,
    async stop() {
      await task.destroy()
      await running
    },
  }
}

/** Kinds that are looked for at every run, and those that change with a day and cost more: once a local day. */
async function lookForCauses(options: BillingWorkerOptions, timezone: string): Promise<number> {
  const { pool } = options
  const nowMs = options.nowMs()
  const today = localDate(timezone, nowMs)
  let changed = await saveCauses(
    pool,
    ['gate_not_met', 'tariff_problem'],
    [...(await gateNotMet(pool)), ...(await tariffProblems(pool))],
    nowMs,
  )
  const daily: [CauseKind, (db: Parameters<typeof gateNotMet>[0]) => Promise<Cause[]>][] = [
    ['estimated_too_long', (db) => estimatedTooLong(db, today)],
    ['high_bill_ahead', (db) => highBillAhead(db, today)],
    ['exchange_unrecorded', (db) => exchangeUnrecorded(db, options, { today, timezone })],
  ]
  for (const [kind, find] of daily) {
    const { rowCount } = await pool.query('SELECT 1 FROM billing_cause_days WHERE kind = $1 AND day >= $2::date', [kind, today])
    if (rowCount !== 0) continue
    const found = await tx(pool, async (client) => {
      await client.query(`SET LOCAL statement_timeout = ${DAILY_STATEMENT_MS}`)
      return find(client)
    })
    changed += await saveCauses(pool, [kind], found, nowMs)
    await pool.query('INSERT INTO billing_cause_days (kind, day) VALUES ($1, $2) ON CONFLICT (kind) DO UPDATE SET day = excluded.day', [
      kind,
      today,
    ])
  }
  return changed
}
