// What a transformer's own meter says about a customer whose register cannot: what went in, less what the others took, less the losses.
// The losses are learnt from the hours in which everyone was measured (iron loss constant, copper loss taken as a share of the load;
// recursive least squares with forgetting). Where every neighbour is measured this is nearer to the truth than any like day.

import { intervalSecondsOf } from '#model/asset.ts'
import { HOUR_MS } from '#model/time.ts'
import type { ZoneContext } from '../fold.ts'

/** Hours kept a transformer. */
export const BALANCE_HOURS = 72
/** An hour is learnt from after this: late reads have come by then, and a register that stood still has been found out. */
const LEARN_AFTER_HOURS = 30
/** Hours learnt from before the balance may speak. */
const LEARNT_MIN = 48
/** Weight that an hour's evidence keeps an hour later: a memory of about four days. */
const FORGET = 0.99
/** The balance speaks when its usual error is below this share of what it would say. */
const ERROR_SHARE = 0.1
/** An hour that misses by this many usual errors, and by this much, is no loss but something else: it counts as an error only. */
const OUTLIER_ERRORS = 6
const OUTLIER_KWH = 0.05

export interface Balance {
  transformer: string
  /** Intervals of customers' import registers and of the check meter in a whole hour. */
  expected: number
  expectedCheck: number
  /** Newest hour (epoch hours); 0 before the first. */
  head: number
  /** kWh an hour: into the transformer's net; taken by measured customers, less what they fed in. */
  check: Float32Array
  taken: Float32Array
  /** Actual intervals of customers in the hour, and of the check meter. */
  count: Uint16Array
  countCheck: Uint8Array
  learntTo: number
  learnt: number
  /** Loss = a + b * check: a, b, and the three numbers of the symmetric covariance. */
  model: [number, number, number, number, number]
  /** Running mean of the absolute error, kWh an hour. */
  error: number
}

/** Part that a series plays in a balance: index of the balance * 4 + role; -1 for none. */
export const ROLE = { customerImport: 0, customerExport: 1, checkImport: 2, checkExport: 3 } as const

/** The balances of a zone's transformers that have a meter of their own; known figures are kept. */
export function createBalances(zone: ZoneContext, old: readonly Balance[]): Balance[] {
  const out: Balance[] = []
  const perHour = (d: { asset: Parameters<typeof intervalSecondsOf>[0] }) => 3600 / intervalSecondsOf(d.asset)
  for (const check of zone.def.devices) {
    const a = check.asset
    if (a.kind !== 'electric_meter' || a.role !== 'transformer' || a.transformer === undefined || perHour(check) < 1) continue
    const customers = zone.def.devices.filter(
      (d) => d.asset.kind === 'electric_meter' && d.asset.role === 'customer' && d.asset.transformer === a.transformer,
    )
    const expected = customers.reduce((n, d) => n + perHour(d), 0)
    if (customers.length < 1 || customers.some((d) => perHour(d) < 1) || expected > 0xffff) continue
    const known = old.find((b) => b.transformer === a.transformer)
    out.push(
      known !== undefined
        ? { ...known, expected, expectedCheck: perHour(check) }
        : {
            transformer: a.transformer,
            expected,
            expectedCheck: perHour(check),
            head: 0,
            check: new Float32Array(BALANCE_HOURS),
            taken: new Float32Array(BALANCE_HOURS),
            count: new Uint16Array(BALANCE_HOURS),
            countCheck: new Uint8Array(BALANCE_HOURS),
            learntTo: 0,
            learnt: 0,
            model: [0, 0, 1e3, 0, 1],
            error: 0,
          },
    )
  }
  return out
}

/** The part of a device's quantity in the balances, -1 for none. */
export function partOf(
  balances: readonly Balance[],
  asset: { kind: string; role?: unknown; transformer?: unknown },
  quantity: string,
  channel: string,
): number {
  if (asset.kind !== 'electric_meter' || channel !== '') return -1
  const i = balances.findIndex((b) => b.transformer === asset.transformer)
  if (i < 0) return -1
  const exported = quantity === 'active_energy_export_kwh'
  if (!exported && quantity !== 'active_energy_import_kwh') return -1
  if (asset.role === 'customer') return i * 4 + (exported ? ROLE.customerExport : ROLE.customerImport)
  if (asset.role === 'transformer') return i * 4 + (exported ? ROLE.checkExport : ROLE.checkImport)
  return -1
}

