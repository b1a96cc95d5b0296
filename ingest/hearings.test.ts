import { expect, test } from 'vitest'
import type { DecodedReading } from './format.ts'
import { HEARING_MS, Hearings } from './hearings.ts'

const T0 = Date.UTC(2026, 2, 1)
const reading = (tsMs: number | undefined, value = 5, more: Partial<DecodedReading> = {}): DecodedReading => ({
  device: 'W-1',
  quantity: 'water_volume_m3',
  value,
  tsMs,
  ...more,
})
const heard = (hearings: Hearings, gateway: string, r: DecodedReading, receivedAtMs: number) => {
  hearings.align(gateway, [r], receivedAtMs)
  return r.tsMs
}

test('a telegram that a second receiver brings has the time of the first', () => {
  const h = new Hearings()
  expect(heard(h, 'A', reading(T0), T0 + 100)).toBe(T0)
  expect(heard(h, 'B', reading(T0 + 1_000), T0 + 1_200)).toBe(T0)
  expect(heard(h, 'C', reading(T0 - 2_000), T0 + 300)).toBe(T0)
})

test('without a time of its own it has that of the first receipt', () => {
  const h = new Hearings()
  expect(heard(h, 'A', reading(undefined), T0)).toBeUndefined()
  expect(heard(h, 'B', reading(undefined), T0 + 700)).toBe(T0)
})

test('another value, the same receiver, another series or a later telegram is a reading of its own', () => {
  const h = new Hearings()
  heard(h, 'A', reading(T0), T0)
  expect(heard(h, 'B', reading(T0 + 1_000, 6), T0 + 1_000)).toBe(T0 + 1_000)
  const again = new Hearings()
  heard(again, 'A', reading(T0), T0)
  expect(heard(again, 'A', reading(T0 + 1_000), T0 + 1_000)).toBe(T0 + 1_000)
  expect(heard(again, 'B', reading(T0, 5, { tariff: 1 }), T0)).toBe(T0)
  const late = T0 + 1_000 + HEARING_MS + 1
  expect(heard(again, 'B', reading(late), late)).toBe(late)
  expect(heard(again, 'C', reading(T0 + 1_000), late)).toBe(T0 + 1_000)
})

test('signals are of each receiver', () => {
  const h = new Hearings()
  heard(h, 'A', reading(T0, -80, { quantity: 'rssi_dbm', channel: 'A' }), T0)
  expect(heard(h, 'B', reading(T0 + 1, -80, { quantity: 'rssi_dbm', channel: 'A' }), T0)).toBe(T0 + 1)
})
