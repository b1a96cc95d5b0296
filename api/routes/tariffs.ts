import { z } from 'zod'
import { SEGMENTS } from '#model/asset.ts'
import { localDate } from '#model/time.ts'
import { priceConsumption } from '#tariff/price.ts'
import { parseTariff, type Tariff, type TariffInput } from '#tariff/tariff.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { registryMeta } from '../queries/assets.ts'
import { Id, Time } from '../queries/params.ts'
import { getTariff, listTariffs, putTariff, type StoredTariff, validTariffs } from '../queries/tariffs.ts'
import { PROBLEMS } from './schemas.ts'

const TariffOut = z.object({
  code: z.string(),
  commodity: z.string(),
  revision: z.int(),
  updatedAt: z.string(),
  updatedBy: z.string(),
  valid: z.boolean(),
  problems: z.array(z.object({ field: z.string(), message: z.string() })),
  tariff: z.looseObject({}).describe('Tariff with all its versions, as it was given'),
})

const LabelOut = z.object({ en: z.string(), zh: z.string().optional() })
export const LineOut = z.object({
  kind: z.string(),
  charge: z.string(),
  label: LabelOut,
  from: z.string(),
  to: z.string(),
  quantity: z.number(),
  unit: z.string(),
  rate: z.string(),
  tier: z.int().optional(),
  included: z.literal(true).optional(),
  amountMinor: z.int(),
})
export const TierOut = z.object({
  charge: z.string(),
  label: LabelOut,
  accumulate: z.string(),
  from: z.string(),
  to: z.string(),
  tier: z.int(),
  tiers: z.int(),
  used: z.number(),
  upTo: z.number().nullable(),
  rate: z.string(),
  nextRate: z.string().nullable(),
})
export const PricedOut = z.object({
  currency: z.string(),
  minorDigits: z.int(),
  lines: z.array(LineOut),
  netMinor: z.int(),
  taxMinor: z.int(),
  totalMinor: z.int(),
  tiers: z.array(TierOut),
  uncovered: z.array(z.object({ from: z.string(), to: z.string() })),
  warnings: z.array(z.string()),
})

const LocalDate = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'must be YYYY-MM-DD')
const UsageIn = z.object({
  start: Time,
  end: Time,
  value: z.number().min(-1e9).max(1e9),
  register: z.enum(['import', 'export']).default('import'),
})

function out(s: StoredTariff): z.output<typeof TariffOut> {
  const parsed = parseTariff(s.body)
  const { body, ...rest } = s
  return { ...rest, valid: parsed.ok, problems: parsed.ok ? [] : parsed.errors, tariff: body as Record<string, unknown> }
}

/** @throws Problem 422 with every wrong field */
function parsed(body: unknown): Tariff {
  const p = parseTariff(body)
  if (p.ok) return p.tariff
  const detail = p.errors.map((e) => `${e.field}: ${e.message}`).join('; ')
  throw new Problem(422, 'tariff_not_valid', detail.slice(0, 1000), { errors: p.errors.slice(0, 50) })
}

/**
 * What has been in force may have been billed: it may get an end that lies ahead, and nothing else.
 * @throws Problem 409 naming the version
 */
function keepsThePast(before: StoredTariff | undefined, next: Tariff, today: string): void {
  const old = before === undefined ? undefined : parseTariff(before.body)
  if (old === undefined || !old.ok) return
  old.tariff.versions.forEach((v, i) => {
    if (v.validFrom > today) return
    const now = next.versions.find((n) => n.validFrom === v.validFrom)
    const same = now !== undefined && JSON.stringify({ ...now, validUntil: null }) === JSON.stringify({ ...v, validUntil: null })
    const endKept = now?.validUntil === v.validUntil || ((now?.validUntil ?? '9999') > today && (v.validUntil ?? '9999') > today)
    if (!same || !endKept) {
      throw new Problem(
        409,
        'version_in_force',
        `versions.${i}: in force since ${v.validFrom}, so bills may rest on it; add a version that begins after ${today}, or send correct=true`,
      )
    }
  })
}

