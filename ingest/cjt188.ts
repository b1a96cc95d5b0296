// CJ/T 188 (2004 and 2018), the protocol of Chinese water, gas and heat meters: one frame to readings. Pure.
// 68 T A0..A6 C L DI DI SER DATA CS 16: address and values are BCD, least significant byte first; each value is followed by its unit.
import { convert, type Outcome } from './decoding.ts'
import type { FrameContext, FrameResult } from './dlt645.ts'
import { bcdOf, sum8 } from './hex.ts'
import { localToUtc } from './local-time.ts'

const HEAD = 11
const MEASURED = 0x901f

/** Units of the standard's appendix: name, factor where the unit is a multiple. */
const UNITS: Readonly<Record<number, readonly [unit: string, factor: number]>> = {
  1: ['J', 1],
  2: ['Wh', 1],
  5: ['kWh', 1],
  8: ['MWh', 1],
  10: ['MWh', 100],
  11: ['kJ', 1],
  14: ['MJ', 1],
  17: ['GJ', 1],
  19: ['GJ', 100],
  20: ['W', 1],
  23: ['kW', 1],
  26: ['MW', 1],
  41: ['l', 1],
  44: ['m3', 1],
  50: ['l/h', 1],
  53: ['m3/h', 1],
}

export function isCjt188(frame: Buffer): boolean {
  return frame[0] === 0x68 && kindOf(frame[1] ?? 0) !== undefined
}

export function cjt188Length(frame: Buffer): number {
  return HEAD + (frame[10] ?? 0) + 2
}

type Kind = 'water' | 'heat' | 'gas' | 'electricity'

function kindOf(type: number): Kind | undefined {
  switch (type >> 4) {
    case 1:
      return 'water'
    case 2:
      return 'heat'
    case 3:
      return 'gas'
    case 4:
      return 'electricity'
    default:
      return undefined
  }
}

export function readCjt188(out: Outcome, frame: Buffer, context: FrameContext): FrameResult {
  const length = frame[10]
  if (length === undefined || frame.length < HEAD + length + 2) return { refused: ['malformed', 'the frame is shorter than it says'] }
  if (sum8(frame.subarray(0, HEAD + length)) !== frame[HEAD + length])
    return { refused: ['bad_checksum', 'the checksum of the frame is wrong'] }
  if (frame[HEAD + length + 1] !== 0x16) return { refused: ['malformed', 'the frame does not end with 16'] }
  const control = frame[9] as number
  if ((control & 0x80) === 0) return { passed: ['ignore', 'request'] }
  if ((control & 0x40) !== 0) return { passed: ['status', 'meter_refused_request'] }
  const kind = kindOf(frame[1] as number)
  if (kind === undefined) return { refused: ['unknown_format', 'the meter type is not known'] }
  const device = Buffer.from(frame.subarray(2, 9)).reverse().toString('hex').toUpperCase()
  if (length < 3) return { passed: ['accept_other', 'no_readings_asked'] }
  const data = frame.subarray(HEAD, HEAD + length)
  const first = data.readUInt16BE(0)
  // 2004 sends the high byte first, 2018 the low one.
  const di = first === 0x1f90 ? MEASURED : first
  const swapped = data.readUInt16LE(0)
  if ((di >= 0xd120 && di <= 0xd12b) || (swapped >= 0xd120 && swapped <= 0xd12b)) return { passed: ['accept_other', 'earlier_settlement'] }
  if ((control & 0x1f) !== 0x01 || di !== MEASURED) return { passed: ['accept_other', 'no_core_reading'] }
  return kind === 'heat' ? heat(out, device, data.subarray(3), context) : volume(out, device, kind, data.subarray(3), context)
}

/** Present value, value of the settlement day, clock, status. */
function volume(out: Outcome, device: string, kind: Exclude<Kind, 'heat'>, data: Buffer, context: FrameContext): FrameResult {
  if (data.length < 5) return { refused: ['malformed', 'the data are cut off'] }
  const tsMs = timeOf(data.subarray(10, 17), context)
  const quantity = kind === 'water' ? 'water_volume_m3' : kind === 'gas' ? 'gas_volume_m3' : 'active_energy_import_kwh'
  value(out, device, quantity, data, { at: 0, decimals: 2, tsMs, channel: undefined })
  status(out, device, data.subarray(17), tsMs)
  return undefined
}

/** Heat of the settlement day, present heat, heat power, flow, volume, temperatures, hours, clock, status. */
function heat(out: Outcome, device: string, data: Buffer, context: FrameContext): FrameResult {
  if (data.length < 10) return { refused: ['malformed', 'the data are cut off'] }
  const tsMs = timeOf(data.subarray(34, 41), context)
  value(out, device, 'heat_energy_kwh', data, { at: 5, decimals: 2, tsMs, channel: undefined })
  if (data.length >= 25) {
    value(out, device, 'flow_m3h', data, { at: 15, decimals: 4, tsMs, channel: 'heat' })
    value(out, device, 'water_volume_m3', data, { at: 20, decimals: 2, tsMs, channel: 'heat' })
  }
  status(out, device, data.subarray(41), tsMs)
  return undefined
}

type Measured = 'water_volume_m3' | 'gas_volume_m3' | 'active_energy_import_kwh' | 'heat_energy_kwh' | 'flow_m3h'

function value(
  out: Outcome,
  device: string,
  quantity: Measured,
  data: Buffer,
  { at, decimals, tsMs, channel }: { at: number; decimals: number; tsMs: number | undefined; channel: string | undefined },
): void {
  const raw = data.subarray(at, at + 4)
  const code = data[at + 4] as number
  const shown = data
    .subarray(at, at + 5)
    .toString('hex')
    .toUpperCase()
  const digits = bcdOf(raw)
  if (digits === undefined) {
    out.refuse('impossible_value', quantity, `${shown} is no decimal number: the meter has no value`, device, shown)
    return
  }
  const unit = UNITS[code]
  const converted = unit === undefined ? undefined : convert((digits / 10 ** decimals) * unit[1], unit[0], quantity)
  if (converted !== undefined) out.reading(device, quantity, converted, { tsMs, channel })
  else out.refuse('bad_schema', quantity, `unit ${code.toString(16).toUpperCase()} is not one of ${quantity}`, device, shown)
}

/** First byte: bits 0 and 1 the valve, bit 2 the battery. */
function status(out: Outcome, device: string, st: Buffer, tsMs: number | undefined): void {
  if (((st[0] ?? 0) & 0x04) !== 0) out.alarm('battery_low', device, tsMs)
}

/** The meter's clock is local (ss mm hh DD MM YY CC): used with a zone of the settings, else the gateway's time. */
function timeOf(clock: Buffer, { tsMs, zone }: FrameContext): number | undefined {
  if (zone === undefined || clock.length < 7) return tsMs
  const [s, mi, h, d, mo, y, c] = [...clock].map((b) => bcdOf([b])) as (number | undefined)[]
  if ([s, mi, h, d, mo, y, c].some((n) => n === undefined)) return tsMs
  const year = (c as number) * 100 + (y as number)
  const naive = Date.UTC(year, (mo as number) - 1, d, h, mi, s)
  const back = new Date(naive)
  if (year < 2000 || back.getUTCDate() !== d || back.getUTCMonth() !== (mo as number) - 1 || (h as number) > 23) return tsMs
  return localToUtc(naive, zone)
}
