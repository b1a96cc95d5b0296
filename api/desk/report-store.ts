// Customer reports in PostgreSQL: what is above a meter, which incidents may explain a report, which reports are alike; and what becomes of
// a suspected incident when telemetry sees it, or does not.
import type { ReportKind } from '#model/desk.ts'
import { HOUR_MS } from '#model/time.ts'
import { type Pool, type PoolClient, type Queryable, tx } from '#runtime/postgres.ts'
import { ABOUT, alike, type Candidate, CLASS_OF, type MatchReason, matchReport, type Reported, SHARED } from './reports.ts'
import { loadRules } from './rules.ts'
import type { DeskSettings } from './settings.ts'
import { alter, openReported } from './store.ts'
import { type Ticket, ticketId } from './ticket.ts'
import { OPEN } from './ticket-lists.ts'

export interface NewReport {
  kind: ReportKind
  subtype: string
  account: string
  meter: string
  at: [number, number] | null
  description: string
  observedMs: number
  channel: string
  who: string
  atMs: number
  key?: string
}

export interface ReportRow {
  id: number
  kind: ReportKind
  account: string
  meter: string
  lon: number | null
  lat: number | null
  zone: string
  above: string[]
  description: string
  reported_ms: number
  observed_ms: number
  channel: string
  who: string
  ticket_no: number
  state: 'attached' | 'own_ticket' | 'suspected'
  match: MatchReason
}

export type Taken = { ok: true; report: ReportRow; repeated: boolean } | { ok: false; field: string; message: string }

const COLUMNS =
  'id, kind, account, meter, lon, lat, zone, above, description, reported_ms, observed_ms, channel, who, ticket_no, state, match'

/** Takes a report in: attached to what is known, part of a suspicion, or a ticket of its own. Refuses a customer or meter that nobody knows. */
export async function takeReport(pool: Pool, r: NewReport): Promise<Taken> {
  return tx(pool, async (client) => {
    if (r.key !== undefined) {
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`report ${r.key}`])
      const known = await client.query<ReportRow>(`SELECT ${COLUMNS} FROM customer_reports WHERE command = $1`, [r.key])
      if (known.rows[0] !== undefined) return { ok: true, report: known.rows[0], repeated: true }
    }
    const where = await whereIs(client, r)
    if ('message' in where) return { ok: false, ...where }
    // One report of a kind at a time: two alike must see each other, and raise one suspicion.
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`reports of ${r.kind}`])
    const { settings } = await loadRules(client)
    const reported: Reported = { kind: r.kind, meter: where.meter, above: where.above, at: where.at, observedMs: r.observedMs }
    const match = matchReport(reported, await candidatesFor(client, reported, settings.reports), settings.reports)
    if (match !== undefined) {
      await attach(client, match.no, { by: 1, who: r.who, atMs: r.atMs, note: `${r.kind}: ${match.reason}` })
      return { ok: true, report: await save(client, r, { where, no: match.no, state: 'attached', match: match.reason }), repeated: false }
    }
    const others = await alikeOnes(client, reported, settings.reports)
    if (others.length + 1 >= settings.reports.alike) {
      const suspected = await suspect(client, r, { where, others })
      return {
        ok: true,
        report: await save(client, r, { where, no: suspected.no, state: 'suspected', match: 'alike_reports' }),
        repeated: false,
      }
    }
    const own = await openReported(client, { ...ticketOf(r, where), reason: 'nothing_known' })
    await alter(client, own.no, (t) => ({ ticket: { ...t, reports: 1 }, change: said(r, 'attach', 'nothing_known') }))
    return { ok: true, report: await save(client, r, { where, no: own.no, state: 'own_ticket', match: 'nothing_known' }), repeated: false }
  })
}

const said = (r: { who: string; atMs: number }, action: 'attach' | 'merge' | 'note', reason: string, note = '') => ({
  atMs: r.atMs,
  who: r.who,
  action,
  reason,
  note,
})

interface Where {
  account: string
  meter: string
  above: string[]
  zone: string
  at: [number, number] | null
}

