// The way out of an admitted reading: what its step said of it, what the clock rules say, to the fold.
import type { Reading } from '#model/reading.ts'
import { NEW } from './dedupe.ts'
import { clockDrifts } from './rules/clock-drift.ts'
import { isAhead } from './rules/time-tolerance.ts'
import { fired, type Work } from './state.ts'

export interface Judged {
  quality: 'good' | 'late' | 'suspect'
  rules: readonly string[]
}

/** Accepts a reading (`verdict` from admit). To be called once for each, before anything that follows from it is said. */
export function accept(w: Work, r: Reading, verdict: number, judged: Judged): void {
  let { rules } = judged
  if (verdict === NEW && clockDrifts(w, r)) rules = [...rules, 'clock_drift']
  if (isAhead(r, w.c.intervalMs, w.s.aheadShare)) rules = [...rules, 'time_tolerance']
  if (rules.length > 0) fired(w.state, w.ctx, w.c.class, rules)
  w.ctx.accept({
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
    quality: judged.quality,
    rules,
    info: w.info,
  })
}
