// A crew's position, from its own topic or from OwnTracks' usual one, ends in the topic of crews; of an unknown crew in quarantine.
import { expect, test } from 'vitest'
import { MQTT_CREWS_FILTER } from '#model/topics.ts'
import { Batch } from '../batch.ts'
import { createDecoder } from '../decode.ts'
import { registryView } from '../registry-view.ts'
import { route } from '../route.ts'
import { parseSettings } from '../settings.ts'
import { filterCovers } from '../topic-filter.ts'

const TOPICS = { telemetry: 'telemetry', quarantine: 'quarantine', crews: 'crews' }
const payload = Buffer.from(JSON.stringify({ _type: 'location', lat: 59.4, lon: 24.7, acc: 12, batt: 80, vel: 30, tst: 1_772_360_130 }))
const registry = registryView([{ id: 'C-7', kind: 'crew', name: 'Seven' } as never])

function recordsOf(topic: string, settings = '') {
  const message = { topic, payload, retained: false, receivedAtMs: 1_772_360_131_000 }
  const batch = new Batch(TOPICS, 1)
  route({ ...message, redelivered: false, ...createDecoder(parseSettings(settings))(message) }, registry, batch)
  return batch.finish().map((r) => ({ topic: r.topic, key: r.key, value: JSON.parse(String(r.value)) as unknown }))
}

const position = {
  crew: 'C-7',
  tsMs: 1_772_360_130_000,
  lon: 24.7,
  lat: 59.4,
  accuracyM: 12,
  batteryPct: 80,
  speedKmh: 30,
  receivedAtMs: 1_772_360_131_000,
}

test('crews/CREW', () => {
  expect(recordsOf('crews/C-7')).toEqual([{ topic: 'crews', key: 'C-7', value: position }])
})

test('owntracks/USER/DEVICE, mapped to a crew by the settings', () => {
  const settings = JSON.stringify({ devices: { 'ana/phone': 'C-7' } })
  expect(recordsOf('owntracks/ana/phone', settings)).toEqual([{ topic: 'crews', key: 'C-7', value: position }])
})

test('a crew that the registry does not know', () => {
  expect(recordsOf('owntracks/ana/phone')).toMatchObject([
    { topic: 'quarantine', value: { reason: 'unknown_device', device: 'ana/phone' } },
  ])
})

test('both topics are subscribed by default', () => {
  const { sources } = parseSettings('')
  for (const filter of [MQTT_CREWS_FILTER, 'owntracks/+/+'])
    expect(
      sources.some((s) => filterCovers(s.topic, filter)),
      filter,
    ).toBe(true)
})
