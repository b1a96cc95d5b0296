// node api/desk/queue-bench-cli.ts [TICKETS] [OPEN]: fills an empty database (POSTGRES_URL) with so many tickets, a million when left out, and
// says how long what the page and the desk ask for takes. The database is for this alone: it refuses one that has tickets.
import { readConfig } from '#runtime/config.ts'
import { createLog } from '#runtime/log.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'
import { parseFilter } from './jsonpath.ts'
import { kpis } from './kpi-store.ts'
import { loadRules } from './rules.ts'
import { paces, sweep } from './sweep.ts'
import { changesOfMany, listTickets, recentTickets, type TicketQuery } from './ticket-lists.ts'
import { filterSql, sortSql } from './tmf-filter.ts'

const TOTAL = Number(process.argv[2] ?? 1_000_000)
const OPEN = Number(process.argv[3] ?? 10_000)
const CHUNK = 100_000
const NOW = Date.UTC(2026, 2, 1)
const YEARS_MS = 3 * 365 * 86_400_000

async function fill(pool: Pool): Promise<void> {
  for (let from = 1; from <= TOTAL; from += CHUNK) {
    const to = Math.min(TOTAL, from + CHUNK - 1)
    // The newest are open. Sizes as in the field: a title, a description, one finding, one to some meters.
    await pool.query(
      `INSERT INTO tickets (key, class, origin, state, priority, severity, title, description, zone, scope_type, scope_id, lon, lat, findings, affected, intent_rev,
         reason, assignee, opened_ms, updated_ms, telemetry_closed_ms, closed_ms, respond_due_ms, dispatch_due_ms, resolve_due_ms, responded_ms, dispatched_ms, resolved_ms,
         version, reply_due_ms, clock_from_ms, started_ms, base, account, limits, impact)
       SELECT 'outage:transformer:T' || i || ':x', (ARRAY['outage', 'leak', 'billing', 'quality', 'meter_work', 'complaint', 'enquiry'])[1 + i % 7],
         CASE WHEN i % 7 > 4 THEN 'report' ELSE 'telemetry' END, CASE WHEN i > $3 THEN (ARRAY['received', 'reviewed', 'dispatched', 'in_progress'])[1 + i % 4] ELSE 'archived' END,
         1 + i % 4, 'major', 'Outage: transformer T-' || i, '12 meters without supply, since 2026-01-01T00:00:00Z', 'F-' || i % 500, 'transformer', 'T-' || i % 20000, 8, 47,
         ARRAY['outage:transformer:T' || i || ':x'], ARRAY(SELECT 'E-' || (i * 7 + m) % 200000 FROM generate_series(1, 12) m), 2, 'all_clear', CASE WHEN i % 3 = 0 THEN 'crew-' || i % 40 ELSE '' END,
         at, at + 7200000, CASE WHEN i > $3 THEN NULL ELSE at + 7200000 END, CASE WHEN i > $3 THEN NULL ELSE at + 7200000 END, at + 900000, at + 5400000, at + 28800000,
         CASE WHEN i > $3 THEN NULL ELSE at + 600000 END, CASE WHEN i > $3 THEN NULL ELSE at + 1800000 END, CASE WHEN i > $3 THEN NULL ELSE at + 7200000 END, 5, at + 36000000, at, at, 1 + i % 4,
         'A' || i % 100000, '{"clock": "always", "respondMs": 900000, "dispatchMs": 5400000, "resolveMs": 28800000, "replyMs": 36000000}',
         '{"customers": 12, "vulnerable": 0, "large": 0, "special": 0, "lifeSupport": 0, "hospitals": 0, "schools": 0, "segment": "general", "lossM3h": 0}'
       FROM (SELECT i, $4::bigint - $5::bigint + ($5::bigint / $6::bigint) * i AS at FROM generate_series($1::int, $2::int) i) s`,
      [from, to, TOTAL - OPEN, NOW, YEARS_MS, TOTAL],
    )
    process.stderr.write(`${to} tickets\n`)
  }
  await pool.query(
    `INSERT INTO ticket_changes (ticket_no, version, at_ms, who, action, from_state, to_state, reason)
     SELECT no, v, opened_ms, 'telemetry', 'open', NULL, 'received', 'first_finding' FROM tickets, generate_series(1, 2) v WHERE no % 10 = 0`,
  )
  await pool.query('VACUUM ANALYZE tickets')
  await pool.query('ANALYZE ticket_changes')
}

