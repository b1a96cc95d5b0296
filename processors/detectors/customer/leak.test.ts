// A home and a block over four weeks of hourly litres: leaks, and what is none.
import { describe, expect, test } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import type { FindingDraft } from '#model/finding.ts'
import type { IntervalStatus } from '#model/interval.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import type { DetectorContext } from '../../fold.ts'
import { createZoneContext } from '../../zone-context.ts'
import { aDevice, aZone } from '../../zone-fold.fixture.ts'
import { random } from '../power.fixture.ts'
import { customerLeak } from './leak.ts'

const START_MS = Date.UTC(2026, 2, 2)

/** Litres that a home uses in an hour: rest at night, now and then at day. */
function home(hour: number, draw: () => number): number {
  const chance = hour < 6 ? 0.04 : hour < 9 || hour > 17 ? 0.85 : 0.45
  return draw() < chance ? Math.round(5 + draw() * 60) : 0
}

const block = (hour: number, draw: () => number): number => Math.round((hour < 5 ? 25 : 120) * (0.8 + 0.4 * draw()))

/** Nobody at home for the first `days`, nor between two days: a tap drips now and then. */
function away(days: number, between = [0, 0]): (hour: number, draw: () => number, day: number) => number {
  return (hour, draw, day) => {
    const litres = home(hour, draw)
    const gone = day < days || (day >= (between[0] as number) && day < (between[1] as number))
    return gone ? (litres > 55 ? 1 : 0) : litres
  }
}

interface Life {
  use?: (hour: number, draw: () => number, day: number) => number
  /** Litres that are added in an hour. */
  leak?: (day: number, hour: number) => number
  status?: (day: number, hour: number) => IntervalStatus
  days?: number
}

function live(life: Life): FindingDraft[] {
  const asset = { id: 'W1', kind: 'water_meter', gateway: 'G', dma: 'Z', interval_s: 3600 } as AssetProperties
  const zone = createZoneContext(aZone('Z', [aDevice(asset)]))
  const info = zone.device('W1')
  if (info === undefined) throw new Error('the zone has its meter')
  const drafts: FindingDraft[] = []
  const ctx = {
    nowMs: START_MS,
    zone,
    settings: customerLeak.settings.parse({}),
    operations: [],
    warmingUp: false,
    emit: (d: FindingDraft) => drafts.push(structuredClone(d)),
    summarise: () => undefined,
    measure: () => undefined,
  } as DetectorContext<ReturnType<typeof customerLeak.settings.parse>>
  let state = customerLeak.create(zone)
  const draw = random(3)
  for (let t = START_MS; t < START_MS + (life.days ?? 28) * DAY_MS; t += HOUR_MS) {
    const day = Math.floor((t - START_MS) / DAY_MS)
    const hour = ((t - START_MS) % DAY_MS) / HOUR_MS
    const litres = (life.use ?? home)(hour, draw, day) + (life.leak?.(day, hour) ?? 0)
    const status = life.status?.(day, hour) ?? 'actual'
    customerLeak.onInterval?.(
      state,
      {
        meter: 'W1',
        quantity: 'water_volume_m3',
        channel: '',
        startMs: t,
        endMs: t + HOUR_MS,
        value: litres / 1000,
        status,
        reasons: [],
        rev: 1,
      },
      info,
      ctx,
    )
    if (hour === 6) state = structuredClone(state)
  }
  return drafts
}

const of = (drafts: FindingDraft[]) => drafts.map((d) => `${d.reason} day ${(((d.clearedAtMs ?? d.onsetMs) - START_MS) / DAY_MS) | 0}`)

describe('a leak that never stops', () => {
  test('is found within a day and a half, with its size, and ends when the tap is shut', () => {
    const drafts = live({ leak: (day) => (day >= 14 && day < 20 ? 15 : 0) })
    expect(of(drafts)).toEqual([expect.stringMatching(/^never-rests day 1[34]/), expect.stringMatching(/^at-rest-again day (19|2[01])/)])
    expect(drafts[0]?.size?.flowM3h).toBeCloseTo(0.015, 2)
  })

  test('a cistern whose inflow wavers from hour to hour is found too', () => {
    expect(live({ leak: (day, hour) => (day >= 12 ? 4 + ((hour * 7 + day) % 5) : 0) }).length).toBeGreaterThan(0)
  })

  test('under a block that never rests, the nights tell', () => {
    expect(of(live({ use: block, leak: (day) => (day >= 14 ? 45 : 0) }))[0]).toMatch(/^never-rests/)
  })
})

describe('what is no leak', () => {
  test.each<[string, Life]>([
    ['a month of ordinary use', {}],
    ['a block that never rests', { use: block }],
    ['filling a pool for 22 hours', { leak: (day, hour) => ((day === 14 && hour >= 2) || (day === 15 && hour < 1) ? 700 : 0) }],
    ['irrigation each night', { leak: (day, hour) => (day >= 12 && (hour === 2 || hour === 3) ? 340 : 0) }],
    ['a return after days away at the very beginning', { use: away(5) }],
    ['a return after days away later on', { use: away(0, [15, 19]) }],
    ['a home that stands empty', { use: (hour, draw) => (draw() < 0 ? hour : 0) }],
  ])('%s', (_, life) => expect(live(life)).toEqual([]))

  test('estimates neither trigger nor clear', () => {
    expect(live({ leak: (day) => (day >= 14 ? 15 : 0), status: (day) => (day >= 14 ? 'estimated' : 'actual') })).toEqual([])
  })
})
