// A tariff as data: what a utility publishes, in a form that a machine can price and refuse. Prices are decimal text in the major unit,
// times are local to the utility, versions follow each other without gap or overlap. Everything wrong is named by its field.
import { z } from 'zod'
import { SEGMENTS } from '#model/asset.ts'
import { addDays, isDate, MINUTES, minuteOf } from './calendar.ts'
import { Decimal, micro } from './money.ts'

const Name = z.string().regex(/^[A-Za-z0-9_.-]{1,60}$/, 'must be 1 to 60 letters, digits, "_", "." or "-"')
/** Text by language; English is always there. */
const Label = z.object({ en: z.string().min(1).max(200), zh: z.string().max(200).optional() })
const LocalDate = z.string().refine(isDate, 'must be a date that exists, YYYY-MM-DD')
const MonthDay = z.string().refine((t) => /^\d{2}-\d{2}$/.test(t) && t !== '02-29' && isDate(`2023-${t}`), 'must be MM-DD, not 02-29')
const Clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'must be HH:MM from 00:00 to 24:00')
const Percent = Decimal.refine((t) => micro(t) >= 0 && micro(t) <= 1_000_000_000, 'must be a percentage from 0 to 1000')

export const DAY_SETS = {
  all: [0, 1, 2, 3, 4, 5, 6],
  weekday: [1, 2, 3, 4, 5],
  weekend: [0, 6],
  saturday: [6],
  sunday: [0],
} as const satisfies Record<string, readonly number[]>
export type DaySet = keyof typeof DAY_SETS

/** When a time-of-use period holds. `from` after `to` goes over midnight; `seasons` left out: all of them. */
const Span = z.object({
  days: z.enum(Object.keys(DAY_SETS) as [DaySet, ...DaySet[]]).default('all'),
  from: Clock,
  to: Clock,
  seasons: z.array(Name).min(1).optional(),
})

export const Period = z.object({
  id: Name,
  label: Label,
  spans: z.array(Span).max(50).default([]),
  /** Takes every minute that no span of another period has. At most one. */
  rest: z.boolean().default(false),
})

export const Season = z.object({
  id: Name,
  label: Label,
  /** Days of the year on which it begins; it lasts until another begins, so that seasons can neither overlap nor leave a hole. */
  from: z.array(MonthDay).min(1).max(12),
})

const Block = z.object({
  /** Upper end, in kWh or m3, included; the last block has none. */
  upTo: z.number().positive().nullable(),
  /** Added to `upTo` for each person of the household above `personsIncluded`. */
  upToPerPerson: z.number().nonnegative().default(0),
  rate: Decimal,
})

export const Tiers = z.object({
  /**
   * Over what the use adds up: `period`, each bill anew with the limits as they stand; `period_days`, each bill anew with limits a day
   * times its days (a baseline allowance); `month`, each calendar month anew; `year`, from `yearStart` on.
   */
  accumulate: z.enum(['period', 'period_days', 'month', 'year']),
  yearStart: MonthDay.default('01-01'),
  /** What adds up: what this charge is on (`own`), or all use of its register, also at other times and in other seasons (`all`). */
  counts: z.enum(['own', 'all']).default('own'),
  /** Persons already meant by `upTo`. */
  personsIncluded: z.number().int().min(0).max(50).default(0),
  blocks: z.array(Block).min(1).max(12),
})

/** Which bills, seasons and periods a charge is for. */
const Where = {
  id: Name,
  label: Label,
  /** Left out: all. */
  seasons: z.array(Name).min(1).optional(),
  segments: z.array(z.enum(SEGMENTS)).min(1).optional(),
}

export const Charge = z.discriminatedUnion('type', [
  z.object({
    ...Where,
    type: z.literal('energy'),
    /** What is priced: what was taken, or what was fed back (a negative rate is a credit). */
    register: z.enum(['import', 'export']).default('import'),
    /** Only these time-of-use periods; left out: at all times. */
    periods: z.array(Name).min(1).optional(),
    /** Share of the quantity that is charged: sewage is often 90 % of the water. */
    share: z.number().positive().max(1).default(1),
    rate: Decimal.optional(),
    tiers: Tiers.optional(),
  }),
  z.object({ ...Where, type: z.literal('standing'), perDay: Decimal.optional(), perMonth: Decimal.optional() }),
  /** Tops up what energy, demand and standing charges come to. */
  z.object({ ...Where, type: z.literal('minimum'), perDay: Decimal.optional(), perMonth: Decimal.optional() }),
  /** On the highest mean power of one interval, kW. */
  z.object({ ...Where, type: z.literal('demand'), periods: z.array(Name).min(1).optional(), perKwMonth: Decimal }),
  /** Off energy, demand and standing charges together; before the minimum. */
  z.object({ ...Where, type: z.literal('discount'), percent: Percent }),
])
export type Charge = z.output<typeof Charge>
export type ChargeType = Charge['type']

