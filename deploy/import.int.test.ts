// Import and migrations against a real PostgreSQL.

import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { AssetFeature } from '#model/asset.ts'
import { zoneDefs } from '#model/zones.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool, type Pool, tx } from '#runtime/postgres.ts'
import { loadRegistry, registryRevision } from '#runtime/registry.ts'
import { readDataSet } from './dataset.ts'
import { importDataSet, importRegistry } from './import.ts'
import { type Isolated, startTestServers } from './local/test-servers.ts'
import { migrate, readMigrations } from './migrate.ts'

let isolated: Isolated
let pool: Pool
let dir: string

beforeAll(async () => {
  isolated = await (await startTestServers()).isolate()
  pool = createPool({ url: isolated.postgresUrl, log: silentLog, max: 3 })
})
afterAll(async () => {
  await pool.end()
  await isolated.drop()
})
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'meterstream-import-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const features = [
  { id: 'D', kind: 'dma' },
  { id: 'W', kind: 'water_meter', dma: 'D', gateway: 'G', account: 'A', multiplier: 1.5 },
].map((properties) => AssetFeature.parse({ type: 'Feature', geometry: { type: 'Point', coordinates: [8.5, 47.25] }, properties }))

async function folder(assets: unknown, accounts = 'account,segment\nA,vulnerable\n'): Promise<string> {
  await writeFile(join(dir, 'meta.json'), JSON.stringify({ name: 'small', timezone: 'Asia/Shanghai', warmupUntil: '2026-03-08T00:00:00Z' }))
  await writeFile(join(dir, 'assets.geojson'), JSON.stringify({ type: 'FeatureCollection', features: assets }))
  await writeFile(join(dir, 'accounts.csv'), accounts)
  await writeFile(
    join(dir, 'operations.csv'),
    'known_at,kind,scope_type,scope,start,end,note\n2026-03-02T00:00:00Z,holiday,network,,2026-03-03T00:00:00Z,2026-03-04T00:00:00Z,\n',
  )
  return dir
}

describe('import', () => {
  test('what was imported is loaded again, and the same import gives the same zones', async () => {
    const result = await importDataSet(pool, await folder(features))
    expect(result).toEqual({
      assets: 2,
      accounts: 1,
      operations: 1,
      warnings: ['assets.geojson: features[1] (id W): properties.gateway: nothing is named G'],
    })
    const first = await loadRegistry(pool)
    expect(first).toMatchObject({
      meta: { name: 'small', timezone: 'Asia/Shanghai', warmupUntilMs: Date.UTC(2026, 2, 8) },
      accounts: [{ account: 'A', segment: 'vulnerable' }],
      operations: [{ kind: 'holiday', scopeType: 'network', scope: '', knownAtMs: Date.UTC(2026, 2, 2), startMs: Date.UTC(2026, 2, 3) }],
    })
    const files = await readDataSet(dir)
    expect(zoneDefs(first.features, first.accounts, first.meta)).toEqual(zoneDefs(files.features, files.accounts, files.meta))
    await importDataSet(pool, dir)
    const second = await loadRegistry(pool)
    expect({ ...second, revision: 0 }).toEqual({ ...first, revision: 0 })
    expect(second.revision).toBeGreaterThan(first.revision)
  })

  test('a new import replaces the old', async () => {
    await importDataSet(pool, await folder(features))
    await importDataSet(pool, await folder([features[0]], 'account,segment\n'))
    const now = await loadRegistry(pool)
    expect([now.features.map((f) => f.properties.id), now.accounts]).toEqual([['D'], []])
  })

  test('an import that fails changes nothing', async () => {
    await importDataSet(pool, await folder(features))
    const before = await loadRegistry(pool)
    await expect(
      importDataSet(pool, await folder([{ type: 'Feature', geometry: null, properties: { id: 'X', kind: 'rocket' } }])),
    ).rejects.toThrow(/id X/)
    const meta = { timezone: 'UTC', warmupUntilMs: 0 }
    const twice = [features[0], features[0]] as typeof features
    await expect(importRegistry(pool, { meta, features: twice, accounts: [], operations: [] })).rejects.toThrow(/duplicate key/)
    expect(await loadRegistry(pool)).toEqual(before)
  })

  test('any change of the registry counts the revision up and wakes listeners', async () => {
    const client = await pool.connect()
    try {
      const heard = new Promise((resolve) => client.once('notification', (n) => resolve(n.channel)))
      await client.query('LISTEN registry_changed')
      const before = await registryRevision(pool)
      await pool.query('UPDATE assets SET properties = properties || \'{"name": "North"}\' WHERE id = \'D\'')
      expect(await heard).toBe('registry_changed')
      expect(await registryRevision(pool)).toBe(before + 1)
    } finally {
      client.release(true)
    }
  })

  test.for(['water', 'power'])('the data set %s gives the same zones from files and from the database', async (name, { skip }) => {
    const path = fileURLToPath(new URL(`../../shared/data/${name}`, import.meta.url))
    if (!existsSync(path)) skip(`${path} is not there`)
    const { warnings } = await importDataSet(pool, path)
    expect(warnings).toEqual([])
    const stored = await loadRegistry(pool)
    const files = await readDataSet(path)
    const ofFiles = zoneDefs(files.features, files.accounts, files.meta)
    expect(JSON.stringify(zoneDefs(stored.features, stored.accounts, stored.meta))).toBe(JSON.stringify(ofFiles))
  })
})

describe('migrations', () => {
  test('are applied once', async () => {
    expect(await migrate(pool)).toEqual([])
  })

  test('that changed after they were applied are refused, and one that fails leaves nothing behind', async () => {
    const copy = join(dir, 'migrations')
    await cp(fileURLToPath(new URL('./migrations', import.meta.url)), copy, { recursive: true })
    const url = pathToFileURL(`${copy}/`)
    await writeFile(join(copy, '999_broken.sql'), 'CREATE TABLE half (a int); SELECT nonsense;')
    await expect(migrate(pool, url)).rejects.toThrow('deploy/migrations/999_broken.sql: column "nonsense" does not exist')
    expect((await pool.query("SELECT to_regclass('half') AS t")).rows).toEqual([{ t: null }])
    await rm(join(copy, '999_broken.sql'))
    await writeFile(join(copy, '001_registry.sql'), 'SELECT 1')
    await expect(migrate(pool, url)).rejects.toThrow('001_registry.sql changed after it was applied')
    await writeFile(join(copy, '001_twin.sql'), 'SELECT 1')
    await expect(readMigrations(url)).rejects.toThrow('number 001 is taken')
  })

  test('of two processes at once take turns', async () => {
    const other = await (await startTestServers()).isolate()
    const fresh = createPool({ url: other.postgresUrl, log: silentLog, max: 4 })
    try {
      await tx(fresh, (c) => c.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public'))
      const applied = await Promise.all([migrate(fresh), migrate(fresh)])
      expect(applied.map((a) => a.length).sort()).toEqual([0, (await readMigrations()).length].sort())
    } finally {
      await fresh.end()
      await other.drop()
    }
  })
})

describe('transactions', () => {
  test('are rolled back when the function throws, and the connection stays usable', async () => {
    await expect(
      tx(pool, async (c) => {
        await c.query("INSERT INTO registry_meta (key, value) VALUES ('half', '1')")
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')
    expect((await pool.query("SELECT 1 FROM registry_meta WHERE key = 'half'")).rowCount).toBe(0)
  })
})
