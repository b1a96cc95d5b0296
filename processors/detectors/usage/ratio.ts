// What the neighbours do on a day against their usual: the weather's part, and that of a holiday.
import { median } from '../power/days.ts'
import type { Customers } from './customers.ts'

type Commodity = 'water' | 'power'

/** Columns by meter: use of the last day against the usual, and which day that was; and what the last whole day came to, by commodity. */
export interface Ratios {
  ratio: Float32Array
  ratioNo: Int32Array
  whole: Record<Commodity, { no: number; peers: number }>
}

const PEERS_MIN = 5

export function createRatios(n: number): Ratios {
  return { ratio: new Float32Array(n), ratioNo: new Int32Array(n), whole: { water: { no: 0, peers: 1 }, power: { no: 0, peers: 1 } } }
}

/** A meter's day as it is told; `level` is its usual day. */
export function tellDay(r: Ratios, i: number, customers: Customers, at: { no: number; value: number; level: number }): void {
  if (!(at.level > 0)) return
  const commodity = customers.list[i]?.commodity ?? 'power'
  const whole = r.whole[commodity]
  // The first word of a new day: all that will be known of the day before is known.
  if (at.no > whole.no + 1) {
    whole.no = at.no - 1
    whole.peers = medianOf(r, customers, commodity, at.no - 1) ?? 1
  }
  r.ratio[i] = at.value / at.level
  r.ratioNo[i] = at.no
}

/** Median over the meters of this day; while few of them have told, that of the day before. */
export function peersOn(r: Ratios, customers: Customers, commodity: Commodity, no: number): number {
  return medianOf(r, customers, commodity, no) ?? r.whole[commodity].peers
}

function medianOf(r: Ratios, customers: Customers, commodity: Commodity, no: number): number | undefined {
  const values: number[] = []
  for (let i = 0; i < r.ratio.length; i++)
    if (r.ratioNo[i] === no && customers.list[i]?.commodity === commodity) values.push(r.ratio[i] as number)
  return values.length < PEERS_MIN ? undefined : median(values)
}
