// What closing and Green Button ask QuestDB for, for several meters at once: newest revisions of intervals, register reads at a border.
import type { IntervalStatus } from '#model/interval.ts'
import { DAY_MS, MINUTE_MS } from '#model/time.ts'
import { literal, timeLiteral } from '#runtime/questdb.ts'
import type { Range } from '../queries/params.ts'
import type { SeriesStore } from '../queries/series.ts'
import type { DayInterval } from './day-intervals.ts'
import { type BorderRead, type RegisterId, registerKey } from './period-model.ts'

/** A read so much after the border counts as at it, as in validation. */
const BORDER_AFTER_MS = MINUTE_MS
/** An older read says nothing about the border. */
const BORDER_BEFORE_MS = 3 * DAY_MS

const among = (ids: readonly string[]) => ids.map(literal).join(', ')

/** Newest revision of each interval, in order of meter, quantity, channel and start. */
export async function intervalsOf(
  { questdb, prefix }: SeriesStore,
  meters: readonly string[],
  range: Range,
): Promise<{ register: RegisterId; interval: DayInterval; reasons: string[] }[]> {
  if (meters.length === 0) return []
  const { dataset } = await questdb.exec(
    `SELECT meter, quantity, channel, cast(start AS long), cast("end" AS long), value, status, reasons, rev FROM '${prefix}intervals'
     WHERE meter IN (${among(meters)}) AND start >= ${timeLiteral(range.fromMs)} AND start < ${timeLiteral(range.toMs)}
     ORDER BY meter, quantity, channel, start, rev`,
  )
  const out: { register: RegisterId; interval: DayInterval; reasons: string[] }[] = []
  for (const r of dataset as [string, string, string | null, number, number, number | null, string, string | null, number][]) {
    const register = { meter: r[0], quantity: r[1], channel: r[2] ?? '' }
    const interval = { startMs: r[3] / 1000, endMs: r[4] / 1000, value: r[5], status: r[6] as IntervalStatus }
    const reasons = r[7] === null || r[7] === '' ? [] : r[7].split(',')
    const last = out.at(-1)
    // In order of revision: the next one of the same interval takes its place.
    const same = last !== undefined && last.interval.startMs === interval.startMs && registerKey(last.register) === registerKey(register)
    if (same) out[out.length - 1] = { register, interval, reasons }
    else out.push({ register, interval, reasons })
  }
  return out
}

/** The last believed read of each register up to a border. */
export async function borderReads(
  { questdb, prefix }: SeriesStore,
  meters: readonly string[],
  borderMs: number,
): Promise<Map<string, BorderRead>> {
  if (meters.length === 0) return new Map()
  const { dataset } = await questdb.exec(
    `SELECT device, quantity, channel, ts, value, received_at, gateway, quality FROM '${prefix}readings'
     WHERE device IN (${among(meters)}) AND ts > ${timeLiteral(borderMs - BORDER_BEFORE_MS)} AND ts <= ${timeLiteral(borderMs + BORDER_AFTER_MS)}
       AND quality != 'suspect' LATEST ON ts PARTITION BY device, quantity, channel`,
  )
  const iso = (text: string) => new Date(text).toISOString()
  return new Map(
    (dataset as [string, string, string | null, string, number, string, string | null, string][]).map((r) => [
      registerKey({ meter: r[0], quantity: r[1], channel: r[2] ?? '' }),
      { ts: iso(r[3]), value: r[4], receivedAt: iso(r[5]), gateway: r[6] ?? '', quality: r[7] },
    ]),
  )
}
