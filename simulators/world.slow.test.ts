import { deserialize, serialize } from 'node:v8'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import type { Message, RawReading } from './gateways/entry.ts'
import { metersWithout } from './power/sim.ts'
import type { Effect, Leak, Outage } from './scenarios/effect.ts'
import { coefficientFor, leakPlaces } from './scenarios/scenario.ts'
import { makeTown } from './town.ts'
import { makeWorld, STEP_MS, type StepOutput, type World, type WorldState } from './world.ts'

// Hydraulics of hours take a second or two, more on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const START = Date.parse('2026-03-02T06:00:00Z')
const NEVER = Number.POSITIVE_INFINITY
const town = makeTown(1)
let world: World
beforeAll(async () => {
  world = await makeWorld(town, 'Asia/Shanghai')
})
afterAll(() => world.close())

function run(
  effects: readonly Effect[],
  ms: number,
  from: WorldState = world.initial(START, effects, NEVER),
): { steps: StepOutput[]; state: WorldState } {
  const steps: StepOutput[] = []
  const until = from.nextMs + ms
  while (from.nextMs < until) steps.push(world.step(from, { liveMs: NEVER, factor: 60, sequence: false }))
  return { steps, state: from }
}
const messagesOf = (steps: readonly StepOutput[]): Message[] => steps.flatMap((s) => s.messages)
const readingsOf = (steps: readonly StepOutput[]): RawReading[] =>
  messagesOf(steps).flatMap((m) => (m.kind === 'readings' ? m.readings : []))
const node = leakPlaces(town, 2)[40] as { node: number; link: number }
const burst: Leak = {
  type: 'leak',
  id: 'b',
  kind: 'burst',
  ...node,
  coefficient: coefficientFor(70),
  startMs: START + HOUR_MS,
  fullMs: START + HOUR_MS,
  endMs: START + 10 * DAY_MS,
}

describe('a world', () => {
  test('says the same for the same seed, also when it goes on from a saved state', () => {
    const whole = messagesOf(run([burst], 3 * HOUR_MS).steps)
    const first = run([burst], 75 * MINUTE_MS)
    const rest = run([], 105 * MINUTE_MS, deserialize(serialize(first.state)) as WorldState)
    expect(messagesOf([...first.steps, ...rest.steps])).toEqual(whole)
  })

  test('sends in order of receipt, after the readings were taken, and numbers the messages of a gateway', () => {
    const all = messagesOf(run([], 2 * HOUR_MS).steps)
    const seq = new Map<string, Set<number>>()
    let last = 0
    for (const m of all) {
      expect(m.atMs).toBeGreaterThanOrEqual(last)
      last = m.atMs
      if (m.kind !== 'readings') continue
      expect(m.readings.filter((r) => r.tsMs > m.atMs)).toEqual([])
      seq.set(m.gateway, (seq.get(m.gateway) ?? new Set()).add(m.seq))
    }
    for (const numbers of seq.values()) expect(Math.max(...numbers) - Math.min(...numbers) + 1).toBe(numbers.size)
  })

  test('keeps the mass: what flows into a district is used or leaks there', () => {
    const { steps } = run([burst], 2 * HOUR_MS)
    for (const s of steps) {
      const inflow = town.plan.districts.map(() => 0)
      town.water.flowMeters.forEach((f, i) => {
        for (const t of f.flows) inflow[t.district] = (inflow[t.district] as number) + t.sign * (s.water?.result.flowM3h[i] as number)
      })
      inflow.forEach((q, d) => {
        const used = (s.water?.consumptionM3h[d] as number) + (s.water?.result.leakageM3h[d] as number)
        expect(Math.abs(q - used)).toBeLessThan(0.01 + 0.002 * used)
      })
    }
  })

  test('everybody in the fully metered district has a meter: registers add up to its use', () => {
    const { steps, state } = run([], 3 * HOUR_MS)
    const before = world.initial(START, [], NEVER).water.registerM3
    const used = steps.reduce((sum, s) => sum + (s.water?.consumptionM3h[1] as number) / 12, 0)
    let turned = 0
    town.waterMeters.forEach((m, i) => {
      if (town.premises[m.premise]?.district === 1) turned += (state.water.registerM3[i] as number) - (before[i] as number)
    })
    expect(turned).toBeCloseTo(used, 6)
  })

  test('registers never fall', () => {
    const last = new Map<string, RawReading>()
    const rows = readingsOf(run([], 3 * HOUR_MS).steps).filter((r) => /_m3$|_kwh$/.test(r.quantity))
    expect(rows.length).toBeGreaterThan(14_000)
    const fallen: string[] = []
    for (const r of rows.sort((a, b) => a.tsMs - b.tsMs)) {
      const key = `${r.device}|${r.quantity}`
      const before = last.get(key)
      // A few registers are about to roll over.
      if (before !== undefined && before.value < 99_900 && r.value < before.value) fallen.push(key)
      last.set(key, r)
    }
    expect(fallen).toEqual([])
  })
})

