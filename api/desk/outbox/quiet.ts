// Quiet hours: when a notice may go out. Pure.
import { localDate } from '#model/time.ts'
import { instantOf, minuteOf } from '../calendar.ts'
import type { DeskSettings } from '../settings.ts'

/** 0 when it may go at once, else the end of the quiet hours, epoch ms. From equal to To means no quiet hours. */
export function notBefore(q: Pick<DeskSettings['notices'], 'quietFrom' | 'quietTo'>, timezone: string, nowMs: number): number {
  const from = minuteOf(q.quietFrom)
  const to = minuteOf(q.quietTo)
  if (from === to) return 0
  const today = localDate(timezone, nowMs)
  // Quiet hours that began yesterday, and those of today.
  for (const day of [dayAfter(today, -1), today]) {
    const start = instantOf(timezone, day, from)
    const end = instantOf(timezone, from < to ? day : dayAfter(day, 1), to)
    if (nowMs >= start && nowMs < end) return end
  }
  return 0
}

function dayAfter(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10)
}