/** The meter of the account that fits the kind, and what is above it. */
async function whereIs(db: Queryable, r: NewReport): Promise<Where | { field: string; message: string }> {
  if (r.account !== '') {
    const { rowCount } = await db.query('SELECT 1 FROM accounts WHERE account = $1', [r.account])
    if (rowCount === 0) return { field: 'account', message: `there is no account ${r.account}` }
  }
  const power = r.kind === 'outage'
  const { rows } = await db.query<{
    id: string
    kind: string
    lon: number | null
    lat: number | null
    account: string | null
    transformer: string | null
    feeder: string | null
    dma: string | null
    substation: string | null
  }>(
    `SELECT a.id, a.kind, (a.geometry->'coordinates'->>0)::float8 AS lon, (a.geometry->'coordinates'->>1)::float8 AS lat, a.properties->>'account' AS account,
       a.properties->>'transformer' AS transformer, a.properties->>'feeder' AS feeder, a.properties->>'dma' AS dma,
       (SELECT f.properties->>'substation' FROM assets f WHERE f.id = a.properties->>'feeder') AS substation
     FROM assets a WHERE a.kind IN ('water_meter', 'electric_meter') AND (CASE WHEN $1 <> '' THEN a.id = $1 ELSE $2 <> '' AND a.properties->>'account' = $2 END)
     ORDER BY (a.kind = 'electric_meter') = $3 DESC, a.id LIMIT 1`,
    [r.meter, r.account, power],
  )
  const m = rows[0]
  if (m === undefined && r.meter !== '') return { field: 'meter', message: `there is no meter ${r.meter}` }
  if (m !== undefined && r.meter !== '' && r.account !== '' && m.account !== r.account) {
    return { field: 'meter', message: `meter ${r.meter} does not belong to account ${r.account}` }
  }
  const above = [m?.transformer, m?.feeder, m?.substation, m?.dma].filter((x): x is string => x != null && x !== '')
  const own: [number, number] | null = m === undefined || m.lon === null || m.lat === null ? null : [m.lon, m.lat]
  return { account: r.account || (m?.account ?? ''), meter: m?.id ?? '', above, zone: m?.dma ?? m?.feeder ?? '', at: r.at ?? own }
}

/** Degrees that are surely more than a distance, for a first narrowing. */
const degrees = (m: number, lat: number) => ({ lat: m / 110_000, lon: m / (110_000 * Math.max(0.01, Math.cos((lat * Math.PI) / 180))) })
const CANDIDATES_MAX = 200

/** Tickets that may be about it: open ones and those that ended a short while ago. */
async function candidatesFor(db: Queryable, r: Reported, s: DeskSettings['reports']): Promise<Candidate[]> {
  const classes = ABOUT[r.kind]
  if (classes.length === 0) return []
  const d = degrees(s.radiusM, r.at?.[1] ?? 0)
  const { rows } = await db.query<{
    no: number
    class: Candidate['class']
    scope_id: string
    lists: boolean
    lon: number | null
    lat: number | null
    started_ms: number
    ended_ms: number | null
  }>(
    `SELECT no, class, scope_id, $2 <> '' AND $2 = ANY(affected) AS lists, lon, lat, started_ms, coalesce(telemetry_closed_ms, resolved_ms, closed_ms) AS ended_ms
     FROM tickets
     WHERE no IN (SELECT no FROM tickets WHERE ${OPEN} UNION ALL SELECT no FROM tickets WHERE closed_ms >= $7::bigint - $8::bigint)
       AND class = ANY($1) AND merged_into = '' AND state NOT IN ('cancelled', 'archived') AND started_ms <= $7::bigint + $8::bigint
       AND (origin = 'telemetry' OR ($2 <> '' AND $2 = ANY(affected)) OR no IN (SELECT ticket_no FROM customer_reports WHERE state = 'suspected'))
       AND (($2 <> '' AND ($2 = ANY(affected) OR scope_id = $2)) OR scope_id = ANY($3::text[])
         OR ($4::float8 IS NOT NULL AND lon BETWEEN $4::float8 - $6::float8 AND $4::float8 + $6::float8 AND lat BETWEEN $5::float8 - $9::float8 AND $5::float8 + $9::float8))
     ORDER BY no DESC LIMIT ${CANDIDATES_MAX}`,
    [classes, r.meter, r.above, r.at?.[0] ?? null, r.at?.[1] ?? null, d.lon, r.observedMs, s.hours * HOUR_MS, d.lat],
  )
  return rows.map((t) => ({
    no: t.no,
    class: t.class,
    scope: t.scope_id,
    lists: t.lists,
    at: t.lon === null || t.lat === null ? null : [t.lon, t.lat],
    startedMs: t.started_ms,
    endedMs: t.ended_ms,
  }))
}

