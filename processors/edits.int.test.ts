// Edits of intervals against real Kafka, QuestDB and PostgreSQL: a person's, and one that a new multiplier asks for, from the request to the
// revisions in both stores.
import { beforeAll, expect, test } from 'vitest'
import type { LogRecord } from '#model/telemetry.ts'
import { DAY_MS, HOUR_MS, toIso } from '#model/time.ts'
import { startTestServers, type TestServers } from '../deploy/local/test-servers.ts'
import { aSystem, run, until } from './system.fixture.ts'
import { validation } from './validation/index.ts'
import { aDevice, aReading, aZone, START_MS } from './zone-fold.fixture.ts'

const DAYS = 3
const TOPOLOGY = { validator: validation, detectors: [], networkDetectors: [] }
const MAIN = 'active_energy_import_kwh' as const

const zone = (version: string, more: object = {}): LogRecord => {
  const meter = (id: string, extra: object) => {
    const asset = {
      id,
      kind: 'electric_meter',
      role: 'customer',
      feeder: 'Z',
      interval_s: 3600,
      decimals: 2,
      digits: 6,
      max_kw: 44,
      ...extra,
    }
    return aDevice(asset as never)
  }
  const def = { ...aZone('Z', [meter('E1', {}), meter('E2', more)], version), kind: 'feeder' as const }
  return { kind: 'zone', zone: 'Z', receivedAtMs: START_MS + (version === '1' ? 0 : DAYS * DAY_MS + HOUR_MS), def }
}

function history(): LogRecord[] {
  const log: LogRecord[] = [zone('1')]
  for (let h = 0; h <= DAYS * 24; h++) {
    const tsMs = START_MS + h * HOUR_MS
    const readings = ['E1', 'E2'].map((device) => aReading({ device, quantity: MAIN, tsMs, receivedAtMs: tsMs + 5_000, value: 100 + h }))
    log.push({ kind: 'data', zone: 'Z', readings, events: [] })
    log.push({ kind: 'tick', nowMs: tsMs + 10_000, ingest: 'i', brokerConnected: true, gatewaysOnline: 1 })
  }
  return log
}

let servers: TestServers
beforeAll(async () => {
  servers = await startTestServers()
})

test('an edit and another multiplier reach intervals and days as revisions, each once', async () => {
  const system = await aSystem(await servers.isolate())
  const { pool, space } = system
  const { life } = await run(system, TOPOLOGY)
  await system.publish(history())
  await system.settled()
  const intervals = `'${space.prefix}intervals'`
  const revisions = async (meter: string) =>
    (await system.rows(`SELECT count() FROM ${intervals} WHERE meter = '${meter}' AND rev = 2`))[0]?.[0]
  const days = async (meter: string) =>
    (
      await pool.query(
        `SELECT to_char(date, 'MM-DD') AS date, rev, value, actual, edited, before_value AS before, why FROM meter_days WHERE meter = $1 ORDER BY date, rev`,
        [meter],
      )
    ).rows

  await pool.query(
    `INSERT INTO interval_edits (id, kind, zone, meter, quantity, since_at, until_at, new_values, who, note, asked_at, created_at)
     VALUES ('e', 'manual', 'Z', 'E1', $1, $2, $3, $4, 'anna', 'the display was photographed', $2, now() - interval '1 minute')`,
    [MAIN, toIso(START_MS + HOUR_MS), toIso(START_MS + 2 * HOUR_MS), JSON.stringify([[START_MS + HOUR_MS, 4]])],
  )
  await until('the edit in QuestDB', async () => (await revisions('E1')) === 1, 30_000)
  await until('the edit in PostgreSQL', async () => (await days('E1')).length === DAYS + 1, 30_000)
  expect((await days('E1'))[1]).toEqual({ date: '03-01', rev: 2, value: 27, actual: 23, edited: 1, before: 24, why: 'manual_edit' })
  const said = await system.rows(`SELECT value, status, reasons, before, before_status, why FROM ${intervals} WHERE rev = 2`)
  expect(said).toEqual([[4, 'edited', 'manual_edit,edit:e', 1, 'actual', 'manual_edit']])

  await system.publish([zone('2', { multiplier: 20, multiplier_since: toIso(START_MS + DAY_MS) })])
  await until('all intervals since then', async () => (await revisions('E2')) === 48, 40_000)
  await until('all days since then', async () => (await days('E2')).length === DAYS + 2, 30_000)
  expect((await days('E2')).map((d) => [d.date, d.rev, d.value, d.why])).toEqual([
    ['03-01', 1, 24, ''],
    ['03-02', 1, 24, ''],
    ['03-02', 2, 480, 'multiplier'],
    ['03-03', 1, 24, ''],
    ['03-03', 2, 480, 'multiplier'],
  ])
  const { rows } = await pool.query('SELECT kind, state, intervals, who FROM interval_edits ORDER BY kind')
  expect(rows).toEqual([
    { kind: 'manual', state: 'published', intervals: 1, who: 'anna' },
    { kind: 'multiplier', state: 'published', intervals: 48, who: 'registry' },
  ])
  await life.close()
}, 180_000)
