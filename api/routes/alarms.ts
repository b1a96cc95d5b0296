// Alarms of the shift: lists, what people do to them, the journal, the report, the rationalisation.
import { z } from 'zod'
import { ALARM_ACTIONS, ALARM_STATES, RESPOND_MINUTES, SUPPRESSION_RULES } from '#model/alarm.ts'
import { FINDING_KINDS, type Finding, SCOPE_TYPES, SEVERITIES } from '#model/finding.ts'
import { DAY_MS, toIso } from '#model/time.ts'
import { DEFAULT_POLICY, Policy } from '../alarms/policy.ts'
import { reportOf } from '../alarms/rates.ts'
import { alarmsByKey, answersIn, callsIn, currentPolicy, journal, policyVersions, savePolicy, shownAlarms } from '../alarms/rows.ts'
import { callsUnder, compareCalls } from '../alarms/shadow.ts'
import { viewOf } from '../alarms/state.ts'
import { type Acted, act } from '../alarms/store.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { Flag, Id, List, limit, rangeOf, Time } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'
import { IdempotencyKey } from './tickets.ts'

const Priority = z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)])
const State = z.enum(ALARM_STATES)
const By = z.object({ by: z.string(), atMs: z.number() })
const AlarmOut = z.object({
  key: z.string(),
  kind: z.enum(FINDING_KINDS),
  subtype: z.string(),
  scope: z.object({ type: z.enum(SCOPE_TYPES), id: z.string() }),
  zone: z.string(),
  finding: z.string(),
  severity: z.enum(SEVERITIES),
  priority: Priority,
  state: State,
  active: z.boolean(),
  activeSinceMs: z.number(),
  annunciatedMs: z.number(),
  clearedMs: z.number(),
  acknowledged: By.nullable(),
  shelved: z.object({ untilMs: z.number(), by: z.string(), reason: z.string() }).nullable(),
  outOfService: By.extend({ reason: z.string() }).nullable(),
  suppressed: z.object({ rule: z.enum(SUPPRESSION_RULES), by: z.string() }).nullable(),
  annunciations24h: z.int(),
  chattering: z.boolean(),
  version: z.int(),
  actions: z.array(z.enum(ALARM_ACTIONS)),
})
const Entry = z.object({
  seq: z.int(),
  key: z.string(),
  version: z.int(),
  at: z.string(),
  who: z.string(),
  action: z.string(),
  from: State,
  to: State,
  priority: Priority,
  finding: z.string(),
  reason: z.string(),
})
const PolicyOut = z.object({
  version: z.int(),
  at: z.string(),
  who: z.string(),
  reason: z.string(),
  policy: Policy,
})

const CallOut = z.object({ key: z.string(), atMs: z.number(), priority: Priority })

/** Revisions of findings that one replay takes; a storm month is shortened. */
const REVISIONS_MAX = 50_000
const LISTED_MAX = 500
const SHOWN_MAX = 5_000
const CALLS_MAX = 200_000
const REPORT_MS_MAX = 92 * DAY_MS
const Reason = z.string().max(1000).default('')

/** @throws Problem that says why a step was not taken. */
function taken(r: Acted): Extract<Acted, { ok: true }> {
  if (r.ok) return r
  const status = { not_found: 404, not_possible: 409, reason_required: 422, bad_time: 422 }[r.code]
  throw new Problem(status, r.code === 'not_found' ? 'no_such_alarm' : r.code, r.message)
}

export function alarmsRoutes(app: App, deps: ApiDeps): void {
  lists(app, deps)
  steps(app, deps)
  report(app, deps)
  rationalisation(app, deps)
}