/** Recent reports of tickets of their own that may have the same cause. */
async function alikeOnes(db: Queryable, r: Reported, s: DeskSettings['reports']): Promise<ReportRow[]> {
  if (!SHARED.includes(r.kind)) return []
  const { rows } = await db.query<ReportRow>(
    `SELECT ${COLUMNS.split(', ')
      .map((c) => `r.${c}`)
      .join(', ')} FROM customer_reports r JOIN tickets t ON t.no = r.ticket_no
     WHERE r.kind = $1 AND r.state = 'own_ticket' AND r.observed_ms BETWEEN $2::bigint - $3::bigint AND $2::bigint + $3::bigint AND t.closed_ms IS NULL ORDER BY r.id DESC LIMIT 500`,
    [r.kind, r.observedMs, s.hours * HOUR_MS],
  )
  return rows.filter((o) => alike(r, reportedOf(o), s) && (r.meter === '' || o.meter !== r.meter))
}

const reportedOf = (o: ReportRow): Reported => ({
  kind: o.kind,
  meter: o.meter,
  above: o.above,
  at: o.lon === null || o.lat === null ? null : [o.lon, o.lat],
  observedMs: o.observed_ms,
})

function ticketOf(r: NewReport, where: Where) {
  const scope =
    where.meter === ''
      ? { type: 'place', id: where.at === null ? '' : where.at.map((x) => x.toFixed(5)).join(' ') }
      : { type: 'meter', id: where.meter }
  return {
    class: CLASS_OF[r.kind],
    subtype: r.subtype,
    priority: (r.kind === 'outage' || r.kind === 'leak' ? 3 : 4) as 3 | 4,
    severity: 'minor' as const,
    title: `Reported: ${r.kind.replace('_', ' ')}${where.meter === '' ? '' : ` at ${where.meter}`}`,
    description: r.description,
    zone: where.zone,
    scope,
    at: where.at,
    account: where.account,
    ...(where.meter === '' ? {} : { meters: [where.meter] }),
    external: {},
    who: r.who,
    atMs: r.atMs,
    startedMs: r.observedMs,
  }
}

/** Several alike: one ticket for what they suspect, about the nearest part of the network that they share; theirs are merged into it. */
async function suspect(
  client: PoolClient,
  r: NewReport,
  { where, others }: { where: Where; others: readonly ReportRow[] },
): Promise<Ticket> {
  const shared = where.above.find((id) => others.every((o) => o.above.includes(id)))
  const kinds = shared === undefined ? [] : (await client.query<{ kind: string }>('SELECT kind FROM assets WHERE id = $1', [shared])).rows
  const meters = [...new Set([where.meter, ...others.map((o) => o.meter)])].filter((m) => m !== '')
  const base = ticketOf(r, where)
  const ticket = await openReported(client, {
    ...base,
    title: `Suspected ${r.kind.replace('_', ' ')}: ${shared ?? 'several customers near each other'}`,
    description: `${others.length + 1} customers report it; telemetry has not seen it yet`,
    priority: 2,
    severity: 'major',
    scope: shared === undefined ? base.scope : { type: kinds[0]?.kind ?? 'asset', id: shared },
    account: '',
    meters,
    reason: 'suspected_by_reports',
    startedMs: Math.min(r.observedMs, ...others.map((o) => o.observed_ms)),
  })
  for (const o of others) await mergeInto(client, o.ticket_no, ticket, { who: r.who, atMs: r.atMs, reason: 'alike_reports' })
  await client.query("UPDATE customer_reports SET ticket_no = $2, state = 'suspected', match = 'alike_reports' WHERE id = ANY($1)", [
    others.map((o) => o.id),
    ticket.no,
  ])
  await alter(client, ticket.no, (t) => ({
    ticket: { ...t, reports: others.length + 1 },
    change: said(r, 'attach', 'alike_reports', `${others.length + 1} reports`),
  }))
  return ticket
}

async function attach(client: PoolClient, no: number, a: { by: number; who: string; atMs: number; note: string }): Promise<void> {
  await alter(client, no, (t) => ({ ticket: { ...t, reports: t.reports + a.by }, change: said(a, 'attach', 'report_attached', a.note) }))
}

/** Ends a ticket in favour of another; what was still to be done is done there. */
async function mergeInto(client: PoolClient, no: number, into: Ticket, by: { who: string; atMs: number; reason: string }): Promise<void> {
  await alter(client, no, (t) => {
    if (t.closedMs !== null || t.no === into.no) return undefined
    const ticket: Ticket = {
      ...t,
      state: 'closed',
      mergedInto: ticketId(into.no),
      closedMs: Math.max(t.updatedMs, by.atMs),
      heldSinceMs: null,
      reason: by.reason,
    }
    return { ticket, change: said(by, 'merge', by.reason, `into ${ticketId(into.no)}`) }
  })
}