/** Enters an interval measured (`value` kWh, count 1) or takes one back (both negative). */
export function tally(balances: readonly Balance[], part: number, startMs: number, value: number, count: number): void {
  const b = balances[part >> 2] as Balance
  const hour = Math.floor(startMs / HOUR_MS)
  if (hour > b.head) {
    const from = Math.max(b.head + 1, hour - BALANCE_HOURS + 1)
    for (let h = from; h <= hour; h++) {
      const k = h % BALANCE_HOURS
      b.check[k] = 0
      b.taken[k] = 0
      b.count[k] = 0
      b.countCheck[k] = 0
    }
    if (b.head === 0) b.learntTo = hour - 1
    b.head = hour
  } else if (hour <= b.head - BALANCE_HOURS) return
  const k = hour % BALANCE_HOURS
  const role = part & 3
  if (role === ROLE.customerImport) {
    b.taken[k] = (b.taken[k] as number) + value
    b.count[k] = (b.count[k] as number) + count
  } else if (role === ROLE.customerExport) b.taken[k] = (b.taken[k] as number) - value
  else if (role === ROLE.checkImport) {
    b.check[k] = (b.check[k] as number) + value
    b.countCheck[k] = (b.countCheck[k] as number) + count
  } else b.check[k] = (b.check[k] as number) - value
}

/** Learns the losses from the hours that are complete by now. */
export function learnBalance(b: Balance, nowMs: number): void {
  const until = Math.min(b.head, Math.floor(nowMs / HOUR_MS) - LEARN_AFTER_HOURS)
  for (let h = Math.max(b.learntTo + 1, b.head - BALANCE_HOURS + 1); h <= until; h++) {
    b.learntTo = h
    const k = h % BALANCE_HOURS
    if (b.count[k] !== b.expected || b.countCheck[k] !== b.expectedCheck) continue
    const x = b.check[k] as number
    const y = x - (b.taken[k] as number)
    const [a, s, p0, p1, p2] = b.model
    const miss = y - (a + s * x)
    const outlier = b.learnt >= LEARNT_MIN && Math.abs(miss) > OUTLIER_ERRORS * b.error + OUTLIER_KWH
    b.learnt++
    b.error += (Math.abs(miss) - b.error) / Math.min(b.learnt, LEARNT_MIN)
    if (outlier) continue
    const g0 = p0 + p1 * x
    const g1 = p1 + p2 * x
    const scale = FORGET + g0 + g1 * x
    b.model = [
      a + (g0 * miss) / scale,
      s + (g1 * miss) / scale,
      bounded((p0 - (g0 * g0) / scale) / FORGET),
      (p1 - (g0 * g1) / scale) / FORGET,
      bounded((p2 - (g1 * g1) / scale) / FORGET),
    ]
  }
}

/** Forgetting must not blow up a direction that the load never shows. */
function bounded(p: number): number {
  return Math.min(p, 1e4)
}

/** What one unmeasured customer took in an hour, kWh, when everyone else was measured; NaN when the balance cannot say. */
export function balanceEnergy(b: Balance, hour: number, ownPerHour: number): number {
  if (b.learnt < LEARNT_MIN || hour > b.head || hour <= b.head - BALANCE_HOURS) return Number.NaN
  const k = hour % BALANCE_HOURS
  if (b.count[k] !== b.expected - ownPerHour || b.countCheck[k] !== b.expectedCheck) return Number.NaN
  const check = b.check[k] as number
  const energy = Math.max(0, check - (b.model[0] + b.model[1] * check) - (b.taken[k] as number))
  return b.error <= ERROR_SHARE * energy ? energy : Number.NaN
}
