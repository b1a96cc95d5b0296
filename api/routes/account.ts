// The account page's data: for people of the utility by account, for the customer by a signed link that opens one account only.
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { SEGMENTS } from '#model/asset.ts'
import { DAY_MS, localDate, startOfLocalDate } from '#model/time.ts'
import { addDays } from '#tariff/calendar.ts'
import { advise } from '../account/advice.ts'
import { type AccountLinks, createAccountLinks } from '../account/link.ts'
import type { ApiDeps, App } from '../app.ts'
import { bearerOf } from '../auth.ts'
import { greenButtonOf } from '../billing/green-button-source.ts'
import { Problem } from '../problem.ts'
import { type AccountRow, getAccount, metersOf, QUANTITY_OF, raiseLinkSerial, setProfile, usageOfMeter } from '../queries/account.ts'
import { accountView, type NeighbourCache } from '../queries/account-view.ts'
import { registryMeta } from '../queries/assets.ts'
import { Id, rangeOf, Time } from '../queries/params.ts'
import { intervals, newestOnly } from '../queries/series.ts'
import { validTariffs } from '../queries/tariffs.ts'
import { PROBLEMS } from './schemas.ts'
import { PricedOut } from './tariffs.ts'

const TextOut = z.object({ en: z.string(), zh: z.string() })
const LabelOut = z.object({ en: z.string(), zh: z.string().optional() })
const DayOut = z.object({ date: z.string(), value: z.number(), uncertain: z.int(), intervals: z.int() })
const ViewOut = z.object({
  account: z.string(),
  segment: z.enum(SEGMENTS),
  language: z.string(),
  timezone: z.string(),
  now: z.string(),
  commodities: z.array(
    z.object({
      commodity: z.enum(['water', 'power']),
      unit: z.enum(['m3', 'kWh']),
      usage: z.object({
        meters: z.array(z.string()),
        today: z.object({ value: z.number(), uncertainPct: z.number(), until: z.string().nullable() }),
        month: z.object({
          from: z.string(),
          value: z.number(),
          lastMonthSameDays: z.number().nullable(),
          lastMonth: z.number().nullable(),
          changePct: z.number().nullable(),
        }),
        days: z.array(DayOut),
      }),
      neighbours: z.object({ count: z.int(), median: z.number(), moreThanYou: z.number() }).nullable(),
      cost: z
        .object({
          tariff: z.object({ code: z.string(), label: LabelOut }),
          currency: z.string(),
          minorDigits: z.int(),
          soFar: PricedOut,
          forecastMinor: z.int(),
          forecastLowMinor: z.int(),
          forecastHighMinor: z.int(),
        })
        .nullable(),
      costProblem: z.string().nullable(),
    }),
  ),
  notices: z.array(z.object({ kind: z.string(), from: z.string(), to: z.string().nullable(), urgent: z.boolean(), text: TextOut })),
  greenButton: z.string(),
})
const CurveOut = z.object({
  meter: z.string(),
  date: z.string(),
  intervals: z.array(z.object({ start: z.string(), end: z.string(), value: z.number().nullable(), status: z.string() })),
})
const Curve = z.object({ meter: Id, date: z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'must be YYYY-MM-DD') })
const AdviceOut = z.object({
  date: z.string(),
  quantity: z.number(),
  highestHour: z.object({ hour: z.string(), power: z.number() }).nullable(),
  tariffs: z.array(
    z.object({
      code: z.string(),
      label: LabelOut,
      currency: z.string(),
      minorDigits: z.int(),
      totalMinor: z.int(),
      differenceMinor: z.int().nullable(),
      current: z.boolean(),
    }),
  ),
  shift: z
    .object({
      sharePct: z.number(),
      quantity: z.number(),
      from: z.object({ period: z.string(), spans: z.array(z.string()) }),
      to: z.object({ period: z.string(), spans: z.array(z.string()) }),
      savedMinorDay: z.int(),
    })
    .nullable(),
})
const Params = z.object({ id: Id })
const GreenButton = z.object({ from: Time.optional(), to: Time.optional() })

