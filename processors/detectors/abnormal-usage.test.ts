// A transformer with a check meter and six homes over four weeks: what theft looks like, and what only looks like it.
import { describe, expect, test } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import type { FindingDraft } from '#model/finding.ts'
import type { Interval } from '#model/interval.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import type { DetectorContext } from '../fold.ts'
import { createZoneContext } from '../zone-context.ts'
import { aDevice, aZone } from '../zone-fold.fixture.ts'
import { abnormalUsage } from './abnormal-usage.ts'
import { random } from './power.fixture.ts'

const START_MS = Date.UTC(2026, 2, 2)
const STEP_MS = 900_000
const HOMES = ['M1', 'M2', 'M3', 'M4', 'M5', 'M6']

interface Life {
  days?: number
  /** True use and what the meter shows of it, kWh of one interval. */
  use?: (home: string, day: number, kwh: number) => number
  shown?: (home: string, day: number, kwh: number) => number
  exported?: (home: string, day: number, hour: number) => number
  checkMeter?: boolean
  interval?: (i: Interval) => Interval
  warmupDays?: number
}

function live(life: Life): FindingDraft[] {
  const meter = (id: string, role: string): AssetProperties =>
    ({ id, kind: 'electric_meter', role, transformer: 'T1', feeder: 'F1', gateway: 'G', interval_s: 900 }) as AssetProperties
  const devices = HOMES.map((id) => aDevice(meter(id, 'customer')))
  if (life.checkMeter !== false) devices.push(aDevice(meter('C1', 'transformer')))
  const zone = createZoneContext({ ...aZone('F1', devices), kind: 'feeder', timezone: 'UTC' })
  const drafts: FindingDraft[] = []
  let nowMs = START_MS
  const ctx = {
    get nowMs() {
      return nowMs
    },
    zone,
    settings: abnormalUsage.settings.parse({}),
    operations: [],
    warmingUp: false,
    emit: (d: FindingDraft) => drafts.push(structuredClone(d)),
    summarise: () => undefined,
    measure: () => undefined,
  } as DetectorContext<ReturnType<typeof abnormalUsage.settings.parse>>
  let state = abnormalUsage.create(zone)
  const draw = random(7)
  const give = (id: string, startMs: number, value: number, quantity: Interval['quantity'] = 'active_energy_import_kwh') => {
    const i: Interval = {
      meter: id,
      quantity,
      channel: '',
      startMs,
      endMs: startMs + STEP_MS,
      value,
      status: 'actual',
      reasons: [],
      rev: 1,
    }
    const info = zone.device(id)
    if (info !== undefined) abnormalUsage.onInterval?.(state, life.interval?.(i) ?? i, info, ctx)
  }
  for (let t = START_MS; t < START_MS + (life.days ?? 28) * DAY_MS; t += STEP_MS) {
    nowMs = t + STEP_MS
    const day = Math.floor((t - START_MS) / DAY_MS)
    const hour = ((t - START_MS) % DAY_MS) / HOUR_MS
    let sum = 0
    for (const home of HOMES) {
      const shape = 0.1 + 0.3 * Math.exp(-((hour - 19) ** 2) / 6) + 0.15 * Math.exp(-((hour - 7) ** 2) / 3)
      const used = life.use?.(home, day, shape * (0.5 + draw())) ?? shape * (0.5 + draw())
      const out = life.exported?.(home, day, hour) ?? 0
      sum += used - out
      give(home, t, life.shown?.(home, day, used) ?? used)
      if (out > 0) give(home, t, out, 'active_energy_export_kwh')
    }
    give('C1', t, Math.max(0, sum * 1.02 + 0.05))
    abnormalUsage.onTick?.(state, { kind: 'tick', nowMs, ingest: 'i', brokerConnected: true, gatewaysOnline: 1 }, ctx)
    // State must survive being saved and loaded, anywhere.
    if (hour === 6) state = structuredClone(state)
  }
  return drafts
}

const of = (drafts: FindingDraft[]) => drafts.map((d) => `${d.subtype} ${d.scope.id}${d.clearedAtMs ? ' cleared' : ''}`)

describe('with a totalising meter', () => {
  test('a bypass is found within a week, at the right meter, with its share', () => {
    const drafts = live({ shown: (home, day, kwh) => (home === 'M3' && day >= 14 ? kwh * 0.4 : kwh) })
    expect(of(drafts)).toEqual(['bypass M3'])
    const [bypass] = drafts
    expect((bypass?.onsetMs ?? 0) - (START_MS + 14 * DAY_MS)).toBeLessThan(3 * DAY_MS)
    expect(bypass?.evidence[0]?.bypassedShare).toBeCloseTo(0.6, 1)
  })

  test('an empty home is no bypass: nothing is missing', () => {
    expect(live({ use: (home, day, kwh) => (home === 'M2' && day >= 14 ? 0.02 : kwh) })).toEqual([])
  })

  test('after the repair the finding ends', () => {
    expect(of(live({ days: 32, shown: (home, day, kwh) => (home === 'M3' && day >= 14 && day < 22 ? kwh * 0.4 : kwh) }))).toEqual([
      'bypass M3',
      'bypass M3 cleared',
    ])
  })

  test('missing reads of a neighbour neither accuse nor acquit', () => {
    const drafts = live({
      shown: (home, day, kwh) => (home === 'M3' && day >= 14 ? kwh * 0.4 : kwh),
      interval: (i) => (i.meter === 'M5' && (i.startMs / STEP_MS) % 4 === 0 ? { ...i, status: 'estimated' } : i),
    })
    expect(of(drafts)).toEqual(['bypass M3'])
  })
})

describe('without a totalising meter', () => {
  test('a lasting drop that keeps its shape is a suspicion', () => {
    const drafts = live({ checkMeter: false, shown: (home, day, kwh) => (home === 'M3' && day >= 18 ? kwh * 0.4 : kwh) })
    expect(of(drafts)).toEqual(['bypass M3'])
    expect(drafts[0]?.confidence).toBeLessThan(0.8)
  })

  test('all homes using less is the season', () => {
    expect(live({ checkMeter: false, use: (_, day, kwh) => (day >= 18 ? kwh * 0.55 : kwh) })).toEqual([])
  })
})

test('use far above its own history is told after two days, and ends', () => {
  const drafts = live({ use: (home, day, kwh) => (home === 'M4' && day >= 12 && day < 18 ? kwh + 0.96 : kwh) })
  expect(of(drafts)).toEqual(['high_usage M4', 'high_usage M4 cleared'])
})

test('export without registered generation is told the same hour', () => {
  const drafts = live({ days: 12, exported: (home, day, hour) => (home === 'M1' && day >= 10 && hour > 10 && hour < 14 ? 0.5 : 0) })
  expect(of(drafts)).toEqual(['reverse_flow M1'])
  expect(drafts[0]?.onsetMs).toBeLessThan(START_MS + 10 * DAY_MS + 12 * HOUR_MS)
})

test('reads that validation refused because the register stands still become a finding that ends when it moves', () => {
  const stuck = (i: Interval) => i.meter === 'M6' && i.startMs >= START_MS + 10 * DAY_MS && i.startMs < START_MS + 12 * DAY_MS
  const drafts = live({ days: 20, interval: (i) => (stuck(i) ? { ...i, status: 'rejected', reasons: ['stuck_register', 'like_day'] } : i) })
  expect(of(drafts)).toEqual(['stuck_register M6', 'stuck_register M6 cleared'])
})

test('ordinary homes raise nothing', () => {
  expect(live({ days: 42 })).toEqual([])
})
