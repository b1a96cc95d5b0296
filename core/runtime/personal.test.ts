import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createKeyring, NO_KEYS } from './personal.ts'

const key = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
const K1 = key('k1')
const K2 = key('k2')

test('what is sealed opens with its key, in its place, and nowhere else', () => {
  const ring = createKeyring(K1)
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
      const sealed = ring.seal(text, 'accounts/A/name')
      expect(ring.open(sealed, 'accounts/A/name')).toBe(text)
      if (text === '') return
      expect(sealed).not.toContain(text.length > 3 ? text : '\u0000none')
      expect(() => ring.open(sealed, 'accounts/B/name')).toThrow('does not open')
      expect(() => createKeyring(K2).open(sealed, 'accounts/A/name')).toThrow('k1 is not among')
    }),
    { numRuns: 30 },
  )
})

test('a changed value does not open; the same text is never sealed alike', () => {
  const ring = createKeyring(K1)
  const sealed = ring.seal('Anna Meier', 'f')
  expect(ring.seal('Anna Meier', 'f')).not.toBe(sealed)
  const last = sealed.at(-2) === 'A' ? 'B' : 'A'
  expect(() => ring.open(`${sealed.slice(0, -2)}${last}${sealed.at(-1)}`, 'f')).toThrow('does not open')
})

test('rotation: the first key seals, all of them open, and what is older is stale', () => {
  const old = createKeyring(K1).seal('x', 'f')
  const ring = createKeyring(`${K2},${K1}`)
  expect([ring.open(old, 'f'), ring.isStale(old), ring.isStale('plain'), ring.isStale('')]).toEqual(['x', true, true, false])
  expect(ring.isStale(ring.seal('x', 'f'))).toBe(false)
})

test('without keys nothing changes; wrong keys are named, not shown', () => {
  expect([NO_KEYS.seal('x', 'f'), NO_KEYS.open('x', 'f'), NO_KEYS.active]).toEqual(['x', 'x', false])
  expect(() => createKeyring('k1:c2hvcnQ=')).toThrow('key k1 has 5 bytes, not 32')
  expect(() => createKeyring(`${K1},${K1}`)).toThrow('k1 is there twice')
  expect(() => createKeyring(K1.slice(3))).toThrow('needs an id')
})
