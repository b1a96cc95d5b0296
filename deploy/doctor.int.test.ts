import { expect, test } from 'vitest'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { clockCheck, diskCheck, examine, lagCheck, nodeCheck, render, secretCheck } from './doctor.ts'
import { startTestServers } from './local/test-servers.ts'

test('single findings say what to do', () => {
  expect(nodeCheck('20.1.0')).toMatchObject({ state: 'wrong', todo: expect.stringContaining('Node 24') })
  expect([diskCheck('/', 1e9).state, diskCheck('/', 1e10).state, diskCheck('/', 1e12).state]).toEqual(['wrong', 'warning', 'ok'])
  expect([clockCheck('x', -3_600_000).state, clockCheck('x', 5).state]).toEqual(['wrong', 'ok'])
  expect([lagCheck(0).state, lagCheck(5_000).state]).toEqual(['ok', 'warning'])
  expect([secretCheck('token', 0o100600).state, secretCheck('token', 0o100644).state]).toEqual(['ok', 'wrong'])
})

test('servers that are there are well, services that do not run are named, and a missing migration is', async () => {
  const space = await (await startTestServers()).isolate()
  try {
    const config = { ...space.config, API_PORT: 1, INGEST_PORT: 1, PROCESSORS_PORT: 1 }
    const by = new Map((await examine(config)).map((c) => [c.what, c]))
    for (const name of ['PostgreSQL', 'clock of PostgreSQL', 'migrations', 'QuestDB', 'clock of QuestDB', 'Kafka', 'MQTT broker'])
      expect([name, by.get(name)?.state]).toEqual([name, 'ok'])
    for (const name of ['ingest', 'processors', 'api']) expect(by.get(name)).toMatchObject({ state: 'wrong', todo: expect.any(String) })
    const pool = createPool({ url: space.config.POSTGRES_URL, log: silentLog, max: 1 })
    await pool.query("DELETE FROM schema_migrations WHERE name LIKE '090%'")
    await pool.end()
    const text = render(await examine(config))
    expect(text).toMatch(/WRONG +migrations +090_access.sql not applied\n +-> npm run migrate/)
  } finally {
    await space.drop()
  }
})

test('what cannot be reached is named, with the setting that says where it is', async () => {
  const space = await (await startTestServers()).isolate()
  try {
    const nowhere = { KAFKA_BROKERS: '127.0.0.1:1', QUESTDB_URL: 'http://127.0.0.1:1', MQTT_URL: 'mqtt://127.0.0.1:1' }
    const by = new Map((await examine({ ...space.config, ...nowhere })).map((c) => [c.what, c]))
    expect(by.get('Kafka')).toMatchObject({ state: 'wrong', todo: expect.stringContaining('KAFKA_BROKERS') })
    expect(by.get('QuestDB')).toMatchObject({ state: 'wrong', todo: expect.stringContaining('QUESTDB_URL') })
    expect(by.get('MQTT broker')).toMatchObject({ state: 'wrong', todo: expect.stringContaining('MQTT_URL') })
  } finally {
    await space.drop()
  }
})
