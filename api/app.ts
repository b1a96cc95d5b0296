// What a route file gets: the application with zod types, and the things behind it. Nothing in here listens or connects.
import type { FastifyBaseLogger, FastifyInstance, RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Log } from '#runtime/log.ts'
import type { Registry } from '#runtime/metrics.ts'
import type { Keyring } from '#runtime/personal.ts'
import type { Pool } from '#runtime/postgres.ts'
import type { QuestDb } from '#runtime/questdb.ts'
import type { Auth } from './auth.ts'
import type { Live } from './live/live.ts'

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>

export interface ApiDeps {
  pool: Pool
  questdb: QuestDb
  /** Prefix of QuestDB tables. */
  prefix: string
  auth: Auth
  live: Live
  registry: Registry
  log: Log
  /** The log's clock, epoch ms; the wall clock before the log has one. */
  nowMs(): number
  /** Signs links to the account page; without one there are none. */
  accountLinkSecret?: string
  /** Opens and seals personal data; left out: it is kept as it came. */
  keyring?: Keyring
  /** Folder of the built page; left out when there is none. */
  webDir?: string
  limits?: Partial<Limits>
}

export interface Limits {
  /** Requests a second and address, sustained. */
  requestsPerSecond: number
  requestsBurst: number
  /** Wrong tokens an address may send before it has to wait. */
  failuresBurst: number
  bodyBytes: number
  liveClients: number
}

export const LIMITS: Limits = { requestsPerSecond: 50, requestsBurst: 200, failuresBurst: 20, bodyBytes: 1_048_576, liveClients: 500 }

/** Tags of the OpenAPI document, in its order. */
export const TAGS = {
  live: 'Live: the map, findings and tickets as they happen',
  registry: 'Registry: what exists and who measures it',
  data: 'Readings and validated intervals',
  billing: 'Billing feed',
  account: 'The account page: use, cost, notices, by role or by signed link',
  analytics: 'What goes wrong where and what it costs; data quality',
  findings: 'Findings of the detectors',
  alarms: 'Alarms of the shift (ISA-18.2)',
  tickets: 'The ticket desk',
  tmf621: 'TM Forum TMF621 trouble ticket',
  proof: 'Ledger and quarantine: nothing is lost',
  access: 'Users, API keys, audit trail',
  system: 'Health, metrics, session',
} as const
export type Tag = keyof typeof TAGS
