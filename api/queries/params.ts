// Parameters that many routes share: strict, bounded, described once.
import { z } from 'zod'
import { parseIso } from '#model/time.ts'
import { Problem } from '../problem.ts'

/** Ids of assets, gateways, findings: any text without control characters; quotes and slashes may be in it. */
export const Id = z
  .string()
  .min(1)
  .max(400)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  .regex(/^[^\u0000-\u001f\u007f]+$/, 'must not contain control characters')

/** ISO 8601 with a zone; epoch ms inside. */
export const Time = z
  .string()
  .max(40)
  .refine((s) => !Number.isNaN(parseIso(s)), 'must be ISO 8601 with a time zone, such as 2026-03-01T10:15:00Z')
  .transform(parseIso)
  .meta({ type: 'string', format: 'date-time' })

/** One or several, separated by commas. */
export function List<T>(of: z.ZodType<T, string>) {
  return z
    .string()
    .max(4000)
    .transform((s) => s.split(','))
    .pipe(z.array(of).min(1).max(100))
}

export const limit = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual)
export const Offset = z.coerce.number().int().min(0).max(10_000_000).default(0)
export const Flag = z.enum(['true', 'false']).transform((s) => s === 'true')

export interface Range {
  fromMs: number
  toMs: number
}

/** The range asked for: up to now and for `usualMs` when left out. @throws Problem 400 when it is backwards or longer than `mostMs`. */
export function rangeOf(
  q: { from?: number | undefined; to?: number | undefined },
  how: { nowMs: number; usualMs: number; mostMs: number },
): Range {
  const toMs = q.to ?? (q.from === undefined ? how.nowMs : Math.max(how.nowMs, q.from))
  const fromMs = q.from ?? toMs - how.usualMs
  if (fromMs > toMs) throw new Problem(400, 'not_valid', 'from must not be after to')
  if (toMs - fromMs > how.mostMs) {
    throw new Problem(
      400,
      'range_too_long',
      `from and to may be at most ${Math.round(how.mostMs / 86_400_000)} days apart; ask for less at a time`,
    )
  }
  return { fromMs, toMs }
}