/** `refuse` counts a wrong link against the address that sent it. */
export function accountRoutes(app: App, deps: ApiDeps, refuse: (address: string) => void): void {
  const cache: NeighbourCache = new Map()
  const links = deps.accountLinkSecret === undefined ? undefined : createAccountLinks(deps.accountLinkSecret)
  const known = async (id: string): Promise<AccountRow> => {
    const account = await getAccount(deps.pool, id)
    if (account === undefined) throw new Problem(404, 'no_such_account', 'there is no account with this id')
    return account
  }
  const linked = (request: FastifyRequest) => accountOfLink(request, deps, links, refuse)

  app.get(
    '/v1/accounts/:id/view',
    {
      schema: {
        tags: ['account'],
        summary: 'What the customer sees: use, cost, forecast, notices',
        params: Params,
        response: { 200: ViewOut, ...PROBLEMS },
      },
    },
    async ({ params }) => (await accountView(deps, await known(params.id), cache)) as z.output<typeof ViewOut>,
  )
  app.get(
    '/v1/my-account/view',
    {
      config: { public: true },
      schema: {
        tags: ['account'],
        security: [],
        summary: 'The same for whoever has a signed link: send its token as a bearer token',
        response: { 200: ViewOut, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const account = await linked(request)
      reply.header('cache-control', 'no-store')
      return (await accountView(deps, account, cache)) as z.output<typeof ViewOut>
    },
  )
  app.get(
    '/v1/accounts/:id/curve',
    {
      schema: {
        tags: ['account'],
        summary: 'Intervals of one of its meters on a local day',
        params: Params,
        querystring: Curve,
        response: { 200: CurveOut, ...PROBLEMS },
      },
    },
    async ({ params, query }) => curve(deps, await known(params.id), query),
  )
  app.get(
    '/v1/my-account/curve',
    {
      config: { public: true },
      schema: {
        tags: ['account'],
        security: [],
        summary: 'The same by a signed link',
        querystring: Curve,
        response: { 200: CurveOut, ...PROBLEMS },
      },
    },
    async (request) => curve(deps, await linked(request), request.query),
  )
  const download = {
    tags: ['account' as const],
    querystring: GreenButton,
    description: 'from (included) to (not included), the last 92 days of log time when left out, at most 400 days.',
    response: { 200: z.any(), ...PROBLEMS },
  }
  app.get(
    '/v1/accounts/:id/green-button',
    { schema: { ...download, summary: 'Intervals and closed bills as Green Button (NAESB ESPI) XML', params: Params } },
    async ({ params, query }, reply) => greenButton(deps, await known(params.id), query, reply),
  )
  app.get(
    '/v1/my-account/green-button',
    { config: { public: true }, schema: { ...download, security: [], summary: 'The same by a signed link' } },
    async (request, reply) => greenButton(deps, await linked(request), request.query, reply),
  )
  linkRoutes(app, deps, links, known)
  adviceRoute(app, deps, known)
}

/** @throws Problem 401 for a link that is wrong, expired or ended */
async function accountOfLink(
  request: FastifyRequest,
  deps: ApiDeps,
  links: AccountLinks | undefined,
  refuse: (address: string) => void,
): Promise<AccountRow> {
  const claim = links?.check(bearerOf(request) ?? '', Date.now())
  const account = claim === undefined ? undefined : await getAccount(deps.pool, claim.account)
  if (account === undefined || account.linkSerial !== claim?.serial) {
    refuse(request.ip)
    throw new Problem(401, 'link_not_valid', 'this link is not valid or has expired; ask your utility for a new one')
  }
  return account
}

async function greenButton(deps: ApiDeps, account: AccountRow, q: z.output<typeof GreenButton>, reply: FastifyReply): Promise<Readable> {
  const range = rangeOf(q, { nowMs: deps.nowMs(), usualMs: 92 * DAY_MS, mostMs: 400 * DAY_MS })
  const parts = await greenButtonOf(deps, { account: account.account, ...range })
  if (parts === undefined) throw new Problem(404, 'no_such_account', 'there is no account with this id')
  if (parts === 'too_many') throw new Problem(400, 'range_too_long', 'from and to: more intervals than one download may have; ask for less')
  reply.type('application/atom+xml; charset=utf-8').header('content-disposition', 'attachment; filename="green-button.xml"')
  return Readable.from(parts)
}

async function curve(deps: ApiDeps, account: AccountRow, q: z.output<typeof Curve>): Promise<z.output<typeof CurveOut>> {
  const meter = (await metersOf(deps.pool, account.account)).find((m) => m.id === q.meter)
  if (meter === undefined) throw new Problem(404, 'no_such_meter', 'this account has no such meter')
  const timezone = (await registryMeta(deps.pool)).timezone || 'UTC'
  const range = { fromMs: startOfLocalDate(timezone, q.date), toMs: startOfLocalDate(timezone, addDays(q.date, 1)) }
  const rows = newestOnly(
    await intervals(deps, { meter: q.meter, quantity: QUANTITY_OF[meter.commodity], channel: '', range, limit: 5_000 }),
  )
  return { ...q, intervals: rows.map((r) => ({ start: r.start, end: r.end, value: r.value, status: r.status })) }
}

function linkRoutes(app: App, deps: ApiDeps, links: AccountLinks | undefined, known: (id: string) => Promise<AccountRow>): void {
  app.post(
    '/v1/accounts/:id/link',
    {
      schema: {
        tags: ['account'],
        summary: 'A signed link to the account page, for the customer',
        description: 'renew=true ends all links given out before. The token stands behind # so that no server log holds it.',
        params: Params,
        body: z
          .object({ days: z.number().int().min(1).max(400).default(90), renew: z.boolean().default(false) })
          .default({ days: 90, renew: false }),
        response: { 200: z.object({ path: z.string(), token: z.string(), until: z.string() }), ...PROBLEMS },
      },
    },
    async ({ params, body, who }) => {
      if (links === undefined) throw new Problem(503, 'links_off', 'ACCOUNT_LINK_SECRET: is not set, so links cannot be signed')
      const account = await known(params.id)
      const serial = body.renew ? await raiseLinkSerial(deps.pool, account.account, who) : account.linkSerial
      const untilMs = Date.now() + body.days * DAY_MS
      const token = links.sign(account.account, serial, untilMs)
      return { path: `/account#${token}`, token, until: new Date(untilMs).toISOString() }
    },
  )
  app.put(
    '/v1/accounts/:id/profile',
    {
      schema: {
        tags: ['account'],
        summary: 'Persons of the household, or the segment, set by a person; both outlast an import',
        params: Params,
        body: z.object({
          persons: z.number().int().min(1).max(50).optional(),
          segment: z.enum(SEGMENTS).optional(),
          reason: z.string().min(1).max(300).default('set by a person'),
        }),
        response: { 200: z.object({ account: z.string(), persons: z.int(), segment: z.enum(SEGMENTS) }), ...PROBLEMS },
      },
    },
    async ({ params, body, who }) => {
      await known(params.id)
      await setProfile(deps.pool, { account: params.id, ...body, who })
      const { account, persons, segment } = await known(params.id)
      return { account, persons, segment }
    },
  )
}

function adviceRoute(app: App, deps: ApiDeps, known: (id: string) => Promise<AccountRow>): void {
  app.get(
    '/v1/accounts/:id/advice',
    {
      schema: {
        tags: ['account'],
        summary: "What a day's curve costs at each tariff, and what shifting load would save",
        description: 'date: a local day, yesterday when left out. share: percent of the use in the dearest hours that is moved.',
        params: Params,
        querystring: z.object({
          commodity: z.enum(['water', 'power']).default('power'),
          date: z
            .string()
            .regex(/^\d{4}-\d{2}-\d{2}$/, 'must be YYYY-MM-DD')
            .optional(),
          share: z.coerce.number().min(1).max(100).default(20),
        }),
        response: { 200: AdviceOut, ...PROBLEMS },
      },
    },
    async ({ params, query }) => {
      const account = await known(params.id)
      const timezone = (await registryMeta(deps.pool)).timezone || 'UTC'
      const date = query.date ?? addDays(localDate(timezone, deps.nowMs()), -1)
      const range = { fromMs: startOfLocalDate(timezone, date), toMs: startOfLocalDate(timezone, addDays(date, 1)) }
      const meters = (await metersOf(deps.pool, account.account)).filter((m) => m.commodity === query.commodity)
      const usage = []
      for (const m of meters) usage.push(...(await usageOfMeter(deps, { meter: m.id, quantity: QUANTITY_OF[query.commodity], ...range })))
      const tariffs = [...(await validTariffs(deps.pool)).values()].filter((t) => t.commodity === query.commodity)
      const current = query.commodity === 'water' ? account.tariffWater : account.tariffPower
      return advise({ date, timezone, usage, tariffs, current, segment: account.segment, sharePct: query.share })
    },
  )
}
