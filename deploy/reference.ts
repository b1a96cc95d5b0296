// npm run reference: writes docs/reference/openapi.json and asyncapi.json from the code. A test compares them.
import { mkdirSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { SEVERITIES } from '#model/finding.ts'
import type { QuarantineEntry } from '#model/outcome.ts'
import { REFUSALS } from '#model/outcome.ts'
import { type IncidentDecision, TICKET_CLASSES, type TicketIntent } from '#model/ticket.ts'
import { TOPICS } from '#model/topics.ts'
import { readConfig } from '#runtime/config.ts'
import { silentLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { createPool } from '#runtime/postgres.ts'
import { createQuestDb } from '#runtime/questdb.ts'
import { createAuth } from '../api/auth.ts'
import { createLive } from '../api/live/live.ts'
import { FindingOut } from '../api/routes/schemas.ts'
import { buildServer } from '../api/server.ts'
import { NativeMessage, NativeStatus } from '../ingest/formats/native.schema.ts'

export const REFERENCE_DIR = new URL('../docs/reference/', import.meta.url)

const time = z.string().meta({ format: 'date-time' })

const Why = z.object({
  ...{ group: z.string(), inhibit: z.string(), silence: z.string(), decide: z.string() },
  muted: z.record(z.string(), z.int()).optional(),
})

/** A field that is added to a type of ours must be added here: the compiler says so. */
const INTENT = {
  type: z.literal('ticket'),
  key: z.string().describe('The incident: exactly one open ticket a key'),
  rev: z.int(),
  class: z.enum(TICKET_CLASSES),
  findings: z.array(z.string()),
  priority: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)]),
  severity: z.enum(SEVERITIES),
  zone: z.string(),
  scope: z.object({ type: z.string(), id: z.string() }),
  title: z.string(),
  description: z.string(),
  affected: z.array(z.string()),
  openedAt: time,
  updatedAt: time,
  closedAt: time.nullable(),
  withdrawn: z.boolean().optional(),
  mergedInto: z.string().optional(),
  reason: z.string(),
  startedAt: time.optional(),
  size: z.record(z.string(), z.number()).optional(),
  why: Why.optional(),
} satisfies Record<keyof TicketIntent, z.ZodType>

const DECISION = {
  type: z.literal('decision'),
  key: z.string(),
  zone: z.string(),
  scope: z.object({ type: z.string(), id: z.string() }),
  findings: z.array(z.string()),
  why: Why,
  mutedBy: z.string(),
  at: time,
} satisfies Record<keyof IncidentDecision, z.ZodType>

const Decision = z.object(DECISION).describe('Why an incident has no ticket of its own')

const Intent = z.object(INTENT).describe('What the incident fold asks the desk for; repeated with a higher rev when it changes')

const Refused = z
  .object({
    id: z.string(),
    reason: z.enum(REFUSALS),
    field: z.string(),
    message: z.string(),
    gateway: z.string(),
    device: z.string(),
    topic: z.string(),
    format: z.string(),
    receivedAtMs: z.int(),
    entries: z.int().describe('How many readings or events it stands for'),
    payload: z.string(),
    encoding: z.enum(['utf8', 'base64']),
    truncated: z.boolean(),
    redelivered: z.boolean(),
  })
  .describe('A refused entry, whole') satisfies z.ZodType<QuarantineEntry>

/** The api is built and never listens; its pools connect only when asked. */
export async function openApi(): Promise<object> {
  const config = readConfig({})
  const pool = createPool({ url: config.POSTGRES_URL, log: silentLog })
  const questdb = await createQuestDb({ url: config.QUESTDB_URL, log: silentLog })
  const deps = {
    ...{ pool, questdb, prefix: '', log: silentLog, nowMs: Date.now },
    auth: createAuth('a token for no one'),
    registry: createRegistry('api'),
    live: createLive({ clientsMax: 1, instance: 'reference', wallMs: Date.now }),
    // Routes that exist only with a secret are part of the interface.
    accountLinkSecret: 'a secret for no one',
  }
  const app = await buildServer(deps, { ready: () => ({ ok: true, parts: [] }) })
  try {
    await app.ready()
    return app.swagger()
  } finally {
    await app.close()
    deps.live.close()
    await pool.end()
    await questdb.close()
  }
}

