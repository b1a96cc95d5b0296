import { expect, test } from 'vitest'
import { tasmota } from './tasmota.ts'

const decode = (body: unknown, settings: Record<string, unknown> = {}) =>
  tasmota.decode(Buffer.from(JSON.stringify(body)), {
    topic: 'tele/haus/SENSOR',
    receivedAtMs: 1_772_360_131_000,
    retained: false,
    settings,
    state: new Map(),
  })

test('the local time is worth something only with a zone', () => {
  const body = { Time: '2026-03-01T11:15:30', SML: { Total_in: 1.5 } }
  expect(decode(body).readings[0]?.tsMs).toBeUndefined()
  expect(decode(body, { timezone: 'Europe/Berlin' }).readings[0]?.tsMs).toBe(Date.UTC(2026, 2, 1, 10, 15, 30))
  expect(decode({ ...body, Time: '1970-01-01T01:00:07' }, { timezone: 'Europe/Berlin' }).readings[0]?.tsMs).toBeUndefined()
  expect(decode({ ...body, Time: 'soon' }).reason).toBe('impossible_time')
})

test('names that the settings declare', () => {
  const keys = { 'KAM.Menge': { quantity: 'water_volume_m3', unit: 'l' }, Druck: { quantity: 'pressure_bar', unit: 'mbar' } }
  const { readings } = decode({ KAM: { Menge: 1500, Druck: 3100, Sonst: 7 } }, { keys })
  expect(readings.map((r) => [r.quantity, r.value])).toEqual([
    ['water_volume_m3', 1.5],
    ['pressure_bar', 3.1],
  ])
  expect(decode({ KAM: { Menge: 1500 } }).disposition).toBe('accept_other')
})
