// The access list against the real broker: what a gateway may write, and what it may not.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt from 'mqtt'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { unprivilegedUser } from './install.ts'
import { gatewayPassword, writeAccess } from './mqtt-access.ts'
import { type Servers, startServers } from './servers.ts'

const SECRET = 'a secret of the utility, for tests only'
let dir: string
let servers: Servers
let service: mqtt.MqttClient
const heard: string[] = []

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'mqtt-access-'))
  chmodSync(dir, 0o755)
  servers = await startServers({ dir, ports: 'auto', only: ['mqtt'], say: () => undefined })
  const users = ['G-1', 'G-2'].map((user) => ({ user, password: gatewayPassword(SECRET, user) }))
  const gateways = [
    { id: 'G-1', topics: [] },
    { id: 'G-2', topics: ['wmbusmeters/#'] },
  ]
  writeAccess(join(dir, 'mqtt'), users, { gateways }, await unprivilegedUser(() => undefined))
  servers.kill('mqtt', 'SIGHUP')
  await sleep(500)
  service = await mqtt.connectAsync(servers.mqtt.url)
  service.on('message', (topic) => void heard.push(topic))
  await service.subscribeAsync('#', { qos: 1 })
})
afterAll(async () => {
  await service?.endAsync()
  await servers?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const plain = () => {
  const url = new URL(servers.mqtt.url)
  return `mqtt://${url.host}`
}
const gateway = (username: string, more: Partial<mqtt.IClientOptions> = {}) =>
  mqtt.connectAsync(
    plain(),
    { protocolVersion: 5, reconnectPeriod: 0, username, password: gatewayPassword(SECRET, username), ...more },
    false,
  )

test('nobody comes in without a password, or with that of another', async () => {
  await expect(mqtt.connectAsync(plain(), { reconnectPeriod: 0 }, false)).rejects.toThrow(/[Nn]ot authorized/)
  await expect(gateway('G-1', { password: gatewayPassword(SECRET, 'G-2') })).rejects.toThrow(/[Nn]ot authorized/)
  await expect(gateway('G-3')).rejects.toThrow(/[Nn]ot authorized/)
})

test('a gateway writes below its own id only, its last will too, and reads nothing', async () => {
  const will = { topic: 'telemetry/v1/G-1/status', payload: Buffer.from('{"online":false}'), qos: 1 as const, retain: false }
  const g1 = await gateway('G-1', { will })
  const g2 = await gateway('G-2')
  const read: string[] = []
  g1.on('message', (topic) => void read.push(topic))
  await g1.subscribeAsync('telemetry/v1/#').catch(() => undefined) // A refusal says the same.
  const publish = (c: mqtt.MqttClient, topic: string) =>
    c.publishAsync(topic, '{}', { qos: 1 }).then(
      () => true,
      () => false,
    )
  expect(await publish(g1, 'telemetry/v1/G-1/readings')).toBe(true)
  expect(await publish(g1, 'telemetry/v1/G-2/readings')).toBe(false)
  expect(await publish(g1, 'telemetry/v1/G-1/other')).toBe(false)
  expect(await publish(g1, 'wmbusmeters/12345678')).toBe(false)
  expect(await publish(g2, 'wmbusmeters/12345678')).toBe(true)
  expect(await publish(g2, 'crews/C-1')).toBe(false)
  g1.stream.destroy()
  await sleep(500)
  await Promise.all([g1.endAsync(true), g2.endAsync()])
  expect(heard).toEqual(['telemetry/v1/G-1/readings', 'wmbusmeters/12345678', 'telemetry/v1/G-1/status'])
  expect(read).toEqual([])
})