export const Tax = z.object({
  id: Name,
  label: Label,
  percent: Percent,
  /** Already in the prices: then it is shown and not added. */
  included: z.boolean().default(false),
  /** Kinds of charges it is on; left out: all. */
  on: z
    .array(z.enum(['energy', 'standing', 'minimum', 'demand', 'discount']))
    .min(1)
    .optional(),
})

export const TariffVersion = z.object({
  /** First local day, included, and first day on which it no longer holds; null: until further notice. */
  validFrom: LocalDate,
  validUntil: LocalDate.nullable().default(null),
  seasons: z.array(Season).max(12).default([]),
  periods: z.array(Period).max(12).default([]),
  /** Public holidays: priced as a Sunday. */
  holidays: z.array(LocalDate).max(400).default([]),
  charges: z.array(Charge).min(1).max(50),
  taxes: z.array(Tax).max(10).default([]),
})
export type TariffVersion = z.output<typeof TariffVersion>

export const Tariff = z
  .object({
    code: Name,
    commodity: z.enum(['water', 'power', 'gas', 'heat']),
    label: Label,
    currency: z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code, such as EUR'),
    /** Decimal places of the currency: 2 for EUR, 0 for JPY. */
    minorDigits: z.number().int().min(0).max(3).default(2),
    /** Where it is published: whoever doubts a bill can look it up. */
    source: z.string().max(500).default(''),
    versions: z.array(TariffVersion).min(1).max(200),
  })
  .superRefine((t, ctx) => {
    for (const p of tariffProblems(t)) ctx.addIssue({ code: 'custom', path: p.path, message: p.message })
  })
  .describe('A tariff with all its versions')
export type Tariff = z.output<typeof Tariff>
export type TariffInput = z.input<typeof Tariff>

interface TariffProblem {
  path: (string | number)[]
  message: string
}

type Plain = Pick<Tariff, 'versions'>

/** What the shape alone cannot say: validity without gap or overlap, names that exist, every minute in exactly one period, rising blocks. */
export function tariffProblems(t: Plain): TariffProblem[] {
  const out: TariffProblem[] = []
  t.versions.forEach((v, i) => {
    const at = ['versions', i]
    if (v.validUntil !== null && v.validUntil <= v.validFrom) {
      out.push({ path: [...at, 'validUntil'], message: `must be after validFrom ${v.validFrom}` })
    }
    const next = t.versions[i + 1]
    if (next !== undefined) follows(v, next, [...at, 'validUntil'], out)
    duplicates(
      v.seasons.map((s) => s.id),
      [...at, 'seasons'],
      out,
    )
    duplicates(
      v.periods.map((p) => p.id),
      [...at, 'periods'],
      out,
    )
    duplicates(
      v.charges.map((c) => c.id),
      [...at, 'charges'],
      out,
    )
    duplicates(
      v.seasons.flatMap((s) => s.from),
      [...at, 'seasons'],
      out,
      'two seasons begin on',
    )
    periodProblems(v, at, out)
    v.charges.forEach((c, k) => {
      chargeProblems(v, c, [...at, 'charges', k], out)
    })
  })
  return out
}

function follows(v: TariffVersion, next: TariffVersion, path: (string | number)[], out: TariffProblem[]): void {
  if (next.validFrom <= v.validFrom)
    out.push({ path, message: `versions must be in order: the next begins ${next.validFrom}, not after ${v.validFrom}` })
  else if (v.validUntil === null || v.validUntil > next.validFrom) {
    const end = v.validUntil === null ? 'has no end' : `ends ${v.validUntil}`
    out.push({ path, message: `overlaps the next version: this one ${end}, the next begins ${next.validFrom}` })
  } else if (v.validUntil < next.validFrom) {
    out.push({
      path,
      message: `leaves a gap from ${v.validUntil} to ${addDays(next.validFrom, -1)}: the next version begins ${next.validFrom}`,
    })
  }
}

