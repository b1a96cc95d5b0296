// A backup taken while the system works, restored into an empty one: nothing is missing, nothing is doubled, the ledger agrees.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HOUR_MS } from '#model/time.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { appendAudit, verifyAudit } from '../api/access/audit.ts'
import type { FleetOptions } from '../simulators/bench/fleet.ts'
import { fleetFeatures } from '../simulators/bench/fleet.ts'
import { openPublisher, Service } from '../simulators/bench/system.ts'
import { storedCount } from '../simulators/bench/verify.ts'
import { backup, readManifest, restore } from './backup/backup.ts'
import { importRegistry } from './import.ts'
import { type Isolated, startTestServers } from './local/test-servers.ts'

const READINGS = 20_000
const FLEET: FleetOptions = {
  ...{ meters: 2_000, zones: 4, gateways: 8, perMessage: 100, readings: READINGS, seed: 7 },
  startMs: Math.floor(Date.now() / HOUR_MS - 5) * HOUR_MS,
}

let dir: string
const spaces: Isolated[] = []
const services: Service[] = []

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'meterstream-backup-'))
})
afterAll(async () => {
  await Promise.all(services.map((s) => s.stop('SIGKILL')))
  for (const s of spaces) await s.drop()
  rmSync(dir, { recursive: true, force: true })
})

async function aSpace(): Promise<Isolated> {
  const space = await (await startTestServers()).isolate()
  spaces.push(space)
  return space
}

function service(space: Isolated, name: string, entry: string): Service {
  const s = new Service({ name, entry, dir: join(dir, space.prefix), env: { ...space.env, METERSTREAM_CLOCK: 'wall' }, profile: false })
  services.push(s)
  return s
}

async function withPool<T>(space: Isolated, use: (pool: ReturnType<typeof createPool>) => Promise<T>): Promise<T> {
  const pool = createPool({ url: space.postgresUrl, log: silentLog, max: 1 })
  try {
    return await use(pool)
  } finally {
    await pool.end()
  }
}

const accepted = (space: Isolated) =>
  withPool(space, async (pool) => {
    const { rows } = await pool.query<{ n: number }>('SELECT coalesce(sum(accepted), 0)::bigint AS n FROM ledger')
    return rows[0]?.n ?? 0
  })
const stored = (space: Isolated) => storedCount(space.config.QUESTDB_URL, `'${space.prefix}readings'`)

async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (const began = Date.now(); !(await is()); await sleep(300))
    if (Date.now() - began > 60_000) throw new Error(`not within a minute: ${what}`)
}

test('taken at work, restored elsewhere, and the work goes on', async () => {
  const first = await aSpace()
  await withPool(first, async (pool) => {
    await importRegistry(pool, {
      meta: { timezone: 'UTC', warmupUntilMs: 0 },
      features: fleetFeatures(FLEET),
      accounts: [],
      operations: [],
    })
    await appendAudit(pool, { atMs: 1, who: 'x', action: 'y', target: 'z', outcome: 200, detail: { a: [1, { b: null }] } })
  })
  const ingest = service(first, 'ingest', 'ingest/main.ts')
  const processors = service(first, 'processors', 'processors/main.ts')
  await ingest.start('INGEST_PORT')
  await processors.start('PROCESSORS_PORT')
  const publisher = await openPublisher({
    fleet: FLEET,
    url: first.config.MQTT_URL,
    connections: 2,
    window: 20,
    warmupMessages: 0,
    rate: 0,
  })
  await publisher.go()
  await publisher.go()
  publisher.stop()
  // All of it is in the log; how much of it is folded, stored and in a checkpoint is chance, and must not matter.
  await until(
    'ingest has sent it',
    async () => (await ingest.metric('meterstream_ingest_in_flight_messages')) === 0 && (await stored(first)) > 0,
  )
  const to = join(dir, 'copy')
  const manifest = await backup({ config: first.config, log: silentLog, say: () => undefined }, to)
  expect(manifest.series.find((s) => s.table === 'readings')?.rows).toBeGreaterThan(0)
  expect(manifest.tables.find((t) => t.table === 'assets')?.rows).toBe(fleetFeatures(FLEET).length)
  await Promise.all([ingest.stop(), processors.stop()])

  const second = await aSpace()
  await restore({ config: second.config, log: silentLog, say: () => undefined }, to)
  const again = service(second, 'processors', 'processors/main.ts')
  await again.start('PROCESSORS_PORT')
  await until('everything is accepted', async () => (await accepted(second)) >= READINGS)
  await until('everything is stored', async () => (await stored(second)) >= READINGS)
  await sleep(2_000)
  expect([await accepted(second), await stored(second)]).toEqual([READINGS, READINGS])
  await again.stop()
  await withPool(second, async (pool) => {
    expect(await verifyAudit(pool)).toMatchObject({ entries: 1 })
    expect((await verifyAudit(pool)).broken).toBeUndefined()
    // Sequences go on after what was restored.
    await appendAudit(pool, { atMs: 2, who: 'x', action: 'y', target: 'z', outcome: 200, detail: {} })
  })
  await expect(restore({ config: second.config, log: silentLog, say: () => undefined }, to)).rejects.toThrow('has worked already')
})

test('what is no backup is refused by name, and a folder with something in it is not written to', async () => {
  expect(() => readManifest(dir)).toThrow('manifest.json is missing')
  expect(readdirSync(dir).length).toBeGreaterThan(0)
  await expect(backup({ config: (await aSpace()).config, log: silentLog, say: () => undefined }, dir)).rejects.toThrow('is not empty')
})
