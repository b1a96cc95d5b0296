// Each rule of days on a meter that breaks it and on one that does not; settings by class of meters; counts.
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { RULE_NAMES, VALIDATION_RULES } from '#model/validation-rules.ts'
import { settingsFor } from '../meter-class.ts'
import { ValidationSettings } from '../settings.ts'
import { aMeter, aSensor, aWaterMeter, Bench, MIDNIGHT, QUARTER } from '../validation.fixture.ts'
import { ASKED, DAY_RULES } from './index.ts'

const round = (v: number) => Math.round(v * 100) / 100
const MAIN = 'active_energy_import_kwh'
const REACTIVE = 'reactive_energy_import_kvarh'

/** A meter for some days, `perDay(day)` kWh each, hourly to be quick. */
function days(n: number, perDay: (day: number) => number, options: { asset?: object; settings?: Record<string, unknown> } = {}): Bench {
  const b = new Bench([aMeter({ interval_s: 3600, account: 'A', ...options.asset })], { settings: options.settings ?? {} })
  let register = 100
  b.read({ ts: MIDNIGHT, value: register })
  for (let h = 0; h < n * 24; h++) {
    register = register + perDay(Math.floor(h / 24)) / 24
    b.read({ ts: MIDNIGHT + (h + 1) * HOUR_MS, value: round(register) })
  }
  return b
}
const rulesOn = (b: Bench, day: number) =>
  b.days.find((d) => d.date === new Date(MIDNIGHT + day * DAY_MS).toISOString().slice(0, 10))?.rules

it('every rule of the model is asked somewhere, and no other', () => {
  const asked = [...DAY_RULES.map((r) => r.name), ...Object.keys(ASKED)]
  expect([...new Set(asked)].sort()).toEqual(RULE_NAMES.filter((n) => VALIDATION_RULES[n].level !== 'method').sort())
  for (const file of Object.values(ASKED)) expect(existsSync(new URL(`../${file}`, import.meta.url)), file).toBe(true)
})

