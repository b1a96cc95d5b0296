// The least a validator can be: exact repeats are dropped, register differences on the interval grid become intervals. For tests and first runs.

import { z } from 'zod'
import { intervalSecondsOf } from '#model/asset.ts'
import { isRegister } from '#model/quantity.ts'
import { qualifier, type Reading, seriesKey } from '#model/reading.ts'
import type { Validator } from './validator.ts'

interface Series {
  /** Times seen lately, oldest overwritten. */
  seen: number[]
  next: number
  lastTsMs: number
  lastValue: number
}

export interface MinimalState {
  series: Map<string, Series>
}

/** Repeats are recognised among this many newest reads of a series. */
const SEEN_MAX = 256
/** A longer hole is not filled. */
const GAP_INTERVALS_MAX = 96

export const minimal: Validator<MinimalState, Record<string, never>> = {
  name: 'validation',
  settings: z.object({}) as never,
  create: () => ({ series: new Map() }),
  onReading(state, r, info, ctx) {
    if (!Number.isFinite(r.value)) return ctx.refuse(r, 'impossible_value', 'value', 'not a finite number')
    const key = `${r.device}|${seriesKey(r)}`
    let s = state.series.get(key)
    if (s === undefined) {
      s = { seen: [], next: 0, lastTsMs: Number.NEGATIVE_INFINITY, lastValue: Number.NaN }
      state.series.set(key, s)
    }
    const late = r.tsMs <= s.lastTsMs
    if (late && s.seen.includes(r.tsMs)) return ctx.duplicate(r)
    s.seen[s.next] = r.tsMs
    s.next = (s.next + 1) % SEEN_MAX
    ctx.accept({
      device: r.device,
      quantity: r.quantity,
      phase: r.phase,
      tariff: r.tariff,
      channel: r.channel,
      tsMs: r.tsMs,
      value: r.value,
      flags: r.flags,
      gateway: r.gateway,
      receivedAtMs: r.receivedAtMs,
      seq: r.seq,
      redelivered: r.redelivered,
      quality: late ? 'late' : 'good',
      rules: [],
      info,
    })
    if (late) return
    if (isRegister(r.quantity)) intervals(s, r, info, ctx)
    s.lastTsMs = r.tsMs
    s.lastValue = r.value
  },
}

/** The difference since the last read, spread evenly over the intervals between; none after a step back or a long hole. */
function intervals(
  s: Series,
  r: Reading,
  info: Parameters<typeof minimal.onReading>[2],
  ctx: Parameters<typeof minimal.onReading>[3],
): void {
  const stepMs = intervalSecondsOf(info.asset) * 1000
  const n = Math.round((r.tsMs - s.lastTsMs) / stepMs)
  if (!(n >= 1 && n <= GAP_INTERVALS_MAX)) return
  const { asset } = info
  const multiplier = 'multiplier' in asset && typeof asset.multiplier === 'number' ? asset.multiplier : 1
  let difference = r.value - s.lastValue
  if (difference < 0 && 'digits' in asset && typeof asset.digits === 'number' && s.lastValue > 0.9 * 10 ** asset.digits)
    difference += 10 ** asset.digits
  if (difference < 0) return
  const endMs = Math.round(r.tsMs / stepMs) * stepMs
  for (let i = n - 1; i >= 0; i--) {
    ctx.interval(
      {
        meter: r.device,
        quantity: r.quantity,
        channel: qualifier(r),
        startMs: endMs - (i + 1) * stepMs,
        endMs: endMs - i * stepMs,
        value: (difference / n) * multiplier,
        status: n === 1 ? 'actual' : 'estimated',
        reasons: n === 1 ? [] : ['linear'],
        rev: 1,
      },
      info,
    )
  }
}
