// The intervals of one billed day in few bytes: kept with the bill for good, so that it can be computed again and explained when the
// series itself has been revised or is gone.
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { INTERVAL_STATUSES, type IntervalStatus } from '#model/interval.ts'

export interface DayInterval {
  startMs: number
  endMs: number
  /** In the quantity's unit; null when missing. */
  value: number | null
  status: IntervalStatus
}

/** JSON of columns (steps from one start to the next, lengths, values, status numbers), deflated: a day of 96 takes about 200 bytes. */
export function encodeIntervals(list: readonly DayInterval[]): Buffer {
  let last = 0
  const steps = list.map((i) => {
    const step = i.startMs - last
    last = i.startMs
    return step
  })
  const columns = [
    steps,
    list.map((i) => i.endMs - i.startMs),
    list.map((i) => i.value),
    list.map((i) => INTERVAL_STATUSES.indexOf(i.status)).join(''),
  ]
  return deflateRawSync(JSON.stringify(columns))
}

export function decodeIntervals(bytes: Buffer): DayInterval[] {
  const [steps, lengths, values, statuses] = JSON.parse(inflateRawSync(bytes).toString()) as [number[], number[], (number | null)[], string]
  let at = 0
  return steps.map((step, k) => {
    at += step
    return {
      startMs: at,
      endMs: at + (lengths[k] as number),
      value: values[k] as number | null,
      status: INTERVAL_STATUSES[Number(statuses[k])] as IntervalStatus,
    }
  })
}
