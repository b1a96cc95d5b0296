// Money without rounding surprises: prices are decimal text and become integers of a millionth of the currency, quantities integers of
// a thousandth of their unit, amounts integers of the currency's minor unit. Products are exact (BigInt) and rounded once, at the line.
import { z } from 'zod'

/** A price or amount in the major unit as decimal text, up to six places: `0.0734`, `-0.05`. Text, because 0.1 + 0.2 is not 0.3. */
export const Decimal = z
  .string()
  .regex(/^-?\d{1,9}(\.\d{1,6})?$/, 'must be a decimal number as text with at most six places, such as "0.0734"')
  .describe('Decimal number as text, in the major unit of the currency')

/** Millionths of the major unit: `"0.0734"` is 73,400. */
export function micro(decimal: string): number {
  const negative = decimal.startsWith('-')
  const [whole = '0', places = ''] = (negative ? decimal.slice(1) : decimal).split('.')
  const value = Number(whole) * 1_000_000 + Number(places.padEnd(6, '0'))
  return negative ? -value : value
}

/** Thousandths of a unit: litres of m3, Wh of kWh. Rounded: a register's steps are not finer. */
export function milli(value: number): number {
  return Math.round(value * 1000)
}

/** Integer division, half away from zero: what a customer who checks the bill by hand expects. */
export function divideRounded(numerator: bigint, denominator: bigint): number {
  const negative = numerator < 0n
  const n = negative ? -numerator : numerator
  const q = (2n * n + denominator) / (2n * denominator)
  return Number(negative ? -q : q)
}

/** Amount in minor units of a quantity in thousandths at a price in millionths. */
export function amountMinor(quantityMilli: number, rateMicro: number, minorDigits: number): number {
  return divideRounded(BigInt(quantityMilli) * BigInt(rateMicro), 10n ** BigInt(9 - minorDigits))
}

/** Amount in minor units of `parts` of `of` of a price in millionths: 31 of 31 days of a monthly charge. */
export function partMinor(rateMicro: number, parts: number, of: number, minorDigits: number): number {
  return divideRounded(BigInt(rateMicro) * BigInt(parts), BigInt(of) * 10n ** BigInt(6 - minorDigits))
}

/** A percentage (decimal text) of an amount in minor units. */
export function percentMinor(amount: number, percent: string): number {
  return divideRounded(BigInt(amount) * BigInt(micro(percent)), 100_000_000n)
}

/** The part of an amount that is tax when the price includes `percent` of it. */
export function includedMinor(amount: number, percent: string): number {
  const rate = BigInt(micro(percent))
  return divideRounded(BigInt(amount) * rate, 100_000_000n + rate)
}

/** `12345` in a currency of two digits is `123.45`. */
export function majorText(minor: number, minorDigits: number): string {
  const text = String(Math.abs(minor)).padStart(minorDigits + 1, '0')
  const sign = minor < 0 ? '-' : ''
  return minorDigits === 0 ? `${sign}${text}` : `${sign}${text.slice(0, -minorDigits)}.${text.slice(-minorDigits)}`
}