function lists(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/alarms',
    {
      schema: {
        tags: ['alarms'],
        summary: 'Alarms that are not normal, most urgent first',
        description:
          'One alarm a condition and place. list narrows: standing (calls and lasts), stale (standing for over 24 hours), chattering (three calls within an hour), shelved, suppressed, out_of_service, unacknowledged. recent=true adds what became normal in the last 24 hours.',
        querystring: z.object({
          list: z.enum(['standing', 'stale', 'chattering', 'shelved', 'suppressed', 'out_of_service', 'unacknowledged']).optional(),
          priority: List(z.enum(['1', '2', '3', '4'])).optional(),
          zone: Id.optional(),
          recent: Flag.default(false),
        }),
        response: { 200: z.object({ alarms: z.array(AlarmOut), truncated: z.boolean() }), ...PROBLEMS },
      },
    },
    async ({ query }) => {
      const now = nowMs()
      const found = await shownAlarms(pool, query.recent ? now - DAY_MS : Number.MAX_SAFE_INTEGER, SHOWN_MAX)
      const views = found.map((a) => viewOf(a, now))
      const standing = (s: string) => s === 'unacknowledged' || s === 'acknowledged'
      const wanted: Record<string, (a: (typeof views)[number]) => boolean> = {
        standing: (a) => standing(a.state),
        stale: (a) => standing(a.state) && now - a.activeSinceMs > DAY_MS,
        chattering: (a) => a.chattering,
        unacknowledged: (a) => ['unacknowledged', 'returned', 'latched_unacknowledged'].includes(a.state),
      }
      const alarms = views.filter(
        (a) =>
          (query.list === undefined || (wanted[query.list] ?? ((x) => x.state === query.list))(a)) &&
          (query.priority === undefined || query.priority.includes(String(a.priority) as '1')) &&
          (query.zone === undefined || a.zone === query.zone),
      )
      return { alarms, truncated: found.length >= SHOWN_MAX }
    },
  )

  app.get(
    '/v1/alarms/journal',
    {
      schema: {
        tags: ['alarms'],
        summary: 'What happened to alarms and who did it, newest first',
        description: 'people=true leaves out what telemetry did. Go on with before = the last seq.',
        querystring: z.object({
          key: Id.optional(),
          who: z.string().max(200).optional(),
          people: Flag.optional(),
          before: z.coerce.number().int().min(1).optional(),
          limit: limit(1000, 100),
        }),
        response: { 200: z.object({ entries: z.array(Entry) }), ...PROBLEMS },
      },
    },
    async ({ query }) => ({ entries: (await journal(pool, query)).map(({ atMs, ...e }) => ({ ...e, at: toIso(atMs) })) }),
  )
}

function steps(app: App, { pool, nowMs }: ApiDeps): void {
  app.post(
    '/v1/alarms/:key/:action',
    {
      schema: {
        tags: ['alarms'],
        summary: 'One step: acknowledge, reset, shelve, unshelve, out_of_service, return_to_service, note',
        description:
          'Only what `actions` of the alarm offers; anything else is answered 409. shelve, out_of_service and note need a reason; shelve needs until, at most the longest time of the policy ahead.',
        params: z.object({ key: Id, action: z.enum(ALARM_ACTIONS) }),
        headers: z.looseObject({ 'idempotency-key': IdempotencyKey }),
        body: z.object({ reason: Reason, until: Time.optional() }).nullish(),
        response: { 200: z.object({ alarm: AlarmOut }), ...PROBLEMS },
      },
    },
    async ({ params, body, headers, who }) => {
      const command = headers['idempotency-key']
      const r = await act(pool, params.key, {
        action: params.action,
        who,
        atMs: nowMs(),
        reason: body?.reason ?? '',
        ...(body?.until === undefined ? {} : { untilMs: body.until }),
        ...(command === undefined ? {} : { command }),
      })
      return { alarm: viewOf(taken(r).step.alarm, nowMs()) }
    },
  )

  app.post(
    '/v1/alarms/acknowledge',
    {
      schema: {
        tags: ['alarms'],
        summary: 'Acknowledges several alarms: those of one incident, or of a page that was looked at',
        description: 'What cannot be acknowledged (any more) is left as it is and listed in `left`.',
        body: z.object({ keys: z.array(Id).min(1).max(1000), reason: Reason }),
        response: {
          200: z.object({ acknowledged: z.array(z.string()), left: z.array(z.object({ key: z.string(), why: z.string() })) }),
          ...PROBLEMS,
        },
      },
    },
    async ({ body, who }) => {
      const acknowledged: string[] = []
      const left: { key: string; why: string }[] = []
      for (const key of new Set(body.keys)) {
        const r = await act(pool, key, { action: 'acknowledge', who, atMs: nowMs(), reason: body.reason })
        if (r.ok) acknowledged.push(key)
        else left.push({ key, why: r.message })
      }
      return { acknowledged, left }
    },
  )

  app.get(
    '/v1/alarms/:key',
    {
      schema: {
        tags: ['alarms'],
        summary: 'One alarm and its last hundred steps, newest first',
        params: z.object({ key: Id }),
        response: { 200: z.object({ alarm: AlarmOut, entries: z.array(Entry) }), ...PROBLEMS },
      },
    },
    async ({ params }) => {
      const alarm = (await alarmsByKey(pool, [params.key])).get(params.key)
      if (alarm === undefined) throw new Problem(404, 'no_such_alarm', 'there is no alarm with this key')
      const entries = await journal(pool, { key: params.key, limit: 100 })
      return { alarm: viewOf(alarm, nowMs()), entries: entries.map(({ atMs, ...e }) => ({ ...e, at: toIso(atMs) })) }
    },
  )
}

