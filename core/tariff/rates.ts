// What one more unit costs at a time: the sum of all charges on use that hold then. For advice, and for the worth of what is lost.
import type { Segment } from '#model/asset.ts'
import { seasonOf, weekdayOf } from './calendar.ts'
import { micro } from './money.ts'
import { isFor } from './price.ts'
import { clockworkOf } from './slices.ts'
import { type Tariff, type TariffVersion, versionOn } from './tariff.ts'

/** A stretch of a local day with one price. */
export interface RateSpan {
  fromMinute: number
  toMinute: number
  /** Id of the time-of-use period; '' when there is none. */
  period: string
  /** Millionths of the major unit for a kWh or m3, taxes that are added included. */
  rateMicro: number
}

interface RateOptions {
  segment?: Segment | undefined
  /** Block that holds, 1 for the first. */
  tier?: number
}

/** The day's prices in order; empty when no version holds. */
export function ratesOfDay(tariff: Tariff, date: string, options: RateOptions = {}): RateSpan[] {
  const version = versionOn(tariff, date)
  if (version === undefined) return []
  const clockwork = clockworkOf(version)
  const season = seasonOf(version.seasons, date)
  const out: RateSpan[] = []
  for (let minute = 0; minute < 1440; ) {
    const { period, untilMinute } = clockwork.at(date, minute)
    const id = version.periods[period]?.id ?? ''
    out.push({ fromMinute: minute, toMinute: untilMinute, period: id, rateMicro: rateAt(version, id, season, options) })
    minute = untilMinute
  }
  return out
}

function rateAt(v: TariffVersion, period: string, season: string | undefined, { segment, tier = 1 }: RateOptions): number {
  let sum = 0
  for (const c of v.charges) {
    if (c.type !== 'energy' || c.register !== 'import' || !isFor(c, segment)) continue
    if ((c.periods !== undefined && !c.periods.includes(period)) || (c.seasons !== undefined && !c.seasons.includes(season ?? ''))) continue
    const rate = c.tiers === undefined ? c.rate : c.tiers.blocks[Math.min(tier, c.tiers.blocks.length) - 1]?.rate
    sum += micro(rate ?? '0') * c.share
  }
  const tax = v.taxes.reduce((n, t) => (t.included || (t.on !== undefined && !t.on.includes('energy')) ? n : n + Number(t.percent)), 0)
  return Math.round(sum * (1 + tax / 100))
}

/** Mean price of a unit used evenly over the week that begins on the date, in millionths; undefined when no version holds. */
export function meanRateMicro(tariff: Tariff, date: string, options: RateOptions = {}): number | undefined {
  const version = versionOn(tariff, date)
  if (version === undefined) return undefined
  const clockwork = clockworkOf({ ...version, holidays: [] })
  const season = seasonOf(version.seasons, date)
  const weekdays = new Map<number, number>()
  // Any date of the season with that weekday: the week after, in the same season's table.
  const first = Date.parse(`${date}T00:00:00Z`)
  for (let k = 0; k < 7; k++) {
    const day = new Date(first + k * 86_400_000).toISOString().slice(0, 10)
    let sum = 0
    for (let minute = 0; minute < 1440; ) {
      const { period, untilMinute } = clockwork.at(day, minute)
      sum += rateAt(version, version.periods[period]?.id ?? '', season, options) * (untilMinute - minute)
      minute = untilMinute
    }
    weekdays.set(weekdayOf(day), sum / 1440)
  }
  return Math.round([...weekdays.values()].reduce((a, b) => a + b, 0) / weekdays.size)
}
