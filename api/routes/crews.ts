// Crews: where they are, what they can, whether they are free; what a dispatcher says of them; where they have been.
import { z } from 'zod'
import { HOUR_MS, parseIso, toIso } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { crewStatuses, registeredCrews, setCrewStatus, TRAIL_MS, trailOf } from '../desk/crew-store.ts'
import { type CrewStatus, onShift } from '../desk/crews.ts'
import { ticketId } from '../desk/ticket.ts'
import { Problem } from '../problem.ts'
import { Id } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'

const time = z.string().meta({ format: 'date-time' })
const Crew = z.object({
  crew: z.string(),
  skills: z.array(z.enum(['water', 'power'])),
  lon: z.number().nullable(),
  lat: z.number().nullable(),
  tsMs: z.number().nullable(),
  accuracyM: z.number().nullable(),
  speedKmh: z.number().nullable(),
  batteryPct: z.number().nullable(),
  stale: z.boolean(),
  status: z.enum(['free', 'busy', 'off']),
  shift: z.object({ from: time.nullable(), to: time.nullable() }).nullable(),
  onShift: z.boolean(),
  tickets: z.array(z.string()),
})

function statusView(s: CrewStatus | undefined, nowMs: number) {
  const shift = s === undefined || (s.shiftFromMs === null && s.shiftToMs === null) ? null : s
  return {
    // On a ticket is busy, whatever was said before.
    status: s === undefined ? ('free' as const) : s.status === 'free' && s.tickets.length > 0 ? ('busy' as const) : s.status,
    shift: shift === null ? null : { from: isoOf(shift.shiftFromMs), to: isoOf(shift.shiftToMs) },
    onShift: onShift(s, nowMs),
    tickets: (s?.tickets ?? []).map(ticketId),
  }
}

const isoOf = (ms: number | null) => (ms === null ? null : toIso(ms))

export function crewsRoutes(app: App, { pool, live, nowMs }: ApiDeps): void {
  app.get(
    '/v1/crews',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Crews: skills, shift, status, tickets, and where they are; a position older than ten minutes is stale',
        response: { 200: z.object({ crews: z.array(Crew) }), ...PROBLEMS },
      },
    },
    async () => {
      const [registered, statuses] = await Promise.all([registeredCrews(pool), crewStatuses(pool)])
      const unknown = { lon: null, lat: null, tsMs: null, accuracyM: null, speedKmh: null, batteryPct: null, stale: true }
      const views = new Map(
        registered.map((c) => [c.crew, { ...c, ...unknown } as Omit<z.output<typeof Crew>, keyof ReturnType<typeof statusView>>]),
      )
      for (const c of live.crews()) views.set(c.crew, c)
      const now = nowMs()
      return { crews: [...views.values()].map((c) => ({ ...c, ...statusView(statuses.get(c.crew), now) })) }
    },
  )

  app.put(
    '/v1/crews/:id',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Says whether a crew is free, busy or off, and when its shift is',
        params: z.object({ id: Id }),
        body: z.strictObject({
          status: z.enum(['free', 'busy', 'off']),
          shift: z.object({ from: z.iso.datetime({ offset: true }).nullable(), to: z.iso.datetime({ offset: true }).nullable() }).nullish(),
        }),
        response: { 200: z.object({ crew: z.string(), ...statusShape() }), ...PROBLEMS },
      },
    },
    async ({ params: { id }, body, who }) => {
      const known = (await registeredCrews(pool)).some((c) => c.crew === id) || live.crews().some((c) => c.crew === id)
      if (!known) throw new Problem(404, 'no_such_crew', `there is no crew ${id}`)
      const from = body.shift?.from == null ? null : parseIso(body.shift.from)
      const to = body.shift?.to == null ? null : parseIso(body.shift.to)
      if (from !== null && to !== null && from >= to) throw new Problem(400, 'not_valid', 'body.shift: ends before it begins')
      await setCrewStatus(pool, { crew: id, status: body.status, shiftFromMs: from, shiftToMs: to, who })
      return { crew: id, ...statusView((await crewStatuses(pool)).get(id), nowMs()) }
    },
  )

  app.get(
    '/v1/crews/:id/trail',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Where a crew has been, oldest first; at most two days back',
        params: z.object({ id: Id }),
        querystring: z.object({
          hours: z.coerce
            .number()
            .positive()
            .max(TRAIL_MS / HOUR_MS)
            .default(8),
        }),
        response: {
          200: z.object({ crew: z.string(), positions: z.array(z.object({ tsMs: z.number(), lon: z.number(), lat: z.number() })) }),
          ...PROBLEMS,
        },
      },
    },
    async ({ params: { id }, query }) => ({ crew: id, positions: await trailOf(pool, id, nowMs() - query.hours * HOUR_MS) }),
  )
}

function statusShape() {
  const { status, shift, onShift: on, tickets } = Crew.shape
  return { status, shift, onShift: on, tickets }
}
