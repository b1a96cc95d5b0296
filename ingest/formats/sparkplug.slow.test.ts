// What samples cannot show: births kept within bounds, and sessions in the order in which they come.
import { expect, test } from 'vitest'
import type { MessageContext } from '../format.ts'
import { sparkplug } from './sparkplug.ts'

const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(Math.floor(n / 128))])
const bytes = (field: number, content: number[] | string): number[] => {
  const b = typeof content === 'string' ? [...Buffer.from(content)] : content
  return [...varint(field * 8 + 2), ...varint(b.length), ...b]
}
const number = (field: number, n: number): number[] => [...varint(field * 8), ...varint(n)]
const UINT32 = 7

function metric(name: string | undefined, alias: number, value: number): number[] {
  const head = name === undefined ? [] : [...bytes(1, name), ...number(4, UINT32)]
  return bytes(2, [...head, ...number(2, alias), ...number(10, value)])
}
const message = (...parts: number[][]): Buffer => Buffer.from([...number(1, 1_772_359_200_000), ...parts.flat()])

function bench(): (topic: string, payload: Buffer) => ReturnType<typeof sparkplug.decode> {
  const state = new Map<string, unknown>()
  return (topic, payload) =>
    sparkplug.decode(payload, { topic: `spBv1.0/${topic}`, receivedAtMs: 0, retained: false, settings: {}, state } satisfies MessageContext)
}

test('the birth of a node ends what its devices aliases meant', () => {
  const send = bench()
  send('G/NBIRTH/n', message())
  send('G/DBIRTH/n/d', message(metric('water_volume_m3', 1, 10)))
  expect(send('G/DDATA/n/d', message(metric(undefined, 1, 11))).readings).toMatchObject([
    { device: 'd', quantity: 'water_volume_m3', value: 11 },
  ])
  expect(send('G/DDATA/other/d', message(metric(undefined, 1, 12))).disposition).toBe('quarantine')
  send('G/NBIRTH/n', message())
  expect(send('G/DDATA/n/d', message(metric(undefined, 1, 13)))).toMatchObject({ disposition: 'quarantine', reason: 'bad_schema' })
})

test('births are forgotten from the oldest node on', () => {
  const send = bench()
  for (let n = 0; n < 5_010; n++) send(`G/NBIRTH/n${n}`, message(metric('water_volume_m3', 1, 10)))
  expect(send('G/NDATA/n0', message(metric(undefined, 1, 11))).disposition).toBe('quarantine')
  expect(send('G/NDATA/n5009', message(metric(undefined, 1, 11))).disposition).toBe('accept')
})

test('topics that are not of Sparkplug, and devices where none belongs', () => {
  const send = bench()
  expect(send('G/XDATA/n', message()).reason).toBe('unknown_format')
  expect(send('G/NDATA/n/d', message()).reason).toBe('bad_schema')
  expect(send('G/DDATA/n', message()).reason).toBe('bad_schema')
  expect(send('G/NDATA/n', message())).toMatchObject({ disposition: 'ignore', reason: 'empty' })
})