describe('rules of days', () => {
  it('an ordinary meter breaks none', () => {
    const b = days(20, (d) => 9 + (d % 3))
    expect(b.days).toHaveLength(20)
    expect(b.days.flatMap((d) => d.rules)).toEqual([])
  })

  it('high_usage and low_usage: far from the usual', () => {
    const b = days(20, (d) => (d === 15 ? 40 : d === 17 ? 1 : 10), { settings: { rules: { unit_multiplier: { enabled: false } } } })
    expect([15, 16, 17].map((d) => rulesOn(b, d))).toEqual([['high_usage'], [], ['low_usage']])
  })

  it('zero_usage: the first day without use, and not of a meter that rests now and then', () => {
    const b = days(24, (d) => (d === 10 || d === 20 ? 0 : 10))
    expect([10, 20].map((d) => rulesOn(b, d))).toEqual([['zero_usage'], []])
  })

  it('unit_multiplier: a power of ten, days in a row', () => {
    const b = days(20, (d) => (d >= 12 ? 102 : 10), { settings: { rules: { high_usage: { enabled: false } } } })
    expect([12, 13, 14, 15].map((d) => rulesOn(b, d))).toEqual([[], [], ['unit_multiplier'], ['unit_multiplier']])
  })

  it.each([
    ['closed by the registry', { status: 'closed' }, ['inactive_account']],
    ['without an account', { account: undefined }, ['inactive_account']],
    ['with one', {}, []],
    ['a check meter', { role: 'transformer', account: undefined }, []],
  ])('inactive_account: %s', (_name, asset, rules) => {
    expect(
      rulesOn(
        days(2, () => 1, { asset }),
        1,
      ),
    ).toEqual(rules)
  })

  it('interval_size: reads every two hours where the registry says one', () => {
    const b = new Bench([aMeter({ interval_s: 3600, account: 'A' })])
    for (let k = 0; k <= 120; k++) b.read({ ts: MIDNIGHT + 2 * k * HOUR_MS, value: 100 + k })
    b.wait(b.nowMs + HOUR_MS)
    expect(b.lastDays()[8]?.rules).toEqual(['interval_size'])
  })

  it('prolonged_estimation: mostly estimated for as long as is set', () => {
    const b = new Bench([aMeter({ interval_s: 3600, account: 'A' })], { settings: { rules: { prolonged_estimation: { days: 3 } } } })
    for (let d = 0; d < 8; d++) b.read({ ts: MIDNIGHT + d * DAY_MS, value: 100 + d * 10 })
    b.wait(b.nowMs + HOUR_MS)
    expect(b.lastDays().map((d) => d.rules.includes('prolonged_estimation'))).toEqual([false, false, true, true, true, true, true])
  })

  it('missing_sibling: a register of the device fell silent', () => {
    const b = new Bench([aMeter({ interval_s: 3600, account: 'A' })])
    for (let h = 0; h <= 72; h++) {
      b.read({ ts: MIDNIGHT + h * HOUR_MS, value: 100 + h })
      if (h < 30) b.read({ ts: MIDNIGHT + h * HOUR_MS, value: 5, quantity: 'active_energy_export_kwh' })
    }
    const main = b.days.filter((d) => d.quantity === MAIN)
    expect(main.map((d) => d.rules)).toEqual([[], [], ['missing_sibling']])
  })

  it.each([
    ['a usual power factor', 10, 4, []],
    ['an extreme one', 10, 90, ['reactive']],
    ['reactive energy alone', 0, 40, ['reactive']],
  ])('reactive: %s', (_name, active, reactive, rules) => {
    const b = new Bench([aMeter({ interval_s: 3600, account: 'A' })])
    for (let h = 0; h <= 48; h++) {
      b.read({ ts: MIDNIGHT + h * HOUR_MS, value: round(100 + (h * active) / 24) })
      b.read({ ts: MIDNIGHT + h * HOUR_MS, value: round(50 + (h * reactive) / 24), quantity: REACTIVE })
    }
    expect(b.days.filter((d) => d.quantity === REACTIVE).map((d) => d.rules)).toEqual([rules, rules])
  })

  it('sum_check: intervals add up to the register, through gaps, rollovers and late reads; an edit that does not is named', () => {
    const b = new Bench([aMeter({ account: 'A', digits: 4 })])
    for (let k = 0; k <= 192; k++) {
      if (k % 50 === 20) continue
      b.read({ ts: MIDNIGHT + k * QUARTER, value: round((9990 + k * 0.25) % 10_000) })
    }
    b.read({ ts: MIDNIGHT + 20 * QUARTER, value: 9995, at: b.nowMs + MINUTE_MS }).wait(b.nowMs + 8 * HOUR_MS)
    expect(b.lastDays()).toEqual([expect.objectContaining({ value: 24, rules: [] }), expect.objectContaining({ value: 24, rules: [] })])
  })

  it('sum_check_tariffs: the registers by tariff against the total', () => {
    const run = (share: number) => {
      const b = new Bench([aMeter({ interval_s: 3600, account: 'A' })])
      for (let h = 0; h <= 24; h++) {
        b.read({ ts: MIDNIGHT + h * HOUR_MS, value: 100 + h })
        b.read({ ts: MIDNIGHT + h * HOUR_MS, value: round(40 + h * 0.4), channel: 't1' })
        b.read({ ts: MIDNIGHT + h * HOUR_MS, value: round(60 + h * share), channel: 't2' })
      }
      return b.days.map((d) => d.rules)
    }
    expect(run(0.6)).toEqual([[], [], []])
    expect(run(0.5)).toEqual([[], [], ['sum_check_tariffs']])
  })
})

