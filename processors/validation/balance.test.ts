import { describe, expect, it } from 'vitest'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import { balanceEnergy, createBalances } from './balance.ts'
import { aMeter, Bench, MIDNIGHT, QUARTER } from './validation.fixture.ts'

const round = (v: number) => Math.round(v * 100) / 100
const customers = ['E-1', 'E-2', 'E-3'].map((id) => aMeter({ id, transformer: 'T' }))
const check = aMeter({ id: 'C-1', transformer: 'T', role: 'transformer', digits: 6, max_kw: undefined })

/** kWh that a customer takes in a quarter hour: each their own rhythm, and no two days alike. */
const used = (c: number, k: number) => 0.2 + 0.1 * c + 0.15 * (1 + Math.sin(k / (9 + c))) + (((k * (c + 3)) % 7) / 7) * 0.2

/** All meters read on for `days`; `E-1` shows what `face` makes of its true register. */
function town(days: number, face: (k: number, value: number) => number | undefined, theft = 0): { bench: Bench; truth: number[] } {
  const bench = new Bench([...customers, check])
  const registers = [100, 200, 300]
  let station = 1000
  const truth: number[] = []
  for (let k = 0; k <= days * 96; k++) {
    const ts = MIDNIGHT + k * QUARTER
    for (let c = 0; c < 3; c++) {
      const value = round(registers[c] as number)
      const shown = c === 0 ? face(k, value) : value
      if (shown !== undefined) bench.read({ device: `E-${c + 1}`, ts, value: shown })
    }
    bench.read({ device: 'C-1', ts, value: round(station) })
    let sum = 0
    for (let c = 0; c < 3; c++) {
      const e = used(c, k)
      registers[c] = (registers[c] as number) + e
      sum += e
      if (c === 0) truth.push(e)
    }
    station += 0.04 + sum / 0.98 + theft * Math.abs(Math.sin(k / 5))
  }
  return { bench, truth }
}

const dayOf = (truth: number[], d: number) => truth.slice(d * 96, (d + 1) * 96).reduce((a, b) => a + b, 0)

describe('the balance of a transformer', () => {
  it('learns the losses: a constant and a share', () => {
    const { bench } = town(7, (_, v) => v)
    const [a, share] = (bench.state.balances[0] as { model: number[] }).model as [number, number]
    expect(a).toBeCloseTo(0.16, 1)
    expect(share).toBeCloseTo(0.02, 2)
  })

  it('tells what a stuck register would have counted', () => {
    let stood = 0
    const { bench, truth } = town(14, (k, v) => {
      if (k < 96 * 10) stood = v
      return k < 96 * 10 ? v : stood
    })
    bench.wait(bench.nowMs + HOUR_MS)
    const day = bench.last('E-1').filter((i) => i.startMs >= MIDNIGHT + 11 * DAY_MS && i.endMs <= MIDNIGHT + 12 * DAY_MS)
    expect(day.every((i) => i.status === 'rejected' && i.reasons.join() === 'stuck_register,balance')).toBe(true)
    const error = day.reduce((s, i) => s + (i.value ?? 0), 0) / dayOf(truth, 11) - 1
    expect(Math.abs(error)).toBeLessThan(0.03)
  })

  it('shapes a long gap day by day, and the register still decides its sum', () => {
    const { bench, truth } = town(14, (k, v) => (k > 96 * 10 + 30 && k < 96 * 12 + 50 ? undefined : v))
    bench.wait(bench.nowMs + HOUR_MS)
    const day = bench.lastDays().find((d) => d.meter === 'E-1' && d.date === '2025-11-14')
    expect(Math.abs((day?.value ?? 0) / dayOf(truth, 11) - 1)).toBeLessThan(0.02)
    const total = bench.last('E-1').reduce((s, i) => s + (i.value ?? 0), 0)
    expect(total).toBeCloseTo((bench.accepted.filter((r) => r.device === 'E-1').at(-1)?.value ?? 0) - 100, 2)
  })

  it('is silent where much is taken past the meters', () => {
    const { bench } = town(12, (k, v) => (k > 96 * 10 + 30 && k < 96 * 11 + 50 ? undefined : v), 0.5)
    bench.wait(bench.nowMs + HOUR_MS)
    const gap = bench.last('E-1').filter((i) => i.status === 'estimated')
    expect(gap.length).toBeGreaterThan(100)
    expect(gap.every((i) => i.reasons[1] === 'like_day')).toBe(true)
  })

  it('says nothing while a second neighbour is unmeasured, or before it has learnt', () => {
    const [b] = createBalances(new Bench([...customers, check]).zone, [])
    expect(balanceEnergy(b as never, 10, 4)).toBeNaN()
    const { bench } = town(7, (_, v) => v)
    const balance = bench.state.balances[0] as never
    expect(balanceEnergy(balance, Math.floor(bench.nowMs / HOUR_MS) - 5, 4)).toBeNaN()
  })

  it('keeps what it learnt when the registry changes', () => {
    const { bench } = town(4, (_, v) => v)
    const learnt = bench.state.balances[0]?.learnt
    bench.rezone(aMeter({ id: 'E-4', transformer: 'T' }))
    expect(bench.state.balances[0]?.learnt).toBe(learnt)
    expect(bench.state.balances[0]?.expected).toBe(16)
  })
})