test('a burst lowers the pressure around it and raises the inflow by what it lets out', () => {
  const calm = run([], 90 * MINUTE_MS).steps.at(-1)?.water
  const hurt = run([burst], 90 * MINUTE_MS).steps.at(-1)?.water
  const drops = town.water.pressureSensors.map((_, i) => (calm?.result.pressureBar[i] as number) - (hurt?.result.pressureBar[i] as number))
  expect(Math.max(...drops)).toBeGreaterThan(0.15)
  const loss = hurt?.lossM3h.get('b') as number
  expect(loss).toBeGreaterThan(40)
  // The standing leakage of the district gives way a little as the pressure falls.
  const leakage = (s: typeof calm) => s?.result.leakageM3h[2] as number
  expect(leakage(hurt) - leakage(calm)).toBeLessThan(loss)
  expect(leakage(hurt) - leakage(calm)).toBeGreaterThan(loss * 0.9)
})

describe('an outage of a transformer', () => {
  const transformer = town.power.meters.find((m) => m.role === 'transformer')?.transformer as number
  const id = town.power.transformers[transformer]?.id as string
  const meters = metersWithout(town, 'transformer', id)
  const outage: Outage = {
    type: 'outage',
    id: 'o',
    level: 'transformer',
    node: id,
    meters,
    gaspShare: 0.6,
    planned: false,
    startMs: START + 67 * MINUTE_MS,
    endMs: START + 128 * MINUTE_MS,
  }
  const names = new Set(meters.map((m) => town.power.meters[m]?.id))

  test('stops reads and energy of its meters, only theirs, and a part of them gasps', () => {
    const { steps } = run([outage], 150 * MINUTE_MS)
    const inside = readingsOf(steps).filter((r) => names.has(r.device) && r.tsMs >= outage.startMs && r.tsMs < outage.endMs)
    expect(inside).toEqual([])
    expect(readingsOf(steps).some((r) => names.has(r.device) && r.tsMs > outage.endMs)).toBe(true)
    const events = messagesOf(steps).flatMap((m) => (m.kind === 'readings' ? m.events : []))
    const lost = events.filter((e) => e.event === 'power_lost')
    expect(lost.length).toBeGreaterThan(3)
    expect(lost.length).toBeLessThan(meters.length)
    expect(lost.every((e) => names.has(e.device))).toBe(true)
    expect(events.some((e) => e.event === 'power_restored')).toBe(true)
  })

  test('a total is what flows below it and its loss', () => {
    const { steps } = run([outage], 2 * HOUR_MS)
    const total = town.power.meters.findIndex((m) => m.role === 'transformer' && m.transformer === transformer)
    for (const { power } of steps) {
      if (power === undefined) continue
      const below = town.power.meters.reduce(
        (s, m, i) =>
          m.role === 'customer' && m.transformer === transformer ? s + (power.importKwh[i] as number) - (power.exportKwh[i] as number) : s,
        0,
      )
      const net = (power.importKwh[total] as number) - (power.exportKwh[total] as number)
      expect(net).toBeGreaterThanOrEqual(Math.min(below, below * 1.02) - 1e-9)
      expect(net - below * 1.02).toBeLessThan(0.0018 * 2000)
    }
  })
})