describe('rules of zones', () => {
  it.each([
    ['losses as they should be', 1.03, 0],
    ['a third is missing', 1.5, 1],
    ['customers use more than went in', 0.9, 1],
  ])('sum_check_transformer: %s', (_name, factor, n) => {
    const b = new Bench([
      aMeter({ id: 'C', interval_s: 3600, transformer: 'T', account: 'A' }),
      aMeter({ id: 'T-M', interval_s: 3600, transformer: 'T', role: 'transformer' }),
    ])
    for (let h = 0; h <= 30; h++) {
      b.read({ device: 'C', ts: MIDNIGHT + h * HOUR_MS, value: 100 + h })
      b.read({ device: 'T-M', ts: MIDNIGHT + h * HOUR_MS, value: round(500 + h * factor) })
    }
    b.wait(MIDNIGHT + 33 * HOUR_MS)
    expect(b.fired('sum_check_transformer')).toBe(n)
  })

  it.each([
    ['what flows in is used', 2.1, 0],
    ['most of it is lost', 6, 1],
  ])('sum_check_district: %s', (_name, flow, n) => {
    const meter = aSensor({ id: 'F', kind: 'flow_meter', link: 'p', flows: [{ dma: 'F', sign: 1 }], interval_s: 900 })
    const b = new Bench([aWaterMeter({ id: 'W-1', account: 'A' }), aWaterMeter({ id: 'W-2', account: 'B' }), meter], { kind: 'dma' })
    for (let q = 0; q <= 120; q++) {
      b.read({ device: 'F', ts: MIDNIGHT + q * QUARTER, value: flow, quantity: 'flow_m3h' })
      if (q % 4 === 0) for (const w of ['W-1', 'W-2']) b.read({ device: w, ts: MIDNIGHT + q * QUARTER, value: 10 + q / 4 })
    }
    b.wait(MIDNIGHT + 33 * HOUR_MS)
    expect(b.fired('sum_check_district')).toBe(n)
  })
})

describe('rules of reads', () => {
  it('time_tolerance: stamped an interval ahead of its receipt', () => {
    const b = new Bench([aMeter()])
    b.read({ ts: MIDNIGHT, value: 1 }).read({ ts: MIDNIGHT + 3 * QUARTER, value: 2, at: MIDNIGHT + QUARTER })
    expect(b.accepted.map((r) => r.rules)).toEqual([[], ['time_tolerance']])
  })

  it('are counted by local day and class, repeats and conflicts too', () => {
    const b = new Bench([aMeter()])
    b.run(MIDNIGHT, [100, 101, 102, 0, 103])
    b.read({ ts: MIDNIGHT, value: 100 })
      .read({ ts: MIDNIGHT, value: 7 })
      .wait(b.nowMs + HOUR_MS)
    expect(b.counts.get('2025-11-03|negative|power_household')).toBe(1)
    expect(b.counts.get('2025-11-03|duplicate|power_household')).toBe(1)
    expect(b.counts.get('2025-11-03|conflicting_value|power_household')).toBe(1)
    expect(b.fired('transient_spike')).toBe(2)
  })
})

describe('settings by class of meters', () => {
  it('stand over the common ones, rule by rule', () => {
    const s = ValidationSettings.parse({
      spikeFactor: 3,
      rules: { high_usage: { factor: 4 } },
      classes: { power_large: { spikeFactor: 6, rules: { high_usage: { minSteps: 5 }, low_usage: { enabled: false } } } },
    })
    const large = settingsFor(s, 'power_large')
    expect([large.spikeFactor, settingsFor(s, 'water_large').spikeFactor]).toEqual([6, 3])
    expect(large.rules.high_usage).toEqual({ enabled: true, factor: 4, minSteps: 5 })
    expect(large.rules.low_usage?.enabled).toBe(false)
  })

  it.each([
    ['a name that does not exist', { power_large: { spikeFactr: 2 } }, 'spikeFactr'],
    ['a value out of bounds', { power_large: { spikeFactor: 0 } }, 'spikeFactor'],
    ['a class that does not exist', { houses: {} }, 'houses'],
  ])('are refused with %s', (_name, classes, named) => {
    expect(JSON.stringify(ValidationSettings.safeParse({ classes }).error?.issues)).toContain(named)
  })

  it('decide what fires', () => {
    const settings = { classes: { power_large: { rules: { high_usage: { factor: 8 } } } } }
    const asset = { multiplier: 20 }
    const use = (d: number) => (d === 15 ? 2.5 : 0.5)
    expect(rulesOn(days(17, use, { asset }), 15)).toEqual(['high_usage'])
    expect(rulesOn(days(17, use, { asset, settings }), 15)).toEqual([])
  })
})