function report(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/alarms/report',
    {
      schema: {
        tags: ['alarms'],
        summary: 'The measures of ISA-18.2: rates per operator and hour, floods, priorities, worst alarms, answers by person',
        description:
          'The last seven days of log time when from and to are left out, at most 92 days. Recommended: at most 6 an hour and operator (12 at most), fewer than 10 in ten minutes, under 1 % of the time in flood, 5 % urgent, 15 % high, 80 % low.',
        querystring: z.object({ from: Time.optional(), to: Time.optional() }),
        response: {
          200: z.object({
            from: z.string(),
            to: z.string(),
            operators: z.int(),
            annunciations: z.int(),
            perOperatorHour: z.object({ mean: z.number(), most: z.number(), hoursAboveSix: z.int(), hoursAboveTwelve: z.int() }),
            per10MinMost: z.int(),
            floods: z.array(z.object({ fromMs: z.number(), toMs: z.number().nullable(), alarms: z.int(), peak: z.int() })),
            floodSharePct: z.number(),
            priorities: z.array(z.object({ priority: Priority, count: z.int(), sharePct: z.number(), targetPct: z.number() })),
            worst: z.array(z.object({ key: z.string(), count: z.int(), sharePct: z.number() })),
            answers: z.array(z.object({ who: z.string(), count: z.int(), medianS: z.number(), p90S: z.number() })),
            hours: z.array(z.object({ atMs: z.number(), count: z.int() })),
            truncated: z.boolean(),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query }) => {
      const range = rangeOf(query, { nowMs: nowMs(), usualMs: 7 * DAY_MS, mostMs: REPORT_MS_MAX })
      const { operators } = await currentPolicy(pool)
      const [calls, answers] = await Promise.all([
        callsIn(pool, range.fromMs, range.toMs, CALLS_MAX),
        answersIn(pool, range.fromMs, range.toMs, CALLS_MAX),
      ])
      const r = reportOf(calls, answers, { ...range, nowMs: nowMs(), operators })
      return { from: toIso(range.fromMs), to: toIso(range.toMs), operators, ...r, truncated: calls.length === CALLS_MAX }
    },
  )
}

function rationalisation(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/alarms/policy',
    {
      schema: {
        tags: ['alarms'],
        summary: 'The rationalisation in force, its versions, and what the priorities mean',
        response: {
          200: z.object({
            current: PolicyOut,
            versions: z.array(PolicyOut.omit({ policy: true })),
            defaults: Policy,
            respondMinutes: z.record(z.string(), z.number()),
          }),
          ...PROBLEMS,
        },
      },
    },
    async () => {
      const versions = await policyVersions(pool, 100)
      return {
        current: versions[0] as (typeof versions)[number],
        versions: versions.map(({ policy: _, ...v }) => v),
        defaults: DEFAULT_POLICY,
        respondMinutes: { ...RESPOND_MINUTES },
      }
    },
  )

  app.put(
    '/v1/alarms/policy',
    {
      schema: {
        tags: ['alarms'],
        summary: 'Saves a new version of the rationalisation; it counts for what happens from now on',
        description: '`after` is the version that was edited: 412 when somebody else has saved since.',
        body: z.object({ after: z.int().min(0), reason: z.string().min(1).max(1000), policy: Policy }),
        response: { 200: z.object({ version: z.int() }), ...PROBLEMS },
      },
    },
    async ({ body, who }) => {
      if (!(await savePolicy(pool, { ...body, who })))
        throw new Problem(412, 'version_conflict', 'the policy was changed meanwhile; read it again')
      return { version: body.after + 1 }
    },
  )

  app.post(
    '/v1/alarms/policy/replay',
    {
      schema: {
        tags: ['alarms'],
        summary: 'Replays the findings of the last days under a changed rationalisation; nothing is stored',
        description: 'Calls that would appear, vanish, or move in time or priority. Suppression by design is left out on both sides.',
        body: z.object({ days: z.int().min(1).max(30).default(7), policy: Policy }),
        response: {
          200: z.object({
            findings: z.int(),
            before: z.int(),
            after: z.int(),
            appear: z.array(CallOut),
            vanish: z.array(CallOut),
            move: z.array(z.object({ before: CallOut, after: CallOut })),
            same: z.int(),
            truncated: z.boolean(),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ body }) => {
      const now = nowMs()
      const { rows } = await pool.query<{ body: Finding }>(
        'SELECT body FROM finding_history WHERE updated_at > to_timestamp($1::float8 / 1000) ORDER BY updated_at, id, rev LIMIT $2',
        [now - body.days * DAY_MS, REVISIONS_MAX],
      )
      const revisions = rows.map((r) => r.body)
      const before = callsUnder(await currentPolicy(pool), revisions, now)
      const after = callsUnder(body.policy, revisions, now)
      const d = compareCalls(before, after)
      return {
        ...{ findings: revisions.length, before: before.length, after: after.length, same: d.same },
        appear: d.appear.slice(0, LISTED_MAX),
        vanish: d.vanish.slice(0, LISTED_MAX),
        move: d.move.slice(0, LISTED_MAX),
        truncated: revisions.length === REVISIONS_MAX || Math.max(d.appear.length, d.vanish.length, d.move.length) > LISTED_MAX,
      }
    },
  )
}
