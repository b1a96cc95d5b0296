// From what happened to tickets to messages: events for TMF621 listeners, notices for customers, words to staff. One transaction takes the
// events out and puts the messages in, so each leads to its messages once.
import type { NoticeStage } from '#model/desk.ts'
import { isOpen } from '#model/desk.ts'
import type { TicketClass } from '#model/ticket.ts'
import { toIso } from '#model/time.ts'
import { type Pool, type PoolClient, tx } from '#runtime/postgres.ts'
import { customersOf, metersOfIntent } from '../impact.ts'
import { loadRules } from '../rules.ts'
import type { Rules } from '../sla.ts'
import { type Change, type Ticket, ticketId } from '../ticket.ts'
import { changesOfMany, ticketsByNo } from '../ticket-lists.ts'
import { toTmf } from '../tmf621.ts'
import type { Channels } from './channels.ts'
import { languageOf, noticeText } from './notice-text.ts'
import { notBefore } from './quiet.ts'
import { addMessages, type NewMessage } from './store.ts'
import { eventId, eventTypesOf, isWanted, tmfEvent, type Wanted, wantedOf } from './tmf-event.ts'

interface EventRow {
  id: number
  ticket_no: number
  version: number
  action: string
  at_ms: number
}

/** Events of one transaction. */
const BATCH = 200
/** Recipients read at a time. */
const RECIPIENTS = 5_000

export interface ExpandOptions {
  channels: Pick<Channels, 'customer' | 'staff'>
  nowMs: number
  /** Called for every ticket with events, in the same transaction, before its messages are made. */
  onTicket?: (client: PoolClient, ticket: Ticket, actions: readonly string[]) => Promise<void>
}

/** Expands one batch. Returns how many events it took; 0 when there is nothing. */
export async function expandEvents(pool: Pool, o: ExpandOptions): Promise<number> {
  return tx(pool, async (client) => {
    const { rows: events } = await client.query<EventRow>(
      `DELETE FROM desk_events WHERE id IN (SELECT id FROM desk_events ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
       RETURNING id, ticket_no, version, action, at_ms`,
      [BATCH],
    )
    if (events.length === 0) return 0
    events.sort((a, b) => a.id - b.id)
    const nos = [...new Set(events.map((e) => e.ticket_no))]
    const rules = await loadRules(client)
    const [tickets, histories] = [await ticketsByNo(client, nos), await changesOfMany(client, nos)]
    await addMessages(client, await hubMessages(client, { events, tickets, histories }))
    for (const t of tickets) {
      const own = events.filter((e) => e.ticket_no === t.no)
      await o.onTicket?.(
        client,
        t,
        own.map((e) => e.action),
      )
      const changes = (histories.get(t.no) ?? []).filter((c) => own.some((e) => e.version === c.version))
      await addMessages(client, staffMessages(t, changes, o))
      await notices(client, t, changes, { rules, o })
    }
    return events.length
  })
}

async function hubMessages(
  client: PoolClient,
  { events, tickets, histories }: { events: readonly EventRow[]; tickets: readonly Ticket[]; histories: ReadonlyMap<number, Change[]> },
): Promise<NewMessage[]> {
  const { rows } = await client.query<{ id: string; query: string }>('SELECT id, query FROM hub_listeners')
  const listeners: { id: string; wanted: Wanted }[] = rows.map((r) => ({ id: r.id, wanted: wantedOf(r.query) }))
  if (listeners.length === 0) return []
  const byNo = new Map(tickets.map((t) => [t.no, t]))
  const out: NewMessage[] = []
  for (const e of events) {
    const t = byNo.get(e.ticket_no)
    const history = histories.get(e.ticket_no) ?? []
    const change = history.find((c) => c.version === e.version)
    if (t === undefined || change === undefined) continue
    for (const type of eventTypesOf(change)) {
      const view = toTmf({ ...t, state: change.to }, [])
      const wanting = listeners.filter((l) => isWanted(l.wanted, type, view))
      if (wanting.length === 0) continue
      const body = tmfEvent(type, t, history, change)
      for (const l of wanting) {
        const key = `hub/${l.id}/${eventId(t.no, change.version, type)}`
        out.push({ key, kind: 'tmf621', lane: `hub:${l.id}`, ticketNo: t.no, stage: type, body, createdMs: change.atMs })
      }
    }
  }
  return out
}