export function tariffsRoutes(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/tariffs',
    {
      schema: {
        tags: ['billing'],
        summary: 'All tariffs, with what is wrong in those that are not valid',
        response: { 200: z.object({ tariffs: z.array(TariffOut) }), ...PROBLEMS },
      },
    },
    async () => ({ tariffs: (await listTariffs(pool)).map(out) }),
  )

  app.get(
    '/v1/tariffs/:code',
    { schema: { tags: ['billing'], summary: 'One tariff', params: z.object({ code: Id }), response: { 200: TariffOut, ...PROBLEMS } } },
    async ({ params }) => {
      const stored = await getTariff(pool, params.code)
      if (stored === undefined) throw new Problem(404, 'no_such_tariff', 'there is no tariff with this code')
      return out(stored)
    },
  )

  app.put(
    '/v1/tariffs/:code',
    {
      schema: {
        tags: ['billing'],
        summary: 'Stores a tariff; refused as a whole when anything in it is wrong, each field named',
        description:
          'docs/tariffs.md says what a tariff may hold. Versions in force may only be ended; correct=true lifts that, for a mistake that was never billed.',
        params: z.object({ code: Id }),
        querystring: z.object({ correct: z.enum(['true', 'false']).default('false') }),
        body: z.looseObject({}),
        response: { 200: TariffOut, ...PROBLEMS },
      },
    },
    async ({ params, query, body, who }) => {
      const tariff = parsed(body)
      if (tariff.code !== params.code) throw new Problem(422, 'tariff_not_valid', `code: is ${tariff.code}, the path says ${params.code}`)
      const { timezone } = await registryMeta(pool)
      const today = localDate(timezone || 'UTC', nowMs())
      await putTariff(pool, { tariff, body: body as unknown as TariffInput, who }, (before) => {
        if (query.correct === 'false') keepsThePast(before, tariff, today)
      })
      return out((await getTariff(pool, params.code)) as StoredTariff)
    },
  )

  app.post(
    '/v1/tariffs/price',
    {
      schema: {
        tags: ['billing'],
        summary: 'What given use would cost: by a stored tariff (code) or one sent along (tariff)',
        body: z.object({
          code: Id.optional(),
          tariff: z.looseObject({}).optional(),
          from: LocalDate,
          to: LocalDate.describe('First day not priced'),
          usage: z.array(UsageIn).max(10_000),
          before: z.array(UsageIn).max(10_000).default([]),
          segment: z.enum(SEGMENTS).default('general'),
          persons: z.number().int().min(1).max(50).default(1),
        }),
        response: { 200: PricedOut, ...PROBLEMS },
      },
    },
    async ({ body }) => {
      const { timezone } = await registryMeta(pool)
      const tariff = body.tariff === undefined ? (await validTariffs(pool, [body.code ?? ''])).get(body.code ?? '') : parsed(body.tariff)
      if (tariff === undefined) throw new Problem(404, 'no_such_tariff', 'code: there is no valid tariff with this code')
      if (body.to <= body.from) throw new Problem(400, 'not_valid', 'to: must be after from')
      const usage = (list: z.output<typeof UsageIn>[]) =>
        list.map((u) => ({ startMs: u.start, endMs: u.end, value: u.value, register: u.register }))
      const wrong = body.usage.findIndex((u) => u.end <= u.start)
      if (wrong >= 0) throw new Problem(400, 'not_valid', `usage.${wrong}.end: must be after start`)
      return priceConsumption({
        tariff,
        timezone: timezone || 'UTC',
        from: body.from,
        to: body.to,
        usage: usage(body.usage),
        before: usage(body.before),
        segment: body.segment,
        persons: body.persons,
      })
    },
  )
}
