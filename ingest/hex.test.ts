import { expect, test } from 'vitest'
import { bcdOf, bytesOfHex, crcX25, sum8 } from './hex.ts'

test('hexadecimal text: an odd digit is not dropped in silence', () => {
  expect(bytesOfHex('FE 68')).toEqual(Buffer.from([0xfe, 0x68]))
  for (const bad of ['', 'F', 'FE6', 'GG', '68 1']) expect(bytesOfHex(bad)).toBeUndefined()
})

test('checks', () => {
  expect(crcX25(Buffer.from('123456789'))).toBe(0x906e)
  expect(sum8([0xff, 0x02])).toBe(1)
})

test('decimal digits, least significant byte first; FF is no value', () => {
  expect(bcdOf([0x56, 0x34, 0x12, 0x00])).toBe(123456)
  expect(bcdOf([0xff, 0xff])).toBeUndefined()
  expect(bcdOf([0x1a])).toBeUndefined()
})