async function save(
  client: PoolClient,
  r: NewReport,
  { where, no, state, match }: { where: Where; no: number; state: ReportRow['state']; match: MatchReason },
): Promise<ReportRow> {
  const { rows } = await client.query<ReportRow>(
    `INSERT INTO customer_reports (command, kind, account, meter, lon, lat, zone, above, description, reported_ms, observed_ms, channel, who, ticket_no, state, match)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING ${COLUMNS}`,
    [
      r.key ?? null,
      r.kind,
      where.account,
      where.meter,
      where.at?.[0] ?? null,
      where.at?.[1] ?? null,
      where.zone,
      where.above,
      r.description,
      r.atMs,
      r.observedMs,
      r.channel,
      r.who,
      no,
      state,
      match,
    ],
  )
  return rows[0] as ReportRow
}

/**
 * Telemetry has opened a ticket: what customers had reported of it, singly or as a suspicion, is confirmed and becomes part of it.
 * Called in the transaction that expands the ticket's events.
 */
export async function confirmReports(client: PoolClient, ticket: Ticket, atMs: number): Promise<void> {
  if (ticket.origin !== 'telemetry' || ticket.closedMs !== null) return
  const { settings } = await loadRules(client)
  const candidate: Candidate = {
    no: ticket.no,
    class: ticket.class,
    scope: ticket.scope.id,
    lists: false,
    at: ticket.at,
    startedMs: ticket.startedMs,
    endedMs: ticket.telemetryClosedMs,
  }
  const slack = settings.reports.hours * HOUR_MS
  const { rows } = await client.query<ReportRow>(
    `SELECT ${COLUMNS.split(', ')
      .map((c) => `r.${c}`)
      .join(', ')} FROM customer_reports r JOIN tickets t ON t.no = r.ticket_no
     WHERE r.observed_ms >= $1 AND r.state <> 'attached' AND t.closed_ms IS NULL AND t.no <> $2 ORDER BY r.id LIMIT 1000`,
    [ticket.startedMs - slack, ticket.no],
  )
  const meters = new Set(ticket.affected)
  const matched = rows.flatMap((r) => {
    const m = matchReport(reportedOf(r), [{ ...candidate, lists: meters.has(r.meter) }], settings.reports)
    return m === undefined ? [] : [{ r, m }]
  })
  if (matched.length === 0) return
  for (const no of [...new Set(matched.map(({ r }) => r.ticket_no))].sort((a, b) => a - b)) {
    await mergeInto(client, no, ticket, { who: 'telemetry', atMs, reason: 'confirmed_by_telemetry' })
  }
  for (const { r, m } of matched) {
    await client.query("UPDATE customer_reports SET ticket_no = $2, state = 'attached', match = $3 WHERE id = $1", [
      r.id,
      ticket.no,
      m.reason,
    ])
  }
  await attach(client, ticket.no, { by: matched.length, who: 'telemetry', atMs, note: `confirms ${matched.length} reports` })
}

/** Suspicions that telemetry has had time to see and has not: said once, on the ticket; a person decides. */
export async function doubtSuspicions(client: PoolClient, nowMs: number): Promise<number> {
  const { settings } = await loadRules(client)
  const { rows } = await client.query<{ no: number }>(
    `SELECT no FROM tickets t WHERE origin = 'report' AND closed_ms IS NULL AND opened_ms <= $1
       AND EXISTS (SELECT 1 FROM customer_reports r WHERE r.ticket_no = t.no AND r.state = 'suspected')
       AND NOT EXISTS (SELECT 1 FROM ticket_changes c WHERE c.ticket_no = t.no AND c.reason = 'not_confirmed_by_telemetry') LIMIT 100`,
    [nowMs - settings.reports.confirmHours * HOUR_MS],
  )
  for (const { no } of rows) {
    await alter(client, no, (t) => ({
      ticket: { ...t, reason: 'not_confirmed_by_telemetry' },
      change: {
        atMs: nowMs,
        who: 'telemetry',
        action: 'note',
        reason: 'not_confirmed_by_telemetry',
        note: `telemetry has seen nothing within ${settings.reports.confirmHours} h`,
      },
    }))
  }
  return rows.length
}

export async function listReports(
  db: Queryable,
  q: { ticket?: number; state?: string; fromMs?: number; toMs?: number; limit: number },
): Promise<ReportRow[]> {
  const { rows } = await db.query<ReportRow>(
    `SELECT ${COLUMNS} FROM customer_reports WHERE ($1::bigint IS NULL OR ticket_no = $1) AND ($2::text IS NULL OR state = $2)
       AND ($3::bigint IS NULL OR reported_ms >= $3) AND ($4::bigint IS NULL OR reported_ms < $4) ORDER BY id DESC LIMIT $5`,
    [q.ticket ?? null, q.state ?? null, q.fromMs ?? null, q.toMs ?? null, q.limit],
  )
  return rows
}
