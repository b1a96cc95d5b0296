// The outage feed: one entry an outage, in the shape of the CIM and ODIN. Outages that a wider one took over are part of that one.
import { z } from 'zod'
import type { Finding } from '#model/finding.ts'
import { DAY_MS } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { outageOf, type Place } from '../desk/outage-feed.ts'
import { fromRow, SELECT, type TicketRow } from '../desk/rows.ts'
import { OPEN } from '../desk/ticket-lists.ts'
import { findingsById } from '../queries/findings.ts'
import { limit } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'

const time = z.string().meta({ format: 'date-time' })
const geometry = z.looseObject({ type: z.string() }).nullable().describe('GeoJSON, WGS 84')
const Outage = z.object({
  mRID: z.string().describe('Stable id of the outage'),
  ticket: z.string(),
  utilityName: z.string(),
  communityDescriptor: z.string().describe('Feeder or district'),
  outageKind: z.enum(['planned', 'unplanned']),
  statusKind: z.enum(['received', 'assessing', 'crewAssigned', 'crewOnsite', 'restored', 'cancelled']),
  causeKind: z.string(),
  cause: z.string(),
  reasons: z.array(z.string()).describe('Named reasons of the findings'),
  reportedStartTime: time,
  detectedTime: time,
  estimatedRestorationTime: time.nullable(),
  estimatedRestorationBy: z.string(),
  actualRestorationTime: time.nullable(),
  metersAffected: z.int(),
  originalMetersAffected: z.int(),
  customersAffected: z.int(),
  outageArea: z.object({ equipmentKind: z.string(), equipment: z.string(), name: z.string(), geometry }),
  location: geometry,
  updatedTime: time,
})

/** Findings looked up for one answer; they only add cause and estimate. */
const FINDINGS_MAX = 2_000

export function outagesRoutes(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/outages',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Outages now, or also those of the last day, in the shape of the CIM and ODIN',
        querystring: z.object({ state: z.enum(['current', 'recent']).default('current'), limit: limit(5000, 1000) }),
        response: { 200: z.object({ generatedTime: time, outages: z.array(Outage) }), ...PROBLEMS },
      },
    },
    async ({ query: { state, limit: most } }) => {
      const now = nowMs()
      const current = `${SELECT} WHERE ${OPEN} AND class = 'outage' AND telemetry_closed_ms IS NULL AND merged_into = ''`
      const { rows } = await pool.query<TicketRow>(
        state === 'current'
          ? `${current} ORDER BY no DESC LIMIT $1`
          : `(${current}) UNION ALL (${SELECT} WHERE class = 'outage' AND state <> 'cancelled' AND merged_into = '' AND telemetry_closed_ms IS NOT NULL AND updated_ms >= $2) ORDER BY no DESC LIMIT $1`,
        state === 'current' ? [most] : [most, now - DAY_MS],
      )
      const tickets = rows.map(fromRow)
      const ids = [...new Set(tickets.flatMap((t) => t.findings.slice(0, 20)))].slice(0, FINDINGS_MAX)
      const [findings, places, meta] = await Promise.all([
        ids.length === 0 ? [] : findingsById(pool, ids),
        pool.query<{ id: string; geometry: unknown; name: string | null }>(
          "SELECT id, geometry, properties->>'name' AS name FROM assets WHERE id = ANY($1)",
          [tickets.map((t) => t.scope.id)],
        ),
        pool.query<{ value: string }>("SELECT value FROM registry_meta WHERE key = 'name'"),
      ])
      const byId = new Map((findings as Finding[]).map((f) => [f.id, f]))
      const placeOf = new Map(places.rows.map((p): [string, Place] => [p.id, { geometry: p.geometry, name: p.name ?? '' }]))
      const utility = meta.rows[0]?.value ?? ''
      const outages = tickets.map((t) =>
        outageOf(
          t,
          t.findings.flatMap((id) => byId.get(id) ?? []),
          placeOf.get(t.scope.id),
          utility,
        ),
      )
      return { generatedTime: new Date(now).toISOString(), outages: outages as z.output<typeof Outage>[] }
    },
  )
}
