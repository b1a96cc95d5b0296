// Shapes of answers that several routes share; the OpenAPI document is made from them.
import { z } from 'zod'
import { SLA_STEPS, TICKET_ACTIONS, TICKET_STATES } from '#model/desk.ts'
import { FINDING_KINDS, SCOPE_TYPES, SEVERITIES } from '#model/finding.ts'
import { TICKET_CLASSES } from '#model/ticket.ts'
import { ProblemSchema } from '../problem.ts'

const time = z.string().meta({ format: 'date-time' })

export const FindingOut = z
  .looseObject({
    type: z.literal('finding'),
    id: z.string(),
    rev: z.int(),
    kind: z.enum(FINDING_KINDS),
    scope: z.looseObject({ type: z.enum(SCOPE_TYPES), id: z.string() }),
    zone: z.string(),
    startedAt: time,
    detectedAt: time,
    updatedAt: time,
    clearedAt: time.nullable(),
    severity: z.enum(SEVERITIES),
    confidence: z.number(),
    reason: z.string(),
    evidence: z.array(z.looseObject({ what: z.string() })),
    detector: z.string(),
  })
  .describe('A finding at its newest revision; may also have subtype, size, candidates, cause, momentary, affected, withdrawn, parent')

export const PriorityOut = z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)]).describe('1 is the most urgent')

export const TicketOut = z.object({
  id: z.string(),
  key: z.string(),
  class: z.enum(TICKET_CLASSES),
  origin: z.enum(['telemetry', 'report']),
  state: z.enum(TICKET_STATES),
  priority: PriorityOut,
  severity: z.enum(SEVERITIES),
  title: z.string(),
  description: z.string(),
  zone: z.string(),
  scope: z.object({ type: z.string(), id: z.string() }),
  at: z.tuple([z.number(), z.number()]).nullable(),
  findings: z.array(z.string()),
  affectedCount: z.int(),
  affected: z.array(z.string()),
  reason: z.string(),
  assignee: z.string(),
  openedAt: time,
  updatedAt: time,
  telemetryClosedAt: time.nullable(),
  closedAt: time.nullable(),
  sla: z.object({ respondMs: z.number(), dispatchMs: z.number(), resolveMs: z.number(), replyMs: z.number() }),
  breached: z.array(z.enum(SLA_STEPS)),
  version: z.int(),
  actions: z.array(z.enum(TICKET_ACTIONS)),
  subtype: z.string(),
  impact: z.object({
    customers: z.int(),
    vulnerable: z.int(),
    large: z.int(),
    special: z.int(),
    lifeSupport: z.int(),
    hospitals: z.int(),
    schools: z.int(),
    segment: z.string(),
    lossM3h: z.number(),
  }),
  priorityReasons: z.array(z.string()),
  etrAt: time.nullable(),
  etrBy: z.enum(['person', 'telemetry', '']),
  heldSince: time.nullable(),
  clocks: z.array(
    z.object({
      step: z.enum(SLA_STEPS),
      dueMs: z.number(),
      state: z.enum(['running', 'paused', 'breached', 'met', 'late']),
      usedPct: z.number(),
      forecastMs: z.number().nullable(),
      risk: z.boolean(),
    }),
  ),
  escalation: z.array(z.string()),
  mergedInto: z.string(),
  reports: z.int(),
  firstContact: z.boolean().nullable(),
  why: z.record(z.string(), z.unknown()),
})

export const ChangeOut = z.object({
  version: z.int(),
  at: time,
  who: z.string(),
  action: z.string(),
  from: z.enum(TICKET_STATES).nullable(),
  to: z.enum(TICKET_STATES),
  reason: z.string(),
  note: z.string(),
})

/** Answers every route may give besides its own. */
export const PROBLEMS = { '4xx': ProblemSchema, '5xx': ProblemSchema } as const