function staffMessages(t: Ticket, changes: readonly Change[], o: ExpandOptions): NewMessage[] {
  if (!o.channels.staff) return []
  return changes
    .filter((c) => c.action === 'escalate')
    .map((c) => ({
      key: `staff/T-${t.no}/${c.version}`,
      kind: 'staff' as const,
      lane: 'staff',
      ticketNo: t.no,
      stage: 'escalation',
      createdMs: c.atMs,
      body: {
        type: 'org.meterstream.ticket.escalated',
        time: toIso(c.atMs),
        ticket: ticketId(t.no),
        title: t.title,
        class: t.class,
        priority: t.priority,
        state: t.state,
        assignee: t.assignee,
        steps: c.note.split(', '),
        text: `${ticketId(t.no)} ${t.title}: ${c.note}`,
      },
    }))
}

/** Stage that a ticket has reached with these changes; undefined when customers are told nothing new. */
function stageOf(t: Ticket, changes: readonly Change[]): NoticeStage | undefined {
  const last = changes.at(-1)
  if (last === undefined) return undefined
  if (changes.some((c) => c.action === 'withdrawn') && t.state === 'cancelled') return 'withdrawn'
  // Taken over by another: that one speaks from now on.
  if (t.mergedInto !== '') return undefined
  if (t.telemetryClosedMs !== null || (t.resolvedMs !== null && t.state !== 'verify')) return 'restored'
  if (!isOpen(t.state)) return undefined
  return changes.some((c) => c.action === 'etr' || c.reason === 'estimate_changed') ? 'estimate' : 'opened'
}

interface Recipient {
  account: string
  lane: string
  language: string
  urgent: boolean
}

async function notices(
  client: PoolClient,
  t: Ticket,
  changes: readonly Change[],
  { rules, o }: { rules: Rules; o: ExpandOptions },
): Promise<void> {
  if (!rules.settings.notices.classes.includes(t.class)) return
  if (!SUPPLY.includes(t.class)) {
    if (t.state === 'closed' && t.mergedInto === '') await toAccount(client, t, { rules, o })
    return
  }
  const stage = stageOf(t, changes)
  if (stage === undefined) return
  const spread = changes.some((c) => ['open', 'telemetry_update', 'telemetry_return', 'reopen', 'attach'].includes(c.action))
  if (spread && (stage === 'opened' || stage === 'estimate')) await toAffected(client, t, 'opened', { rules, o })
  if (stage === 'opened') return
  const part = stage === 'estimate' ? String(t.etrMs ?? 'none') : `${t.reopened}`
  // What waits and is overtaken is not sent any more.
  await client.query(
    `UPDATE outbox SET state = 'cancelled', error = $3 WHERE ticket_no = $1 AND kind = 'notice' AND state = 'waiting' AND attempts = 0 AND stage = ANY($2)`,
    [
      t.no,
      stage === 'estimate' ? ['estimate'] : ['opened', 'estimate'],
      stage === 'estimate' ? 'overtaken by a newer estimate' : 'over before it was sent',
    ],
  )
  const { rows } = await client.query<Recipient>(
    `SELECT DISTINCT ON (account) account, lane, language, (body->>'urgent')::boolean AS urgent FROM outbox
     WHERE kind = 'notice' AND stage = 'opened' AND state <> 'cancelled' AND account <> ''
       AND (ticket_no = $1 OR ticket_no IN (SELECT no FROM tickets WHERE merged_into = $2 OR merged_into = $3)) ORDER BY account, id`,
    [t.no, t.key, ticketId(t.no)],
  )
  await send(client, t, stage, { rules, o, part, recipients: rows })
}

/** Classes about supply, whose customers are told of its stages; of the others the customer who asked is told that it is closed. */
const SUPPLY: readonly TicketClass[] = ['outage', 'leak', 'quality', 'meter_work']

async function toAccount(client: PoolClient, t: Ticket, { rules, o }: { rules: Rules; o: ExpandOptions }): Promise<void> {
  const { rows } = await client.query<{ account: string; phone: string; email: string; language: string }>(
    'SELECT account, phone, email, language FROM accounts WHERE account = $1',
    [t.account],
  )
  const { channels, languageDefault } = rules.settings.notices
  const recipients = rows.flatMap((c): Recipient[] => {
    const lane = channels.find((ch) => o.channels.customer.includes(ch) && reaches(ch, c))
    return lane === undefined ? [] : [{ account: c.account, lane, language: languageOf(c.language, languageDefault), urgent: false }]
  })
  await send(client, t, 'closed', { rules, o, part: `${t.reopened}`, recipients })
}

