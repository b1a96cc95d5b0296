// What the billing feed gives: a real PostgreSQL filled with meter-days, the api as a process of its own, one client that reads pages
// and exports from places all over the feed. `node simulators/bench/feed-cli.ts --rows 10000000 --seconds 20 --dir DIR`
// A folder given with --dir keeps its data: a second run fills nothing.
import { fork } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readConfig } from '#runtime/config.ts'
import { silentLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'
import { createQuestDb } from '#runtime/questdb.ts'
import { createAuth } from '../../api/auth.ts'
import { publishPending } from '../../api/billing/publisher.ts'
import { createLive } from '../../api/live/live.ts'
import { writeCursor } from '../../api/queries/cursor.ts'
import { buildServer } from '../../api/server.ts'
import { startServers } from '../../deploy/local/servers.ts'
import { migrate } from '../../deploy/migrate.ts'

const TOKEN = 'a-token-for-the-bench-only'
/** Days of one INSERT: a checkpoint of the processors is of this order. */
const FILL_BATCH = 500_000
/** Days that go through the publisher, to measure it. */
const PUBLISHED = 200_000

/** The api over this database; prints its address to the parent. */
async function serve(postgresUrl: string): Promise<void> {
  const config = readConfig({ POSTGRES_URL: postgresUrl })
  const pool = createPool({ url: config.POSTGRES_URL, log: silentLog, max: 10, statementTimeoutMs: 15_000 })
  const questdb = await createQuestDb({ url: config.QUESTDB_URL, log: silentLog })
  const app = await buildServer(
    {
      pool,
      questdb,
      prefix: '',
      auth: createAuth(TOKEN),
      live: createLive({ clientsMax: 1, instance: 'bench', wallMs: Date.now }),
      registry: createRegistry('api'),
      log: silentLog,
      nowMs: Date.now,
      limits: { requestsPerSecond: 1e6, requestsBurst: 1e6 },
    } as Parameters<typeof buildServer>[0],
    { ready: () => ({ ok: true, parts: [] }) },
  )
  process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }))
}

/** Meter-days of `rows / 30` meters and 30 days, one in fifty with a second revision; in the order in which days pass. */
async function fill(pool: Pool, rows: number, say: (text: string) => void): Promise<void> {
  const { rows: have } = await pool.query<{ n: number }>('SELECT coalesce(max(pos), 0) AS n FROM billing_feed')
  const meters = Math.ceil(rows / 30)
  await pool.query('ALTER TABLE meter_days DISABLE TRIGGER meter_days_pending')
  for (let at = have[0]?.n ?? 0; at < rows; at += FILL_BATCH) {
    const to = Math.min(rows, at + FILL_BATCH)
    await pool.query(
      `INSERT INTO meter_days (feed_seq, meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at)
       SELECT i, 'E-' || lpad((k % $3)::text, 7, '0'), 'active_energy_import_kwh', '', DATE '2026-03-01' + (k / $3)::int,
         CASE WHEN i % 50 = 49 THEN 2 ELSE 1 END, round((random() * 30)::numeric, 3), 94, 2, 0, 'F' || (k % 400),
         TIMESTAMPTZ '2026-03-02 00:00:10+00' + (k / $3) * interval '1 day'
       FROM (SELECT i, CASE WHEN i % 50 = 49 THEN i - 1 ELSE i END AS k FROM generate_series($1::bigint, $2::bigint - 1) i) n`,
      [at, to, meters],
    )
    await pool.query(
      `INSERT INTO billing_feed (pos, day_seq, supersedes, gate)
       SELECT feed_seq + 1, feed_seq, CASE WHEN rev = 2 THEN feed_seq END, 'met' FROM meter_days WHERE feed_seq >= $1 AND feed_seq < $2`,
      [at, to],
    )
    say(`filled ${to}`)
  }
  await pool.query("SELECT setval('meter_days_feed_seq_seq', (SELECT max(feed_seq) FROM meter_days))")
  await pool.query('ALTER TABLE meter_days ENABLE TRIGGER meter_days_pending')
  await pool.query('ANALYZE meter_days')
  await pool.query('ANALYZE billing_feed')
}

async function publish(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>('SELECT max(feed_seq) AS n FROM meter_days')
  await pool.query(
    `INSERT INTO meter_days (meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at)
     SELECT 'N-' || ($1::bigint + i), 'active_energy_import_kwh', '', DATE '2026-04-01', 1, 1, 96, 0, 0, 'F1', now() FROM generate_series(1, $2::int) i`,
    [rows[0]?.n, PUBLISHED],
  )
  const began = performance.now()
  let published = 0
  for (;;) {
    const p = await publishPending(pool)
    published += p.published
    if (p.looked === 0) break
  }
  return (published / (performance.now() - began)) * 1000
}

