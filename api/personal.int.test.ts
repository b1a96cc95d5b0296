// Personal data at rest, on its way to who may see it, rotated, erased.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createKeyring } from '#runtime/personal.ts'
import { importRegistry } from '../deploy/import.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { startTestApi, type TestApi } from './api.fixture.ts'
import { customersOf, masked } from './desk/impact.ts'
import { personalOf, resealAll } from './queries/personal.ts'

const key = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
const K1 = key('k1')
const K2 = key('k2')
const ANNA = { name: 'Anna Meier', phone: '+41 79 123 45 67', email: 'anna@example.org' }

let space: Isolated
let api: TestApi

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  api = await startTestApi({ config: space.config, keyring: createKeyring(`${K2},${K1}`) })
  const account = { account: 'A1', ...ANNA, segment: 'vulnerable', language: 'en', tariff_water: '', tariff_power: '' } as const
  const meter = {
    type: 'Feature',
    geometry: null,
    properties: { id: 'W1', kind: 'water_meter', dma: 'D', gateway: 'G', account: 'A1', interval_s: 3600 },
  }
  await importRegistry(
    api.pool,
    { meta: { timezone: 'UTC', warmupUntilMs: 0 }, features: [meter] as never, accounts: [account], operations: [] },
    createKeyring(K1),
  )
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})

const atRest = async () => (await api.pool.query('SELECT name, phone, email FROM accounts')).rows[0] as typeof ANNA

it('is sealed in the database, and opened for who may see it', async () => {
  for (const value of Object.values(await atRest())) expect(value).toMatch(/^ms1\.k1\./)
  const [row] = await customersOf(api.pool, ['W1'], { offset: 0, limit: 10 }, createKeyring(K1))
  expect(row).toMatchObject(ANNA)
  expect(masked(row as NonNullable<typeof row>)).toMatchObject({ name: 'A…', phone: '…67', email: 'a…@…' })
  expect(await (await api.get('/v1/accounts/A1/personal')).json()).toEqual({ account: 'A1', ...ANNA })
})

it('is sealed anew with the first key, once', async () => {
  const ring = createKeyring(`${K2},${K1}`)
  expect([await resealAll(api.pool, ring), await resealAll(api.pool, ring)]).toEqual([1, 0])
  for (const value of Object.values(await atRest())) expect(value).toMatch(/^ms1\.k2\./)
  expect(await personalOf(api.pool, createKeyring(K2), 'A1')).toEqual(ANNA)
  await expect(personalOf(api.pool, createKeyring(K1), 'A1')).rejects.toThrow('k2 is not among')
})

it('is erased on demand: the account stays, the name goes', async () => {
  expect((await api.send('DELETE', '/v1/accounts/nobody/personal')).status).toBe(404)
  expect((await api.send('DELETE', '/v1/accounts/A1/personal')).status).toBe(204)
  expect(await atRest()).toEqual({ name: '', phone: '', email: '' })
  expect(await (await api.get('/v1/accounts/A1/personal')).json()).toEqual({ account: 'A1', name: '', phone: '', email: '' })
})
