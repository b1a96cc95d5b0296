import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeCbor } from './cbor.ts'

const of = (hex: string) => decodeCbor(Buffer.from(hex, 'hex'))

test.each([
  // Examples of RFC 8949, appendix A.
  ['00', 0],
  ['1a000f4240', 1_000_000],
  ['1b000000e8d4a51000', 1e12],
  ['3903e7', -1000],
  ['f93c00', 1],
  ['f9c400', -4],
  ['f90001', 2 ** -24],
  ['fa47c35000', 100_000],
  ['fb3ff199999999999a', 1.1],
  ['f4', false],
  ['f6', null],
  ['64f0908591', '\u{10151}'],
  ['83010203', [1, 2, 3]],
  ['9f0102ff', [1, 2]],
  ['c11a514b67b0', 1_363_896_240],
])('%s', (hex, value) => {
  expect(of(hex)).toEqual(value)
})

test('maps keep numbers as keys', () => {
  expect(of('a2216162020a')).toEqual(
    new Map<unknown, unknown>([
      [-2, 'b'],
      [2, 10],
    ]),
  )
})

test('a 32 bit float is the decimal that it was made of', () => {
  expect(of('fa42f03333')).toBe(120.1)
})

test.each(['', '82', '1bffffffffffffffff', '0000', 'ff', '818181818181818181818100', 'a101', '7f6161ff', '9f01'])('refused: %s', (hex) => {
  expect(() => of(hex)).toThrow()
})

test('any bytes give a value or an error, soon', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeCbor(Buffer.from(bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
      }
    }),
  )
})
