// DL/T 645-2007 (and the usual registers of 1997), the protocol of Chinese electricity meters: one frame to readings. Pure.
// 68 A0..A5 68 C L DATA CS 16: address and values are BCD, least significant byte first; each data byte has 33H added.
import type { Phase, Quantity } from '#model/quantity.ts'
import { type Outcome, tidy } from './decoding.ts'
import type { Disposition } from './format.ts'
import { bcdOf, sum8 } from './hex.ts'

/** What became of a frame; undefined when its values have been added. */
export type FrameResult =
  | { passed: readonly [Disposition, string] }
  | { refused: readonly ['malformed' | 'bad_checksum' | 'unknown_format', string] }
  | undefined

export interface FrameContext {
  /** Time of the gateway. */
  tsMs: number | undefined
  zone: string | undefined
}

const HEAD = 10
const PHASES: readonly Phase[] = ['L1', 'L2', 'L3']

/** Is this a frame of DL/T 645? The second 68 stands where the address ends. */
export function isDlt645(frame: Buffer): boolean {
  return frame[0] === 0x68 && frame[7] === 0x68
}

/** Bytes of the frame at the beginning of a buffer. */
export function dlt645Length(frame: Buffer): number {
  return HEAD + (frame[9] ?? 0) + 2
}

export function readDlt645(out: Outcome, frame: Buffer, context: FrameContext): FrameResult {
  const length = frame[9]
  if (length === undefined || frame.length < HEAD + length + 2) return { refused: ['malformed', 'the frame is shorter than it says'] }
  if (sum8(frame.subarray(0, HEAD + length)) !== frame[HEAD + length])
    return { refused: ['bad_checksum', 'the checksum of the frame is wrong'] }
  if (frame[HEAD + length + 1] !== 0x16) return { refused: ['malformed', 'the frame does not end with 16'] }
  const control = frame[8] as number
  if ((control & 0x80) === 0) return { passed: ['ignore', 'request'] }
  if ((control & 0x40) !== 0) return { passed: ['status', 'meter_refused_request'] }
  const device = Buffer.from(frame.subarray(1, 7)).reverse().toString('hex').toUpperCase()
  const data = Buffer.from(frame.subarray(HEAD, HEAD + length).map((b) => (b - 0x33) & 0xff))
  const version = control & 0x1f
  if (version === 0x01 && data.length >= 2) return read1997(out, device, data, context)
  if (version !== 0x11 && version !== 0x12) return { passed: ['accept_other', 'no_readings_asked'] }
  if (data.length < 4) return { refused: ['malformed', 'the data identification is cut off'] }
  return read2007(out, device, data, context)
}

interface Field {
  quantity: Quantity
  bytes: number
  decimals: number
  signed: boolean
  phase?: Phase
  tariff?: number
}

function read2007(out: Outcome, device: string, data: Buffer, { tsMs }: FrameContext): FrameResult {
  const [di0, di1, di2, di3] = [...data.subarray(0, 4)] as [number, number, number, number]
  const values = data.subarray(4)
  const name = Buffer.from([di3, di2, di1, di0]).toString('hex').toUpperCase()
  if (di3 === 0x04 && di2 === 0x00 && di1 === 0x05 && di0 === 0x01) return statusWord(out, device, values, tsMs)
  if (di3 === 0x00 && di0 !== 0x00) return { passed: ['accept_other', 'earlier_settlement'] }
  const fields = di3 === 0x00 ? energyFields(di2, di1) : di3 === 0x02 ? variableFields(di2, di1, di0) : undefined
  if (fields === undefined) return { passed: ['accept_other', 'no_core_reading'] }
  return readFields(out, device, name, values, fields, tsMs)
}

/** Run status word 1: bit 2 the clock's battery, bit 3 the battery for reading without mains. */
function statusWord(out: Outcome, device: string, values: Buffer, tsMs: number | undefined): FrameResult {
  if (((values[0] ?? 0) & 0x0c) === 0) return { passed: ['status', 'meter_status'] }
  out.alarm('battery_low', device, tsMs)
  return undefined
}

const ENERGY: Readonly<Record<number, readonly [Quantity, Phase?]>> = {
  1: ['active_energy_import_kwh'],
  2: ['active_energy_export_kwh'],
  21: ['active_energy_import_kwh', 'L1'],
  22: ['active_energy_export_kwh', 'L1'],
  41: ['active_energy_import_kwh', 'L2'],
  42: ['active_energy_export_kwh', 'L2'],
  61: ['active_energy_import_kwh', 'L3'],
  62: ['active_energy_export_kwh', 'L3'],
}