interface Rate {
  records: number
  seconds: number
  requests: number
  slowestMs: number
}

/** Pages of 10,000, each from where the last one ended; every second a jump to another place of the feed. */
async function readPages(url: string, head: number, seconds: number, limit: number): Promise<Rate> {
  const headers = { authorization: `Bearer ${TOKEN}` }
  const began = performance.now()
  let records = 0
  let requests = 0
  let slowestMs = 0
  let jumps = 0
  let cursor = writeCursor('consumption', 0)
  while (performance.now() - began < seconds * 1000) {
    if ((performance.now() - began) / 1000 > jumps + 1) {
      jumps += 1
      // Golden-ratio steps spread places evenly without chance.
      cursor = writeCursor('consumption', Math.floor(((jumps * 0.618) % 1) * (head - 200_000)))
    }
    const at = performance.now()
    const response = await fetch(`${url}/v1/billing/consumption?limit=${limit}&cursor=${cursor}`, { headers })
    const page = (await response.json()) as { items: unknown[]; next: string }
    if (!response.ok) throw new Error(JSON.stringify(page))
    slowestMs = Math.max(slowestMs, performance.now() - at)
    records += page.items.length
    requests += 1
    cursor = page.next
  }
  return { records, requests, slowestMs, seconds: (performance.now() - began) / 1000 }
}

async function readExport(url: string, format: string, rows: number, head: number): Promise<{ perSecond: number; mib: number }> {
  const began = performance.now()
  const cursor = writeCursor('consumption', Math.floor(head / 3))
  const response = await fetch(`${url}/v1/billing/consumption/export?format=${format}&limit=${rows}&cursor=${cursor}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  })
  if (!response.ok || response.body === null) throw new Error(await response.text())
  let bytes = 0
  for await (const chunk of response.body) bytes += (chunk as Uint8Array).length
  return { perSecond: rows / ((performance.now() - began) / 1000), mib: bytes / 1024 / 1024 }
}

async function main(): Promise<void> {
  if (process.argv[2] === 'serve') return serve(process.argv[3] as string)
  const { values } = parseArgs({
    options: { rows: { type: 'string', default: '1000000' }, seconds: { type: 'string', default: '20' }, dir: { type: 'string' } },
  })
  const rows = Number(values.rows)
  const seconds = Number(values.seconds)
  if (!Number.isSafeInteger(rows) || rows < 1000 || !(seconds > 0))
    throw new Error('--rows must be a whole number from 1000, --seconds above 0')
  const say = (text: string) => void process.stderr.write(`${text}\n`)
  const dir = values.dir ?? mkdtempSync(join(tmpdir(), 'meterstream-feed-'))
  mkdirSync(dir, { recursive: true })
  chmodSync(dir, 0o755)
  const servers = await startServers({ dir, ports: 'auto', only: ['postgres'], say })
  const pool = createPool({ url: servers.postgres.url, log: silentLog, statementTimeoutMs: 300_000 })
  const api = fork(import.meta.filename, ['serve', servers.postgres.url], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  try {
    await migrate(pool)
    await fill(pool, rows, say)
    const url = await new Promise<string>((resolve, reject) => {
      api.once('message', (m) => resolve(String(m)))
      api.once('exit', (code) => reject(new Error(`the api ended with ${code}`)))
    })
    const result: Record<string, unknown> = { rows, publishedPerSecond: Math.round(await publish(pool)) }
    const head = ((await pool.query<{ n: number }>('SELECT max(pos) AS n FROM billing_feed')).rows[0] as { n: number }).n
    for (const limit of [1_000, 10_000]) {
      const r = await readPages(url, head, seconds, limit)
      result[`pagesOf${limit}`] = {
        recordsPerSecond: Math.round(r.records / r.seconds),
        requests: r.requests,
        slowestMs: Math.round(r.slowestMs),
      }
    }
    for (const format of ['ndjson', 'csv', 'parquet']) {
      const e = await readExport(url, format, Math.min(rows / 2, 500_000), head)
      result[format] = { recordsPerSecond: Math.round(e.perSecond), mib: Math.round(e.mib) }
    }
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
  } finally {
    api.kill()
    await pool.end()
    await servers.stop()
    if (values.dir === undefined) rmSync(dir, { recursive: true, force: true })
  }
}

await main()