test('a bypass halves what is registered and not what flows', () => {
  const meter = town.power.meters.findIndex((m) => m.role === 'customer' && m.type === 'restaurant')
  const sum = (effects: Effect[]) =>
    run(effects, 4 * HOUR_MS).steps.reduce(
      (s, { power }) => ({
        registered: s.registered + (power?.registeredKwh[meter] ?? 0),
        flowed: s.flowed + (power?.importKwh[meter] ?? 0),
      }),
      { registered: 0, flowed: 0 },
    )
  const honest = sum([])
  const bypassed = sum([{ type: 'bypass', id: 'x', meter, share: 0.6, startMs: START - DAY_MS, endMs: START + DAY_MS }])
  expect(bypassed.registered).toBeCloseTo(honest.registered * 0.4, 6)
  expect(bypassed.flowed).toBeCloseTo(honest.flowed, 6)
})

describe('a gateway without uplink', () => {
  const gateway = town.gateways.findIndex((g) => g.kind === 'power')
  const id = town.gateways[gateway]?.id
  const span = { startMs: START + HOUR_MS, endMs: START + 3 * HOUR_MS + 4 * MINUTE_MS }
  const of = (steps: readonly StepOutput[]) => messagesOf(steps).filter((m) => m.kind !== 'crew' && m.gateway === id)

  test('is silent, then sends what it held, oldest first; the broker tells of it', () => {
    const all = of(run([{ type: 'gateway_down', id: 'g', gateway, will: true, backfill: 'oldest_first', ...span }], 210 * MINUTE_MS).steps)
    expect(all.filter((m) => m.kind === 'readings' && m.atMs >= span.startMs && m.atMs < span.endMs)).toEqual([])
    expect(all.filter((m) => m.kind === 'status').map((m) => m.online)).toEqual([false, true])
    const back = all.find((m) => m.kind === 'readings' && m.atMs >= span.endMs) as Extract<Message, { kind: 'readings' }>
    const held = back.readings.filter((r) => r.tsMs >= span.startMs)
    expect(held.length).toBeGreaterThan(100)
    expect(held.map((r) => r.tsMs)).toEqual(held.map((r) => r.tsMs).sort((a, b) => a - b))
  })

  test('may lose what it heard meanwhile', () => {
    const all = of(run([{ type: 'gateway_down', id: 'g', gateway, will: false, backfill: 'lost', ...span }], 210 * MINUTE_MS).steps)
    expect(all.some((m) => m.kind === 'status')).toBe(false)
    const inside = all.flatMap((m) => (m.kind === 'readings' ? m.readings : [])).filter((r) => r.tsMs > span.startMs && r.tsMs < span.endMs)
    expect(inside).toEqual([])
  })
})

test('live, crews drive along and scenarios begin within two minutes of real time', () => {
  const state = world.initial(START, [], START)
  const steps: StepOutput[] = []
  while (state.nextMs < START + 2 * HOUR_MS + STEP_MS) steps.push(world.step(state, { liveMs: START, factor: 60, sequence: true }))
  expect(steps.flatMap((s) => s.added).map((e) => e.type)).toEqual(['leak', 'outage', 'gateway_down'])
  const places = new Map<string, Set<string>>()
  for (const m of messagesOf(steps)) if (m.kind === 'crew') places.set(m.crew, (places.get(m.crew) ?? new Set()).add(`${m.lon},${m.lat}`))
  expect(places.size).toBe(6)
  expect([...places.values()].filter((p) => p.size > 5).length).toBeGreaterThanOrEqual(4)
})