/** DI2 is the kind, DI1 the tariff: 00 total, FF all of them one after another. Combined energy (00) is the sum of both directions. */
function energyFields(kind: number, tariff: number): (Field | undefined)[] | undefined {
  const known = ENERGY[kind]
  if (known === undefined) return undefined
  const [quantity, phase] = known
  const field = (t: number): Field | undefined =>
    t > 4
      ? undefined
      : { quantity, bytes: 4, decimals: 2, signed: false, ...(phase === undefined ? {} : { phase }), ...(t === 0 ? {} : { tariff: t }) }
  if (tariff !== 0xff) return tariff > 4 ? undefined : [field(tariff)]
  return [0, 1, 2, 3, 4].map(field)
}

const VARIABLES: Readonly<Record<number, readonly [Quantity, bytes: number, decimals: number, signed: boolean]>> = {
  1: ['voltage_v', 2, 1, false],
  2: ['current_a', 3, 3, true],
  3: ['power_kw', 3, 4, true],
  6: ['power_factor', 2, 3, true],
}

/** DI2 is the kind, DI1 the phase (power and power factor have a total at 00), FF all of them. */
function variableFields(kind: number, line: number, last: number): (Field | undefined)[] | undefined {
  if (kind === 0x80 && line === 0x00 && last === 0x02) return [{ quantity: 'frequency_hz', bytes: 2, decimals: 2, signed: false }]
  const known = VARIABLES[kind]
  if (known === undefined || last !== 0x00) return undefined
  const [quantity, bytes, decimals, signed] = known
  const of = (n: number): Field => {
    const phase = PHASES[n - 1]
    return { quantity, bytes, decimals, signed, ...(phase === undefined ? {} : { phase }) }
  }
  const hasTotal = kind === 3 || kind === 6
  if (line === 0xff) return (hasTotal ? [0, 1, 2, 3] : [1, 2, 3]).map(of)
  return line > 3 || (line === 0 && !hasTotal) ? undefined : [of(line)]
}

/** 1997: DI1 DI0 of two bytes; 901x import, 902x export by tariff, B61x voltage, B62x current, B63x power. */
function read1997(out: Outcome, device: string, data: Buffer, { tsMs }: FrameContext): FrameResult {
  const [di0, di1] = [...data.subarray(0, 2)] as [number, number]
  const low = di0 & 0x0f
  const high = di0 >> 4
  const phase = PHASES[low - 1]
  const name = Buffer.from([di1, di0]).toString('hex').toUpperCase()
  let fields: (Field | undefined)[] | undefined
  if (di1 === 0x90 && (high === 1 || high === 2)) fields = low === 0x0f ? energyFields(high, 0xff) : energyFields(high, low)
  else if (di1 === 0xb6 && high === 1 && phase !== undefined)
    fields = [{ quantity: 'voltage_v', bytes: 2, decimals: 0, signed: false, phase }]
  else if (di1 === 0xb6 && high === 2 && phase !== undefined)
    fields = [{ quantity: 'current_a', bytes: 2, decimals: 2, signed: false, phase }]
  else if (di1 === 0xb6 && high === 3 && low <= 3)
    fields = [{ quantity: 'power_kw', bytes: 3, decimals: 4, signed: true, ...(phase === undefined ? {} : { phase }) }]
  if (fields === undefined) return { passed: ['accept_other', 'no_core_reading'] }
  return readFields(out, device, name, data.subarray(2), fields, tsMs)
}

function readFields(
  out: Outcome,
  device: string,
  name: string,
  values: Buffer,
  fields: readonly (Field | undefined)[],
  tsMs: number | undefined,
): FrameResult {
  let at = 0
  for (const f of fields) {
    const bytes = f?.bytes ?? 4
    if (at + bytes > values.length) break
    const raw = values.subarray(at, at + bytes)
    at += bytes
    if (f === undefined) continue
    const value = signedBcd(raw, f.signed)
    const shown = `${name}=${raw.toString('hex').toUpperCase()}`
    if (value === undefined) out.refuse('impossible_value', name, `${shown} is no decimal number: the meter has no value`, device, shown)
    else out.reading(device, f.quantity, tidy(value / 10 ** f.decimals), { tsMs, phase: f.phase, tariff: f.tariff })
  }
  return at === 0 ? { refused: ['malformed', `the data of ${name} are cut off`] } : undefined
}

/** The highest bit of the highest byte is the sign where the quantity has one. */
function signedBcd(raw: Buffer, signed: boolean): number | undefined {
  const top = raw.at(-1) as number
  // FF has the sign bit too, and is no value.
  if (!signed || (top & 0x80) === 0 || raw.every((b) => b === 0xff)) return bcdOf(raw)
  const copy = Buffer.from(raw)
  copy[copy.length - 1] = top & 0x7f
  const value = bcdOf(copy)
  return value === undefined ? undefined : -value
}