const list = (pool: Pool, q: Partial<TicketQuery>) => () => listTickets(pool, { filter: {}, order: 'queue', offset: 0, limit: 100, ...q })

async function main(): Promise<void> {
  const config = readConfig(process.env)
  const pool = createPool({ url: config.POSTGRES_URL, log: createLog('bench', 'warn'), statementTimeoutMs: 600_000 })
  const { rows } = await pool.query<{ n: number }>('SELECT count(*) AS n FROM (SELECT 1 FROM tickets LIMIT 1) t')
  if (rows[0]?.n === 0) await fill(pool)
  else if (process.argv[4] !== '--again')
    throw new Error('this database has tickets: give one of its own, or --again to measure what it has')
  const rules = await loadRules(pool)
  const work: [string, () => Promise<unknown>][] = [
    ['queue, open, 100', list(pool, { open: true })],
    ['queue, open, page 20', list(pool, { open: true, offset: 2000 })],
    ['queue, open, one class and zone', list(pool, { open: true, filter: { class: ['leak'], zone: ['F-7'] } })],
    ['queue, at risk', list(pool, { open: true, riskAtMs: NOW })],
    ['queue, words', list(pool, { open: true, words: 'T-1234' })],
    ['all, newest 100', list(pool, { order: 'newest' })],
    ['all, one class, newest 100', list(pool, { order: 'newest', filter: { class: ['complaint'] } })],
    ['all, closed, newest 100', list(pool, { order: 'newest', filter: { state: ['closed', 'archived'] } })],
    ['all, one account', list(pool, { order: 'newest', filter: { account: ['A77'] } })],
    [
      'TMF621 filter by time',
      list(pool, {
        order: 'newest',
        also: (from) => filterSql(parseFilter("$[?(@.creationDate>'2026-02-01T00:00:00Z' && @.severity=='Major')]"), from),
      }),
    ],
    ['TMF621 sort by lastUpdate', list(pool, { orderSql: sortSql('-lastUpdate') })],
    ['live snapshot, 1,000', () => recentTickets(pool, NOW - 86_400_000, 1000)],
    [
      'histories of 100',
      () =>
        changesOfMany(
          pool,
          Array.from({ length: 100 }, (_, i) => 2000 + 10 * i),
        ),
    ],
    ['KPIs of a month by class', () => kpis(pool, { fromMs: NOW - 31 * 86_400_000, toMs: NOW, nowMs: NOW, by: 'class' }, rules)],
    [
      'KPIs of a year by team and month',
      () => kpis(pool, { fromMs: NOW - 366 * 86_400_000, toMs: NOW, nowMs: NOW, by: 'team_month' }, rules),
    ],
    ['usual times', () => paces(pool, NOW)],
  ]
  for (const [name, run] of work) {
    const times: number[] = []
    for (let i = 0; i < 5; i++) {
      const began = performance.now()
      await run()
      times.push(performance.now() - began)
    }
    times.sort((a, b) => a - b)
    process.stdout.write(
      `${name.padEnd(36)} ${(times[2] as number).toFixed(0).padStart(6)} ms  worst ${(times[4] as number).toFixed(0)} ms\n`,
    )
  }
  const began = performance.now()
  const swept = await sweep(pool, NOW)
  process.stdout.write(`sweep of the open ones: ${JSON.stringify(swept)} ${(performance.now() - began).toFixed(0)} ms\n`)
  await pool.end()
}

await main()
