import { expect, test } from 'vitest'
import { makeRandom } from '../random.ts'
import { planFaults, SERVERS, SERVICES } from './plan.ts'

test('the same seed makes the same faults; every target is hit, pairs among them, the broker is never killed', () => {
  const faults = planFaults(makeRandom(3), 60)
  expect(planFaults(makeRandom(3), 60)).toEqual(faults)
  expect(planFaults(makeRandom(4), 60)).not.toEqual(faults)
  expect(new Set(faults.flatMap((f) => f.targets))).toEqual(new Set([...SERVICES, ...SERVERS]))
  expect(faults.filter((f) => f.targets.length === 2)).toHaveLength(15)
  expect(faults.filter((f) => f.action === 'kill' && f.targets.includes('mqtt'))).toEqual([])
  expect(faults.every((f) => new Set(f.targets).size === f.targets.length)).toBe(true)
})
