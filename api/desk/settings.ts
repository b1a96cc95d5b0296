// What a utility decides about its desk: working hours, limits, escalation, priorities, notices, crews. Data, validated as a whole
// before it is taken, with defaults that say where they come from. Kept in PostgreSQL so that every process has the same.
import { z } from 'zod'
import { SEGMENTS } from '#model/asset.ts'
import { SLA_STEPS } from '#model/desk.ts'
import { TICKET_CLASSES } from '#model/ticket.ts'
import { isTimezone } from '#model/time.ts'

const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'must be a time of day such as 08:30')
const date = z.iso.date()
const minutes = z.int().min(0).max(525_600)

/** Opening hours of one weekday: pairs of times, in order, not overlapping. */
const Hours = z
  .array(z.tuple([clockTime, clockTime]))
  .max(6)
  .superRefine((spans, ctx) => {
    let last = ''
    for (const [from, to] of spans) {
      if (from >= to) ctx.addIssue({ code: 'custom', message: `${from} to ${to}: ends before it begins` })
      if (from < last) ctx.addIssue({ code: 'custom', message: `${from} to ${to}: begins before the span before it ends` })
      last = to
    }
  })

const WORKDAY: [string, string][] = [['08:00', '18:00']]
const CalendarSettings = z
  .object({
    timezone: z
      .string()
      .refine((t) => t === '' || isTimezone(t), 'is no IANA time zone')
      .default('')
      .describe("'' is the utility's own"),
    monday: Hours.default(WORKDAY),
    tuesday: Hours.default(WORKDAY),
    wednesday: Hours.default(WORKDAY),
    thursday: Hours.default(WORKDAY),
    friday: Hours.default(WORKDAY),
    saturday: Hours.default([]),
    sunday: Hours.default([]),
    holidays: z.array(date).max(2000).default([]).describe('Local dates on which the desk is closed'),
  })
  .superRefine((c, ctx) => {
    const open = [c.monday, c.tuesday, c.wednesday, c.thursday, c.friday, c.saturday, c.sunday].some((d) => d.length > 0)
    if (!open) ctx.addIssue({ code: 'custom', message: 'the desk must be open at some time of the week' })
  })

/** A rule holds where all that it names agrees; of several the one that names most, then the first. */
const Limit = z.object({
  class: z.enum(TICKET_CLASSES).optional(),
  priority: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)]).optional(),
  segment: z.enum([...SEGMENTS, 'life_support', 'hospital', 'school']).optional(),
  clock: z.enum(['always', 'business']).describe('always: round the clock; business: only in working hours'),
  respondMin: minutes,
  dispatchMin: minutes,
  resolveMin: minutes,
  replyMin: minutes,
})

const H = 60
const D = 24 * H
/** Hours of a working day of the default calendar. */
const W = 10 * H
const FIELD = ['outage', 'leak', 'quality', 'meter_work'] as const
const DESK = ['billing', 'complaint', 'enquiry', 'installation'] as const
type Figures = [priority: 1 | 2 | 3 | 4, respond: number, dispatch: number, resolve: number, reply: number]
/**
 * Dispatch limits of priorities 1 and 2 are those of State Grid's published service promises for reaching a fault (45 minutes in town, 90
 * in the country). Complaints: contact within one working day, answered within 5 (the same promises: 1 and 7 days). The others are ours.
 */
const FIELD_FIGURES: Figures[] = [
  [1, 10, 45, 4 * H, 5 * H],
  [2, 15, 90, 8 * H, 10 * H],
  [3, 2 * H, 12 * H, 3 * D, 4 * D],
  [4, D, 5 * D, 14 * D, 15 * D],
]
const DESK_FIGURES: Figures[] = [
  [1, 2 * H, 4 * H, W, W],
  [2, 4 * H, W, 3 * W, 3 * W],
  [3, W, 2 * W, 5 * W, 5 * W],
  [4, W, 4 * W, 10 * W, 10 * W],
]
const limitsOf = (classes: readonly (typeof TICKET_CLASSES)[number][], figures: Figures[], clock: 'always' | 'business') =>
  classes.flatMap((cls) =>
    figures.map(([priority, respondMin, dispatchMin, resolveMin, replyMin]) => ({
      class: cls,
      priority,
      clock,
      respondMin,
      dispatchMin,
      resolveMin,
      replyMin,
    })),
  )

const Escalation = z.object({
  step: z.enum(SLA_STEPS),
  usedPct: z.number().min(1).max(1000).describe('Share of the limit used at which it is taken'),
  to: z.string().min(1).max(100).describe('Role that is told'),
})

