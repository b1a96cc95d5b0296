import { describe, expect, it } from 'vitest'
import { aSensor, Bench, MIDNIGHT } from './validation.fixture.ts'
import { isSentinel } from './values.ts'

const STEP = 300_000
/** A pressure that breathes, with three decimals. */
const breathing = (n: number) =>
  Array.from({ length: n }, (_, i) => Math.round((5 + 0.3 * Math.sin(i / 40) + 0.004 * Math.sin(i * 7.3)) * 1000) / 1000)

const toldAfter = (values: readonly number[]) => {
  const b = new Bench([aSensor()]).run(MIDNIGHT, breathing(200), STEP).run(MIDNIGHT + 200 * STEP, values, STEP)
  return b.accepted.slice(200).map((r) => (r.quality === 'suspect' ? (r.rules[0] as string) : r.quality))
}
const level = breathing(200).at(-1) as number

describe('values of sensors', () => {
  it.each([
    ['an isolated zero', [0, level], ['spike', 'good']],
    ['all nines', [99.999, level], ['range', 'good']],
    ['nines within the range', [9.999, level], ['spike', 'good']],
    ['a step that stays, as of a burst', [level - 3, level - 3.01, level - 3.02], ['spike', 'good', 'good']],
    ['a fall to zero that stays', [0, 0, 0.002], ['spike', 'good', 'good']],
    ['ordinary movement', [level - 0.2, level - 0.1], ['good', 'good']],
  ])('%s', (_name, values, expected) => {
    expect(toldAfter(values)).toEqual(expected)
  })

  it('standing still far longer than ever before are stuck, until they move', () => {
    const told = toldAfter([...Array(30).fill(level), level + 0.01])
    expect(told.slice(0, 11)).toEqual(Array(11).fill('good'))
    expect(told.slice(-6, -1)).toEqual(Array(5).fill('stuck'))
    expect(told.at(-1)).toBe('good')
  })

  it('a pump that starts and stops is a habit after a while, a spike is not', () => {
    const b = new Bench([aSensor()])
    const flow = (i: number) => (Math.floor(i / 30) % 2 === 0 ? 0 : 44 + 0.3 * Math.sin(i))
    for (let i = 0; i < 900; i++) b.read({ ts: MIDNIGHT + i * STEP, value: flow(i), quantity: 'flow_m3h' })
    const spikes = b.accepted.filter((r) => r.quality === 'suspect').map((r) => Math.floor((r.tsMs - MIDNIGHT) / STEP / 30))
    expect(Math.max(...spikes)).toBeLessThan(12)
    b.read({ ts: MIDNIGHT + 900 * STEP, value: 9999, quantity: 'flow_m3h' })
    expect(b.accepted.at(-1)).toMatchObject({ quality: 'suspect', rules: ['spike'] })
  })

  it('none is lost, whatever it says', () => {
    const b = new Bench([aSensor()]).run(MIDNIGHT, [5, 1e9, -1e9, 0, 5], STEP)
    expect(b.accepted).toHaveLength(5)
  })

  it.each([
    [0, true],
    [99.999, true],
    [9999, true],
    [9, true],
    [5.99, false],
    [98.99, false],
  ])('%d is a sentinel: %s', (v, is) => {
    expect(isSentinel(v)).toBe(is)
  })
})
