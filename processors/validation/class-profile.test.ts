// A new meter has no history: its class lends it one.
import { describe, expect, it } from 'vitest'
import { HOUR_MS } from '#model/time.ts'
import { aMeter, Bench, MIDNIGHT } from './validation.fixture.ts'

const round = (v: number) => Math.round(v * 100) / 100
/** Nothing by night, two units an hour by day. */
const atHour = (h: number) => (h % 24 >= 8 && h % 24 < 20 ? 2 : 0)

/** Some meters for some days, and a new one that is read once at the beginning of day 5 and once a day later. */
function town(neighbours: number, more: object = {}): Bench {
  const ids = Array.from({ length: neighbours }, (_, k) => `N-${k}`)
  const asset = { interval_s: 3600, account: 'A' }
  const b = new Bench([...ids.map((id) => aMeter({ id, ...asset })), aMeter({ id: 'NEW', ...asset, ...more })])
  const faces = ids.map(() => 100)
  for (let h = 0; h <= 6 * 24; h++) {
    for (const [k, id] of ids.entries()) {
      b.read({ device: id, ts: MIDNIGHT + h * HOUR_MS, value: round(faces[k] as number) })
      faces[k] = (faces[k] as number) + atHour(h) * (1 + k)
    }
    if (h === 120 || h === 144) b.read({ device: 'NEW', ts: MIDNIGHT + h * HOUR_MS, value: 50 + (h - 120) })
  }
  return b.wait(b.nowMs + HOUR_MS)
}

describe('the profile of a class', () => {
  it('shapes the use of a meter without history, scaled to its register', () => {
    const own = town(4).last('NEW')
    expect(own).toHaveLength(24)
    expect(own.reduce((s, i) => s + (i.value ?? 0), 0)).toBeCloseTo(24, 6)
    for (const [h, i] of own.entries()) {
      expect(i.reasons).toEqual(['gap', 'class_profile'])
      expect(i.value ?? 0).toBeCloseTo(atHour(h), 1)
    }
  })

  it('is that of its own class; where there is none the use is spread evenly', () => {
    for (const b of [town(4, { multiplier: 20 }), town(2)]) {
      const own = b.last('NEW')
      expect(new Set(own.map((i) => i.reasons.join()))).toEqual(new Set(['gap,linear']))
      expect(new Set(own.map((i) => round((i.value ?? 0) / (own[0]?.value ?? 1))))).toEqual(new Set([1]))
    }
  })
})