interface Channel {
  address: string
  server: 'broker' | 'log'
  direction: 'receive' | 'send'
  summary: string
  payload: z.ZodType | { format: string }
  parameters?: Record<string, string>
}

const CHANNELS: Record<string, Channel> = {
  readings: {
    address: 'telemetry/v1/{gateway}/readings',
    server: 'broker',
    direction: 'receive',
    summary: 'Readings and events of a gateway, native format, QoS 1; at most 5,000 entries and 1 MiB',
    payload: NativeMessage,
    parameters: { gateway: 'Id of the gateway; it may publish below its own id only' },
  },
  status: {
    address: 'telemetry/v1/{gateway}/status',
    server: 'broker',
    direction: 'receive',
    summary: 'Whether a gateway is there: retained, and its last will',
    payload: NativeStatus,
    parameters: { gateway: 'Id of the gateway' },
  },
  crews: {
    address: 'crews/{crew}',
    server: 'broker',
    direction: 'receive',
    summary: 'Position of a crew: OwnTracks location',
    payload: z.looseObject({ _type: z.literal('location'), lat: z.number(), lon: z.number(), tst: z.int().describe('Unix seconds') }),
    parameters: { crew: 'Id of the crew' },
  },
  telemetry: {
    address: TOPICS.telemetry,
    server: 'log',
    direction: 'send',
    summary: 'The log: key = zone, binary records (docs/architecture.md); versioned, for our own processors',
    payload: { format: 'application/vnd.meterstream.telemetry' },
  },
  findings: {
    address: TOPICS.findings,
    server: 'log',
    direction: 'send',
    summary: 'Every revision of every finding, key = id',
    payload: FindingOut,
  },
  tickets: {
    address: TOPICS.tickets,
    server: 'log',
    direction: 'send',
    summary: 'Intents of tickets, and why an incident has none, key = incident',
    payload: z.union([Intent, Decision]),
  },
  quarantine: { address: TOPICS.quarantine, server: 'log', direction: 'send', summary: 'Refused entries, key = gateway', payload: Refused },
}

export function asyncApi(): object {
  const channels: Record<string, object> = {}
  const operations: Record<string, object> = {}
  const schemas: Record<string, object> = {}
  for (const [name, c] of Object.entries(CHANNELS)) {
    const isSchema = c.payload instanceof z.ZodType
    if (isSchema) schemas[name] = z.toJSONSchema(c.payload as z.ZodType, { unrepresentable: 'any', io: 'input' })
    channels[name] = {
      address: c.address,
      servers: [{ $ref: `#/servers/${c.server}` }],
      ...(c.parameters === undefined
        ? {}
        : { parameters: Object.fromEntries(Object.entries(c.parameters).map(([k, description]) => [k, { description }])) }),
      messages: {
        [name]: {
          summary: c.summary,
          contentType: isSchema ? 'application/json' : (c.payload as { format: string }).format,
          ...(isSchema ? { payload: { $ref: `#/components/schemas/${name}` } } : {}),
        },
      },
    }
    operations[`${c.direction}_${name}`] = { action: c.direction, channel: { $ref: `#/channels/${name}` }, summary: c.summary }
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Meterstream',
      version: '1',
      description:
        'What gateways publish over MQTT and what the log carries. Other formats of gateways are in docs/gateways.md; live events over HTTP (SSE) are in the OpenAPI document.',
    },
    defaultContentType: 'application/json',
    servers: {
      broker: { host: 'localhost:1883', protocol: 'mqtt', description: 'MQTT 3.1.1 and 5; user and password of the gateway' },
      log: { host: 'localhost:9092', protocol: 'kafka', description: 'Kafka; names carry METERSTREAM_PREFIX in front' },
    },
    channels,
    operations,
    components: { schemas },
  }
}

export const render = (document: object): string => `${JSON.stringify(document, null, 1)}\n`

if (import.meta.main) {
  mkdirSync(REFERENCE_DIR, { recursive: true })
  writeFileSync(new URL('openapi.json', REFERENCE_DIR), render(await openApi()))
  writeFileSync(new URL('asyncapi.json', REFERENCE_DIR), render(asyncApi()))
}
