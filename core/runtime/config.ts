// Everything a process can be told, from the environment, in one place. `.env.example` is generated from this list and a test
// compares them. Only main files call readConfig.
import { z } from 'zod'

const port = z.coerce.number().int().min(1).max(65_535)

export const ConfigSchema = z.object({
  METERSTREAM_DATA_DIR: z.string().default('.meterstream').describe('Folder for local servers, spools and secrets'),
  METERSTREAM_PREFIX: z
    .string()
    .regex(/^[a-z0-9_]*$/)
    .default('')
    .describe('Prefix of topics, groups and tables; lets several systems share servers'),
  METERSTREAM_CLOCK: z
    .enum(['wall', 'messages'])
    .default('wall')
    .describe('wall: time of receipt is now; messages: messages carry it (simulation and replay only)'),
  METERSTREAM_TIMEZONE: z.string().default('UTC').describe('IANA time zone of the utility; an imported data set overrides it'),
  METERSTREAM_SETTINGS: z.string().default('').describe('JSON file with sources, format settings and detector settings'),
  KAFKA_BROKERS: z.string().default('127.0.0.1:9092').describe('Comma-separated host:port'),
  KAFKA_TLS: z.enum(['off', 'on']).default('off').describe('on: TLS. A private authority: NODE_EXTRA_CA_CERTS, for all connections'),
  KAFKA_SASL: z.enum(['', 'plain', 'scram-sha-256', 'scram-sha-512']).default('').describe('How to sign in; empty: not at all'),
  KAFKA_USERNAME: z.string().default(''),
  KAFKA_PASSWORD: z.string().default(''),
  KAFKA_TELEMETRY_PARTITIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(1024)
    .default(8)
    .describe('Partitions of the telemetry topic, at creation'),
  MQTT_URL: z.string().default('mqtt://127.0.0.1:1883').describe('Broker'),
  MQTT_USERNAME: z.string().default(''),
  MQTT_PASSWORD: z.string().default(''),
  METERSTREAM_GATEWAY_SECRET: z
    .string()
    .default('')
    .describe('The passwords of gateways at the broker follow from it (npm run mqtt-users), at least 32 characters'),
  MQTT_POOL: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .default(1)
    .describe('Connections of the shared subscription. One keeps the order of messages and is as fast; a broker cluster may want more'),
  INGEST_INSTANCE: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,40}$/)
    .default('ingest')
    .describe('Name of this ingest, fixed: the broker keeps its session under it; several ingests need several names'),
  QUESTDB_URL: z.string().default('http://127.0.0.1:9000').describe('HTTP endpoint, user and password in it where QuestDB wants them'),
  POSTGRES_URL: z.string().default('postgres://meterstream@127.0.0.1:5432/meterstream'),
  HTTP_HOST: z.string().default('127.0.0.1').describe('Address that the services listen on'),
  API_PORT: port.default(8080),
  INGEST_PORT: port.default(8081).describe('Health and metrics of ingest'),
  PROCESSORS_PORT: port.default(8082).describe('Health and metrics of processors'),
  API_TOKEN: z.string().default('').describe('Bearer token of the first administrator; npm start makes one when empty'),
  ACCOUNT_LINK_SECRET: z
    .string()
    .default('')
    .describe(
      'Signs links to the account page, at least 16 characters; when empty they are signed with API_TOKEN. A new one ends all links',
    ),
  NOTICE_WEBHOOK_URL: z.string().default('').describe('Customer notices as CloudEvents; empty: none'),
  NOTICE_WEBHOOK_SECRET: z
    .string()
    .default('')
    .describe('Standard Webhooks secret, whsec_ and base64 of 24 to 64 bytes; empty: not signed'),
  SMS_WEBHOOK_URL: z.string().default('').describe('SMS gateway: POST {to, text, reference}; empty: none'),
  SMS_WEBHOOK_SECRET: z.string().default(''),
  STAFF_WEBHOOK_URL: z.string().default('').describe('Escalations as CloudEvents; empty: they are only kept on the ticket'),
  STAFF_WEBHOOK_SECRET: z.string().default(''),
  HUB_SECRET: z.string().default('').describe('Signs events to TMF621 listeners; empty: not signed'),
  SMTP_URL: z.string().default('').describe('smtp:// or smtps:// with user and password; empty: no e-mail'),
  SMTP_FROM: z.string().default('').describe('Sender of e-mails'),
  PERSONAL_DATA_KEYS: z
    .string()
    .default('')
    .describe('Keys of personal data at rest, id:base64 of 32 bytes, the first one seals; npm start makes one when empty'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

export type Config = z.infer<typeof ConfigSchema>

/** @throws Error with one line per wrong variable, naming it and the reason. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const known = Object.fromEntries(
    Object.keys(ConfigSchema.shape).flatMap((k) => (env[k] === undefined || env[k] === '' ? [] : [[k, env[k]]])),
  )
  const parsed = ConfigSchema.safeParse(known)
  if (parsed.success) return parsed.data
  throw new Error(parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('\n'))
}
