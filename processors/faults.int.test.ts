// Each server goes away once under load. Own servers, because they are killed.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '#runtime/config.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { type ServerName, type Servers, startServers } from '../deploy/local/servers.ts'
import { migrate } from '../deploy/migrate.ts'
import { PLAIN_TOPOLOGY } from './processors.fixture.ts'
import { aSystem, expectSaid, expectStored, inProcess, PARTITIONS, run, type Space, syntheticLog, until } from './system.fixture.ts'

const dir = mkdtempSync(join(tmpdir(), 'processors-faults-'))
let servers: Servers

beforeAll(async () => {
  chmodSync(dir, 0o755)
  servers = await startServers({ dir, ports: 'auto', only: ['kafka', 'questdb', 'postgres'] })
})
afterAll(async () => {
  await servers?.stop()
  rmSync(dir, { recursive: true, force: true })
})

async function aSpace(name: string): Promise<Space> {
  const admin = createPool({ url: servers.postgres.url, log: silentLog, max: 1 })
  await admin.query(`CREATE DATABASE ${name}`)
  await admin.end()
  const url = new URL(servers.postgres.url)
  url.pathname = `/${name}`
  const pool = createPool({ url: url.href, log: silentLog, max: 1 })
  await migrate(pool)
  await pool.end()
  const env = { ...servers.env, POSTGRES_URL: url.href, METERSTREAM_PREFIX: `${name}_` }
  return { prefix: `${name}_`, postgresUrl: url.href, env, config: readConfig(env), drop: async () => undefined }
}

for (const [i, name] of (['questdb', 'postgres', 'kafka'] as const satisfies readonly ServerName[]).entries()) {
  test(`${name} is killed under load and comes back: nothing is lost, nothing is doubled`, async () => {
    const system = await aSystem(await aSpace(`f${i}`))
    const log = syntheticLog()
    const expected = inProcess(log, PLAIN_TOPOLOGY)
    const { processors, life } = await run(system, PLAIN_TOPOLOGY)
    await system.publish(log.slice(0, 1500))
    await until('all partitions are taken', async () => processors.zones.partitions.size === PARTITIONS)
    servers.kill(name, 'SIGKILL')
    if (name !== 'kafka') {
      await system.publish(log.slice(1500, 2500))
      await until('a problem is noticed', async () => processors.problem() !== undefined)
    }
    await sleep(2_000)
    await servers.start(name)
    // A producer whose broker was away has given up or not: what it had to send is sent by who has it.
    for (let at = name === 'kafka' ? 1500 : 2500; at < log.length; at += 500) {
      const piece = log.slice(at, at + 500)
      await system.publish(piece).catch(() => system.publish(piece))
    }
    await system.settled(90_000)
    expect(life.problem).toBeUndefined()
    await life.close()
    await expectSaid(system, expected)
    await expectStored(system, expected.counts)
  }, 240_000)
}