const Weights = z.object({
  /** Points; a ticket's sum decides. */
  severity: z.object({ critical: z.number(), major: z.number(), minor: z.number(), warning: z.number() }),
  customers: z.array(z.object({ from: z.int().min(1), points: z.number() })).max(20),
  lifeSupport: z.number(),
  vulnerable: z.number(),
  hospital: z.number(),
  school: z.number(),
  large: z.number(),
  special: z.number(),
  lossPer10M3h: z.number(),
  perHourOpen: z.number().describe('For field work; counted in full hours'),
  hoursMax: z.number().min(0),
  /** Sum from which a priority holds. A ticket is never less urgent than its incident says. */
  priority1: z.number(),
  priority2: z.number(),
  priority3: z.number(),
})

const Notices = z.object({
  channels: z
    .array(z.enum(['webhook', 'sms', 'email']))
    .max(3)
    .default(['sms', 'email', 'webhook'])
    .describe('In order; a channel without its address in the environment is left out'),
  classes: z.array(z.enum(TICKET_CLASSES)).default(['outage', 'leak']),
  customersMax: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(100_000)
    .describe('Notices of one stage of one ticket at most; the rest are counted on the ticket'),
  quietFrom: clockTime.default('21:30'),
  quietTo: clockTime.default('07:00'),
  urgentInQuiet: z.boolean().default(true).describe('Life support and hospitals are told at once'),
  languageDefault: z.enum(['en', 'zh']).default('en'),
})

const Crews = z.object({
  staleMin: z.number().positive().default(10),
  goneMin: z.number().positive().default(240).describe('Older positions are not used for distances'),
  speedKmh: z.number().positive().default(30).describe('To say how far away in minutes'),
  perCrewMax: z.int().min(1).default(1).describe('Open tickets with which a crew still counts as free'),
})

const Reports = z.object({
  radiusM: z.number().positive().default(500),
  hours: z.number().positive().default(6).describe('Between a report and the incident, or between alike reports'),
  alike: z.int().min(2).default(3).describe('So many near each other raise a suspected incident'),
  confirmHours: z.number().positive().default(4).describe('Without telemetry by then the suspicion is marked not confirmed'),
})

const Callbacks = z.object({ samplePct: z.number().min(0).max(100).default(5), perDayMax: z.int().min(0).default(50) })

const Costs = z.object({
  crewPerHour: z.number().min(0).default(60),
  waterPerM3: z.number().min(0).default(1.5),
  energyPerKwh: z.number().min(0).default(0.25),
  currency: z.string().max(3).default('EUR'),
})

export const DeskSettings = z.object({
  calendar: CalendarSettings.prefault({}),
  limits: z
    .array(Limit)
    .max(1000)
    .default([...limitsOf(FIELD, FIELD_FIGURES, 'always'), ...limitsOf(DESK, DESK_FIGURES, 'business')])
    .superRefine((limits, ctx) => {
      limits.forEach((l, i) => {
        if (l.respondMin > l.dispatchMin || l.dispatchMin > l.resolveMin || l.resolveMin > l.replyMin)
          ctx.addIssue({ code: 'custom', path: [i], message: 'must not fall: respond, dispatch, resolve, reply' })
      })
      for (const cls of TICKET_CLASSES) {
        const whole = limits.some((l) => (l.class === undefined || l.class === cls) && l.segment === undefined && l.priority === undefined)
        const each = [1, 2, 3, 4].every((p) =>
          limits.some((l) => (l.class === undefined || l.class === cls) && l.segment === undefined && (l.priority ?? p) === p),
        )
        if (!whole && !each) ctx.addIssue({ code: 'custom', message: `no limits for ${cls}: every class needs a rule for every priority` })
      }
    }),
  escalation: z
    .array(Escalation)
    .max(50)
    .default([
      { step: 'respond', usedPct: 80, to: 'dispatcher' },
      { step: 'respond', usedPct: 100, to: 'supervisor' },
      { step: 'dispatch', usedPct: 100, to: 'supervisor' },
      { step: 'resolve', usedPct: 80, to: 'supervisor' },
      { step: 'resolve', usedPct: 100, to: 'manager' },
      { step: 'resolve', usedPct: 200, to: 'director' },
      { step: 'reply', usedPct: 100, to: 'supervisor' },
    ]),
  priority: Weights.default({
    severity: { critical: 50, major: 25, minor: 10, warning: 0 },
    customers: [
      { from: 10, points: 10 },
      { from: 100, points: 20 },
      { from: 1000, points: 40 },
    ],
    lifeSupport: 60,
    vulnerable: 20,
    hospital: 40,
    school: 10,
    large: 10,
    special: 10,
    lossPer10M3h: 10,
    perHourOpen: 2,
    hoursMax: 24,
    priority1: 70,
    priority2: 40,
    priority3: 15,
  }),
  notices: Notices.prefault({}),
  crews: Crews.prefault({}),
  reports: Reports.prefault({}),
  callbacks: Callbacks.prefault({}),
  costs: Costs.prefault({}),
  teams: z.record(z.string(), z.string()).default({}).describe('Crew or person -> team; who is not here is a team of one'),
})
export type DeskSettings = z.output<typeof DeskSettings>

export const DEFAULTS: DeskSettings = DeskSettings.parse({})
