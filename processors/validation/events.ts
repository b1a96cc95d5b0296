// What meters and people tell besides readings: supply lost and restored, exchanges and resets with their indices.
import type { MeterEvent } from '#model/reading.ts'
import { told } from './chain.ts'
import { touch } from './cover.ts'
import { exchangeDelta } from './register.ts'
import { expectExchange } from './registers.ts'
import { type Exchange, limitsOf, OUTAGES_MAX, type ValidationState, type Work } from './state.ts'

/** Keeps the interruptions of a device's supply, newest last. */
export function onPower(state: ValidationState, e: MeterEvent): void {
  let list = state.outages.get(e.device)
  const last = list?.[list.length - 1]
  if (e.event === 'power_lost') {
    if (list === undefined) {
      list = []
      state.outages.set(e.device, list)
    }
    if (last === Number.POSITIVE_INFINITY) return
    list.push(e.tsMs, Number.POSITIVE_INFINITY)
    if (list.length / 2 > OUTAGES_MAX) list.splice(0, 2)
  } else if (list !== undefined && last === Number.POSITIVE_INFINITY && e.tsMs >= (list[list.length - 2] as number))
    list[list.length - 1] = e.tsMs
}

function number(detail: Record<string, unknown> | undefined, ...names: string[]): number {
  for (const name of names) {
    const v = detail?.[name]
    if (typeof v === 'number' && Number.isFinite(v) && v >= 0) return v
  }
  return Number.NaN
}

/** An exchange or reset: expected of the next reads, or the explanation of a break already seen. */
export function onExchange(state: ValidationState, e: MeterEvent, eachRow: (f: (w: Work) => void) => void): void {
  const exchange: Exchange = {
    fromMs: e.tsMs,
    toMs: e.tsMs,
    oldFinal: number(e.detail, 'oldFinal', 'old_final'),
    newInitial: number(e.detail, 'newInitial', 'new_initial'),
    cause: e.event === 'register_reset' ? 'register_reset' : 'meter_exchange',
  }
  announce(state, e.device, exchange, eachRow)
}

/** An exchange that someone told of, before or after its reads. */
export function announce(state: ValidationState, device: string, exchange: Exchange, eachRow: (f: (w: Work) => void) => void): void {
  state.exchanges.set(device, exchange)
  eachRow((w) => {
    if (w.c.register && !explain(w, exchange)) expectExchange(w)
  })
}

/** A break that was taken for a silent exchange or a jump gets its indices, and its energy is known. */
function explain(w: Work, e: Exchange): boolean {
  for (const g of w.t.gaps.get(w.row) ?? []) {
    if (g.cause !== 'silent_exchange' && g.cause !== 'step' && g.cause !== 'erratic') continue
    for (let i = 0; i < g.d.length; i++) {
      const from = { tsMs: g.t[i] as number, value: g.v[i] as number }
      const to = { tsMs: g.t[i + 1] as number, value: g.v[i + 1] as number }
      if (!Number.isNaN(g.d[i] as number) || e.toMs < from.tsMs - w.c.intervalMs || e.fromMs > to.tsMs + w.c.intervalMs) continue
      g.cause = e.cause
      if (told(w, e)) g.d[i] = exchangeDelta(from, e.oldFinal, e.newInitial, to, limitsOf(w))
      touch(w, g, 'exchange_told')
      return true
    }
  }
  return false
}