function duplicates(ids: string[], path: (string | number)[], out: TariffProblem[], what = 'is named twice:'): void {
  const twice = ids.find((id, k) => ids.indexOf(id) !== k)
  if (twice !== undefined) out.push({ path, message: `${what} ${twice}` })
}

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const clock = (minute: number) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`

/** Each minute of the week, in each season, belongs to exactly one period. */
function periodProblems(v: TariffVersion, at: (string | number)[], out: TariffProblem[]): void {
  if (v.periods.length === 0) return
  const rest = v.periods.filter((p) => p.rest)
  if (rest.length > 1)
    out.push({ path: [...at, 'periods'], message: `only one period may take the rest: ${rest.map((p) => p.id).join(', ')}` })
  v.periods.forEach((p, k) => {
    p.spans.forEach((s, j) => {
      unknown(s.seasons, v.seasons, 'season', [...at, 'periods', k, 'spans', j, 'seasons'], out)
      if (s.from === s.to)
        out.push({ path: [...at, 'periods', k, 'spans', j, 'to'], message: 'must differ from "from"; a whole day is 00:00 to 24:00' })
    })
  })
  const seasons = v.seasons.length === 0 ? [undefined] : v.seasons.map((s) => s.id)
  for (const season of seasons) {
    for (let weekday = 0; weekday < 7; weekday++) {
      const where = `on ${WEEKDAYS[weekday]}${season === undefined ? '' : ` in season ${season}`}`
      const owner = dayTable(v, season, weekday, (k, other, minute) =>
        out.push({
          path: [...at, 'periods', k],
          message: `overlaps ${v.periods[other]?.id} ${where} at ${clock(minute)}`,
        }),
      )
      const from = owner.indexOf(NOBODY)
      if (from < 0) continue
      let to = from
      while (to < MINUTES && owner[to] === NOBODY) to++
      out.push({ path: [...at, 'periods'], message: `gap ${where} from ${clock(from)} to ${clock(to)}: no period holds` })
      // One gap is enough to find the mistake.
      return
    }
  }
}

const NOBODY = -1

/** Which period holds at each minute of a weekday; `onOverlap` once for each span that meets another's minutes. */
export function dayTable(
  v: Pick<TariffVersion, 'periods'>,
  season: string | undefined,
  weekday: number,
  onOverlap?: (period: number, other: number, minute: number) => void,
): Int8Array {
  const table = new Int8Array(MINUTES).fill(NOBODY)
  v.periods.forEach((p, k) => {
    for (const s of p.spans) {
      if (!(DAY_SETS[s.days] as readonly number[]).includes(weekday) || (s.seasons !== undefined && !s.seasons.includes(season ?? '')))
        continue
      const from = minuteOf(s.from)
      const to = minuteOf(s.to)
      const parts =
        from < to
          ? [[from, to]]
          : [
              [0, to],
              [from, MINUTES],
            ]
      let told = false
      for (const [a, b] of parts as [number, number][]) {
        for (let m = a; m < b; m++) {
          const other = table[m] as number
          if (other !== NOBODY && !told) {
            told = true
            onOverlap?.(k, other, m)
          }
          table[m] = k
        }
      }
    }
  })
  const rest = v.periods.findIndex((p) => p.rest)
  if (rest >= 0) for (let m = 0; m < MINUTES; m++) if (table[m] === NOBODY) table[m] = rest
  return table
}

function unknown(
  ids: readonly string[] | undefined,
  known: readonly { id: string }[],
  what: string,
  path: (string | number)[],
  out: TariffProblem[],
): void {
  const missing = ids?.find((id) => !known.some((k) => k.id === id))
  if (missing !== undefined) out.push({ path, message: `there is no ${what} ${missing}` })
}

function chargeProblems(v: TariffVersion, c: Charge, path: (string | number)[], out: TariffProblem[]): void {
  unknown(c.seasons, v.seasons, 'season', [...path, 'seasons'], out)
  if (c.type === 'energy' || c.type === 'demand') unknown(c.periods, v.periods, 'period', [...path, 'periods'], out)
  if (c.type === 'energy') {
    if ((c.rate === undefined) === (c.tiers === undefined))
      out.push({ path: [...path, 'rate'], message: 'either rate or tiers is needed, not both' })
    if (c.tiers !== undefined) blockProblems(c.tiers.blocks, [...path, 'tiers', 'blocks'], out)
  }
  if ((c.type === 'standing' || c.type === 'minimum') && (c.perDay === undefined) === (c.perMonth === undefined)) {
    out.push({ path: [...path, 'perMonth'], message: 'either perDay or perMonth is needed, not both' })
  }
}

function blockProblems(blocks: z.output<typeof Tiers>['blocks'], path: (string | number)[], out: TariffProblem[]): void {
  blocks.forEach((b, k) => {
    const last = k === blocks.length - 1
    const before = blocks[k - 1]
    if (last !== (b.upTo === null))
      out.push({ path: [...path, k, 'upTo'], message: last ? 'the last block must have no end (null)' : 'only the last block has no end' })
    else if (b.upTo !== null && before?.upTo != null && b.upTo <= before.upTo) {
      out.push({ path: [...path, k, 'upTo'], message: `must be above that of the block before, ${before.upTo}` })
    } else if (b.upTo !== null && before !== undefined && b.upToPerPerson < before.upToPerPerson) {
      out.push({
        path: [...path, k, 'upToPerPerson'],
        message: `must not be below that of the block before, ${before.upToPerPerson}: blocks would cross`,
      })
    }
  })
}

export type ParsedTariff = { ok: true; tariff: Tariff } | { ok: false; errors: { field: string; message: string }[] }

/** Never throws: a wrong tariff is a list of fields and reasons. */
export function parseTariff(input: unknown): ParsedTariff {
  const parsed = Tariff.safeParse(input)
  if (parsed.success) return { ok: true, tariff: parsed.data }
  return { ok: false, errors: parsed.error.issues.map((i) => ({ field: i.path.join('.') || 'tariff', message: i.message })) }
}

/** The version that holds on a local date; undefined before the first and after the last. */
export function versionOn(t: Plain, date: string): TariffVersion | undefined {
  return t.versions.find((v) => v.validFrom <= date && (v.validUntil === null || date < v.validUntil))
}
