// ERT modules (Itron and others, North America): what a packet says besides its count. rtlamr and rtl_433 share it. Pure.
// Sources: github.com/bemasher/rtlamr wiki (Protocol, Compatible-Meters), rtl_433 ert_scm.c, scmplus.c, ert_idm.c, neptune_r900.c (field meanings).
import { numberOf, type Outcome } from './decoding.ts'

/** The first four bytes after the frame sync of an IDM: packet type, length, Hamming code of the length. Others cannot be one. */
const IDM_TYPE = 28
const IDM_LENGTH = 92

/**
 * An IDM whose fixed header is not that of an IDM: the checksum happened to fit a damaged packet, and its count may be anything
 * (rtlamr2mqtt's samples hold one that is 128 times too high).
 */
export function isDamagedIdm(type: unknown, length: unknown): boolean {
  const t = hexOrNumber(type)
  const l = numberOf(length)
  return (t !== undefined && t !== IDM_TYPE) || (l !== undefined && l !== IDM_LENGTH)
}

/** 28 from 28, "28" or "0x1C". */
export function hexOrNumber(v: unknown): number | undefined {
  if (typeof v === 'string' && /^0x[0-9a-f]{1,8}$/i.test(v)) return Number.parseInt(v.slice(2), 16)
  return numberOf(v)
}

/** Bits set in a base64 field, as Go writes byte arrays; false for anything else. */
export function hasBits(v: unknown): boolean {
  return typeof v === 'string' && v.length <= 64 && /^[A-Za-z0-9+/]+=*$/.test(v) && Buffer.from(v, 'base64').some((b) => b !== 0)
}

/** Meters whose raised alarms are remembered; the table is emptied when full. */
const METERS_MAX = 50_000
/** An alarm that stays raised is told again after this long: packets come every few seconds. */
const AGAIN_MS = 3_600_000

/**
 * Alarms of a packet: all are flags of the message; an event only when newly raised or not told for an hour, since an ERT repeats its
 * flags with each packet, several times a minute, for years.
 */
export function raise(
  out: Outcome,
  alarms: readonly string[],
  { device, tsMs, nowMs, state }: { device: string; tsMs: number | undefined; nowMs: number; state: Map<string, unknown> },
): void {
  const key = `raised\n${device}`
  const before = state.get(key) as Map<string, number> | undefined
  if (alarms.length === 0) {
    if (before !== undefined) state.delete(key)
    return
  }
  const after = new Map<string, number>()
  for (const alarm of alarms) {
    const toldMs = before?.get(alarm)
    if (toldMs !== undefined && nowMs - toldMs < AGAIN_MS && nowMs >= toldMs) {
      out.flag(alarm)
      after.set(alarm, toldMs)
    } else {
      out.alarm(alarm, device, tsMs)
      after.set(alarm, nowMs)
    }
  }
  if (state.size >= METERS_MAX) state.clear()
  state.set(key, after)
}

/**
 * Alarms of a Neptune R900. `leakNow`: the past 24 hours, 1 intermittent, 2 continuous. `leak`: on how many days of the past 35, which is
 * history and no present alarm. `backflow`: within the past 35 days, 1 low, 2 high.
 */
export function neptuneAlarms(leak: unknown, leakNow: unknown, backflow: unknown): string[] {
  const alarms: string[] = []
  if ((numberOf(leakNow) ?? 0) > 0) alarms.push('leak')
  if ((numberOf(leak) ?? 0) > 0) alarms.push('leak_history')
  if ((numberOf(backflow) ?? 0) > 0) alarms.push('backflow')
  return alarms
}

/** Tamper counters of an SCM: two bits each, counting up and around; not zero means that it has happened. */
export function scmAlarms(physical: unknown, encoder: unknown): string[] {
  return (numberOf(physical) ?? 0) > 0 || (numberOf(encoder) ?? 0) > 0 ? ['tamper'] : []
}
