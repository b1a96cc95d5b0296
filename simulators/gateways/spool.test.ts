import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { Spool } from './spool.ts'

const dirs: string[] = []
afterEach(() => {
  for (const d of dirs.splice(0)) rmSync(d, { recursive: true, force: true })
})
const fresh = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'spool-'))
  dirs.push(dir)
  return dir
}
const text = (n: number) => Buffer.from(`message ${n}`)
const fill = (spool: Spool, count: number) => {
  for (let i = 0; i < count; i++) spool.append([text])
}
const readAll = (spool: Spool): number[] => {
  const out: number[] = []
  for (let e = spool.read(); e !== undefined; e = spool.read()) {
    expect(e.payload.toString()).toBe(`message ${e.number}`)
    out.push(e.number)
  }
  return out
}
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)

test('what was taken is read in order, over segments and after a restart, until it is acknowledged', () => {
  const dir = fresh()
  const spool = new Spool(dir, { segmentBytes: 200 })
  fill(spool, 40)
  expect(readAll(spool)).toEqual(range(1, 40))
  spool.acknowledge(25)
  spool.rewind()
  expect(readAll(spool)).toEqual(range(26, 40))
  spool.close()
  const again = new Spool(dir, { segmentBytes: 200 })
  expect(again.waiting).toBe(15)
  expect(again.append([text])).toBe(41)
  expect(readAll(again)).toEqual(range(26, 41))
  again.close()
})

test('acknowledged segments are removed', () => {
  const dir = fresh()
  const spool = new Spool(dir, { segmentBytes: 200 })
  fill(spool, 60)
  const before = readdirSync(dir).length
  spool.acknowledge(60)
  spool.save()
  expect(readdirSync(dir).length).toBeLessThan(before / 2)
  expect(readAll(spool)).toEqual([])
  fill(spool, 3)
  expect(readAll(spool)).toEqual([61, 62, 63])
  spool.close()
})

test('a kill without a saved cursor means that messages are read again, none is lost', () => {
  const dir = fresh()
  const killed = new Spool(dir)
  fill(killed, 10)
  killed.acknowledge(8)
  // Not closed, not saved: as after kill -9.
  const again = new Spool(dir)
  expect(readAll(again)).toEqual(range(1, 10))
  again.close()
})

test('wherever the last write was torn, everything before it is there and numbers go on without a clash', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 400 }), fc.boolean(), (count, cut, garbage) => {
      const dir = fresh()
      const spool = new Spool(dir, { segmentBytes: 10_000 })
      fill(spool, count)
      const file = join(dir, readdirSync(dir).find((n) => n.endsWith('.log')) as string)
      const { size } = statSync(file)
      truncateSync(file, Math.max(0, size - cut))
      if (garbage) appendFileSync(file, Buffer.from([7, 0, 0, 0, 1, 2, 3]))
      const again = new Spool(dir)
      const left = readAll(again)
      expect(left).toEqual(range(1, left.length))
      if (cut === 0) expect(left).toHaveLength(count)
      expect(again.append([text])).toBe(left.length + 1)
      expect(readAll(again)).toEqual([left.length + 1])
      again.close()
    }),
    { numRuns: 60 },
  )
})

test('a full allowance costs the oldest, and they are counted', () => {
  const dir = fresh()
  const spool = new Spool(dir, { segmentBytes: 200, maxBytes: 1_000 })
  fill(spool, 200)
  const left = readAll(spool)
  expect(left[left.length - 1]).toBe(200)
  expect(left.length).toBeGreaterThan(20)
  expect(spool.dropped).toBe(200 - left.length)
  expect(spool.waiting).toBe(left.length)
  spool.close()
})
