import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { HOUR_MS, MINUTE_MS, parseIso } from '#model/time.ts'
import { readDataSet } from '../deploy/dataset.ts'
import { startTestServers } from '../deploy/local/test-servers.ts'
import { writeRows } from './dataset/write.ts'
import type { Message } from './gateways/entry.ts'
import { toPacket } from './gateways/entry.ts'
import { loadSaved } from './position.ts'
import { connectPublisher } from './publisher.ts'
import { replay } from './replay.ts'
import { runSender, type SenderOptions } from './sender.ts'
import { makeTown, townDataSet } from './town.ts'
import { makeWorld, type World } from './world.ts'

const NOW = Date.parse('2026-03-15T10:00:00Z')
const town = makeTown(1)
let url: string
let world: World
let dir: string
let listener: mqtt.MqttClient
let heard: { topic: string; payload: string }[] = []

beforeAll(async () => {
  url = (await startTestServers()).mqtt.url
  world = await makeWorld(town, 'Asia/Shanghai')
  dir = mkdtempSync(join(tmpdir(), 'simulator-'))
  listener = await mqtt.connectAsync(url)
  listener.on('message', (topic, payload, packet) => {
    // What the broker kept from before, also of other tests, was not sent by this one.
    if (packet.retain) return
    heard.push({ topic, payload: payload.toString() })
  })
  await listener.subscribeAsync(['telemetry/v1/#', 'crews/#'], { qos: 1 })
})
afterAll(async () => {
  await listener.endAsync()
  world.close()
  rmSync(dir, { recursive: true, force: true })
})

/** What an uninterrupted simulation of a span would send. */
function expected(startMs: number, untilMs: number, liveMs: number): Message[] {
  const state = world.initial(startMs, [], liveMs)
  const out: Message[] = []
  while (state.nextMs < untilMs) out.push(...world.step(state, { liveMs, factor: 600, sequence: false }).messages)
  return out
}

const sleep = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))

async function send(over: Partial<SenderOptions> & Pick<SenderOptions, 'startMs' | 'liveMs' | 'untilMs' | 'stopping'>): Promise<void> {
  const publisher = await connectPublisher({ url, clientId: `test-${process.pid}` })
  const saved = loadSaved(dir, { seed: 1, startMs: over.startMs }, (problem) => {
    throw new Error(problem)
  })
  await runSender({
    world,
    state: saved.state ?? world.initial(over.startMs, [], over.liveMs),
    publisher,
    dir,
    factor: 600,
    sequence: false,
    resumeAfter: saved.position,
    throttle: async () => undefined,
    onEffects: () => undefined,
    onProgress: () => undefined,
    clock: Date.now,
    sleep,
    ...over,
  })
  await publisher.close()
}

test('an hour of history and a few minutes live arrive whole and in order, stopped twice on the way', async () => {
  const startMs = NOW - HOUR_MS
  const untilMs = NOW + 10 * MINUTE_MS
  const all = expected(startMs, untilMs, NOW)
  const span = { startMs, liveMs: NOW, untilMs }
  const wanted = all.map((m) => toPacket(m))
  heard = []
  for (const messages of [150, 160, Number.POSITIVE_INFINITY]) {
    let sent = 0
    await send({ ...span, stopping: () => sent >= messages, onProgress: (p) => (sent = p.messages) })
  }
  const said = () => heard.filter((m) => !m.topic.endsWith('/clock'))
  await vi.waitUntil(() => said().length >= wanted.length, { timeout: 30_000 })
  expect(said().map((m) => m.topic)).toEqual(wanted.map((m) => m.topic))
  expect(said().map((m) => m.payload)).toEqual(wanted.map((m) => m.payload))
  const times = heard.flatMap((m) =>
    m.topic.startsWith('telemetry/') ? [parseIso((JSON.parse(m.payload) as { receivedAt: string }).receivedAt)] : [],
  )
  expect(times).toEqual([...times].sort((a, b) => a - b))
})

test('a data set is replayed to its end, over a break as well', async () => {
  const folder = join(dir, 'set')
  await townDataSet(folder, 1, { nowMs: NOW, historyDays: 1 / 24, warmupDays: 0 })
  const rows = writeRows(folder)
  for (const m of expected(NOW - HOUR_MS, NOW, Number.POSITIVE_INFINITY)) await rows.write(m)
  await rows.close()
  const dataSet = await readDataSet(folder)
  const run = async (skip: number, stopAfter: number) => {
    const publisher = await connectPublisher({ url, clientId: `replay-${process.pid}` })
    const result = await replay({
      messages: dataSet.messages(),
      publisher,
      speed: Number.POSITIVE_INFINITY,
      skip,
      end: { gateway: 'GW-S-01', atMs: NOW + HOUR_MS },
      throttle: async () => undefined,
      onProgress: () => undefined,
      stopping: () => publisher.sent >= stopAfter,
      clock: Date.now,
      sleep,
    })
    await publisher.close()
    return result
  }
  heard = []
  const first = await run(0, 40)
  expect(first.complete).toBe(false)
  expect(first.acknowledged).toBe(40)
  const rest = await run(first.acknowledged, Number.POSITIVE_INFINITY)
  expect(rest.complete).toBe(true)
  expect(rest.readings).toBe(rows.rows.readings)
  await vi.waitUntil(() => heard.some((m) => m.topic.endsWith('/clock')), { timeout: 30_000 })
  const messages = heard
    .filter((m) => m.topic.endsWith('/readings'))
    .map((m) => JSON.parse(m.payload) as { readings: unknown[]; receivedAt: string })
  expect(messages).toHaveLength(rest.messages)
  expect(messages.reduce((n, m) => n + m.readings.length, 0)).toBe(rows.rows.readings)
  expect(heard.at(-1)?.payload).toContain('2026-03-15T11:00:00Z')
})
