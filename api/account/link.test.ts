import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createAccountLinks } from './link.ts'

const NOW = Date.parse('2026-03-01T10:00:00Z')
const links = createAccountLinks('a-secret-for-tests')

test('a link opens its account until it expires', () => {
  const token = links.sign('CU-1 "ü"', 3, NOW + 1000)
  expect(links.check(token, NOW)).toEqual({ account: 'CU-1 "ü"', serial: 3, untilMs: NOW + 1000 })
  expect(links.check(token, NOW + 1000)).toBeUndefined()
})

test('another secret, another account, a later end are refused', () => {
  const token = links.sign('CU-1', 1, NOW + 1000)
  expect(createAccountLinks('another-secret-16').check(token, NOW)).toBeUndefined()
  const parts = token.split('.')
  const forge = (at: number, text: string) => parts.map((p, k) => (k === at ? text : p)).join('.')
  expect(links.check(forge(1, Buffer.from('CU-2').toString('base64url')), NOW)).toBeUndefined()
  expect(links.check(forge(2, '2'), NOW)).toBeUndefined()
  expect(links.check(forge(3, String(NOW + 9_000_000)), NOW)).toBeUndefined()
})

test('any text is refused, none throws', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      expect(links.check(text, NOW)).toBeUndefined()
    }),
    { numRuns: 200 },
  )
})

test('a short secret is refused', () => {
  expect(() => createAccountLinks('short')).toThrow('ACCOUNT_LINK_SECRET')
})