const reaches = (channel: string, c: { phone: string; email: string }) =>
  channel === 'sms' ? c.phone !== '' : channel === 'email' ? c.email !== '' : true

/** Tells those who were not told yet, of this incident or of one that it took over. */
async function toAffected(
  client: PoolClient,
  t: Ticket,
  stage: NoticeStage,
  { rules, o }: { rules: Rules; o: ExpandOptions },
): Promise<void> {
  const { notices: n } = rules.settings
  const meters = metersOfIntent(t)
  const channels = n.channels.filter((c) => o.channels.customer.includes(c))
  if (meters.length === 0) return
  if (channels.length === 0) {
    const { body } = messageOf(t, stage, { rules, o, recipient: { account: '', lane: '', language: n.languageDefault, urgent: false } })
    const key = `notice/T-${t.no}/${t.reopened}/${stage}/nobody`
    await addMessages(client, [
      {
        key,
        kind: 'notice',
        lane: 'webhook',
        ticketNo: t.no,
        stage,
        language: n.languageDefault,
        body,
        createdMs: o.nowMs,
        cancelled: 'no channel is configured',
      },
    ])
    return
  }
  const told = new Set(
    (
      await client.query<{ account: string }>(
        `SELECT account FROM outbox WHERE kind = 'notice' AND stage = 'opened' AND state <> 'cancelled'
           AND ticket_no IN (SELECT no FROM tickets WHERE merged_into = $1 OR merged_into = $2)`,
        [t.key, ticketId(t.no)],
      )
    ).rows.map((r) => r.account),
  )
  for (let offset = 0; offset < Math.min(meters.length, n.customersMax); offset += RECIPIENTS) {
    const customers = await customersOf(client, meters, { offset, limit: Math.min(RECIPIENTS, n.customersMax - offset) })
    if (customers.length === 0) return
    const recipients = customers.flatMap((c): Recipient[] => {
      if (c.account === '' || told.has(c.account)) return []
      const lane = channels.find((ch) => reaches(ch, c))
      return lane === undefined
        ? []
        : [{ account: c.account, lane, language: languageOf(c.language, n.languageDefault), urgent: c.care !== '' && c.care !== 'school' }]
    })
    await send(client, t, stage, { rules, o, part: `${t.reopened}`, recipients })
  }
}

async function send(
  client: PoolClient,
  t: Ticket,
  stage: NoticeStage,
  { rules, o, part, recipients }: { rules: Rules; o: ExpandOptions; part: string; recipients: readonly Recipient[] },
): Promise<void> {
  const quietEnd = notBefore(rules.settings.notices, rules.calendar.timezone, o.nowMs)
  const messages = recipients.map((recipient): NewMessage => {
    const { body, language } = messageOf(t, stage, { rules, o, recipient })
    return {
      key: `notice/T-${t.no}/${part}/${stage}/${recipient.account}`,
      kind: 'notice',
      lane: recipient.lane,
      ticketNo: t.no,
      stage,
      account: recipient.account,
      language,
      body,
      createdMs: o.nowMs,
      notBeforeMs: recipient.urgent && rules.settings.notices.urgentInQuiet ? 0 : quietEnd,
    }
  })
  await addMessages(client, messages)
}

function messageOf(t: Ticket, stage: NoticeStage, { rules, o, recipient }: { rules: Rules; o: ExpandOptions; recipient: Recipient }) {
  const language = languageOf(recipient.language, rules.settings.notices.languageDefault)
  const told = { ticket: t, id: ticketId(t.no), language, timezone: rules.calendar.timezone, nowMs: o.nowMs }
  const { subject, text } = noticeText(stage, told)
  const body = {
    type: `org.meterstream.notice.${stage}`,
    time: toIso(o.nowMs),
    ticket: ticketId(t.no),
    stage,
    class: t.class,
    subject,
    text,
    since: toIso(t.startedMs),
    ...(t.etrMs === null ? {} : { expectedBack: toIso(t.etrMs) }),
    urgent: recipient.urgent,
  }
  return { body, language }
}
