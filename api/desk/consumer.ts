// Brings findings and ticket intents from the log into PostgreSQL. Offsets are committed after PostgreSQL has committed; what comes
// twice changes nothing, so any number of api processes may run.
import { z } from 'zod'
import { FINDING_KINDS, type Finding, SEVERITIES } from '#model/finding.ts'
import { type IncidentDecision, TICKET_CLASSES, type TicketIntent } from '#model/ticket.ts'
import { parseIso } from '#model/time.ts'
import { TOPICS } from '#model/topics.ts'
import type { Config } from '#runtime/config.ts'
import { consume, type InRecord, type Kafka, type RecordConsumer, topicName } from '#runtime/kafka.ts'
import type { Log } from '#runtime/log.ts'
import { type Counter, counter, type Registry } from '#runtime/metrics.ts'
import type { Pool } from '#runtime/postgres.ts'
import { applyDecisions } from './decision-store.ts'
import { applyFindings } from './finding-store.ts'
import { applyIntents } from './store.ts'

const iso = z.string().refine((s) => !Number.isNaN(parseIso(s)), 'not an ISO 8601 time')
const scope = z.object({ type: z.string(), id: z.string() })

/** What the desk relies on; everything else of a finding is kept as it came. */
const FindingRecord = z.looseObject({
  type: z.literal('finding'),
  id: z.string().min(1),
  rev: z.int(),
  kind: z.enum(FINDING_KINDS),
  scope,
  zone: z.string(),
  startedAt: iso,
  detectedAt: iso,
  updatedAt: iso,
  clearedAt: iso.nullable(),
  severity: z.enum(SEVERITIES),
})
const IntentRecord = z.looseObject({
  type: z.literal('ticket'),
  key: z.string().min(1),
  rev: z.int(),
  class: z.enum(TICKET_CLASSES),
  findings: z.array(z.string()),
  priority: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)]),
  severity: z.enum(SEVERITIES),
  zone: z.string(),
  scope,
  title: z.string(),
  description: z.string(),
  affected: z.array(z.string()),
  openedAt: iso,
  updatedAt: iso,
  closedAt: iso.nullable(),
  reason: z.string(),
})

const DecisionRecord = z.looseObject({
  type: z.literal('decision'),
  key: z.string().min(1),
  zone: z.string(),
  scope,
  findings: z.array(z.string()),
  why: z.record(z.string(), z.unknown()),
  mutedBy: z.string(),
  at: iso,
})

export interface DeskConsumerOptions {
  kafka: Kafka
  config: Pick<Config, 'METERSTREAM_PREFIX'>
  pool: Pool
  log: Log
  registry: Registry
  /** Kafka group; all api processes share it. */
  group?: string
}

export async function startDeskConsumer(options: DeskConsumerOptions): Promise<RecordConsumer> {
  const { kafka, config, pool, log, registry } = options
  const tickets = topicName(config, TOPICS.tickets)
  const findings = topicName(config, TOPICS.findings)
  const records = counter(registry, 'meterstream_desk_records_total', 'Records of findings and tickets by result', ['topic', 'result'])
  return consume(kafka, {
    group: options.group ?? topicName(config, 'desk'),
    topics: [findings, tickets],
    log,
    from: 'beginning',
    commit: 'after-batch',
    async onBatch({ topic, records: batch, heartbeat }) {
      const name = topic === tickets ? 'tickets' : 'findings'
      const count =
        topic === tickets
          ? async (part: InRecord[]) => {
              const read = parseAll<TicketIntent | IncidentDecision>(part, z.union([IntentRecord, DecisionRecord]), { log, name, records })
              const decided = await applyDecisions(
                pool,
                read.filter((r) => r.type === 'decision'),
              )
              return (
                decided +
                (await applyIntents(
                  pool,
                  read.filter((r) => r.type === 'ticket'),
                ))
              )
            }
          : (part: InRecord[]) => applyFindings(pool, parseAll<Finding>(part, FindingRecord, { log, name, records }))
      for (let i = 0; i < batch.length; i += PART) {
        const part = batch.slice(i, i + PART)
        records.inc({ topic: name, result: 'changed' }, await count(part))
        records.inc({ topic: name, result: 'read' }, part.length)
        await heartbeat()
      }
    },
  })
}

/** Between two heartbeats. */
const PART = 500

/** Records that are none of ours are skipped, logged and counted: throwing would stop the desk for ever. */
function parseAll<T>(
  part: readonly InRecord[],
  schema: z.ZodType,
  to: { log: Log; name: string; records: Counter<'topic' | 'result'> },
): T[] {
  const out: T[] = []
  for (const r of part) {
    const problem = parse(r, schema, out)
    if (problem === undefined) continue
    to.records.inc({ topic: to.name, result: 'malformed' })
    to.log.error({ topic: to.name, offset: r.offset, problem }, 'a record is not as agreed and was skipped')
  }
  return out
}

function parse<T>(r: InRecord, schema: z.ZodType, out: T[]): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(r.value.toString())
  } catch (error) {
    return (error as Error).message
  }
  const parsed = schema.safeParse(value)
  if (!parsed.success)
    return parsed.error.issues
      .map((i) => `${i.path.join('.')}: ${i.message}`)
      .join('; ')
      .slice(0, 500)
  out.push(value as T)
  return undefined
}
