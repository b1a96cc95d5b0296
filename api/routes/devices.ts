import { z } from 'zod'
import { AssetFeature } from '#model/asset.ts'
import { DAY_MS, toIso } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { putAsset, wrongReferences } from '../queries/assets.ts'
import { readCursor, writeCursor } from '../queries/cursor.ts'
import { Id, limit, Time } from '../queries/params.ts'
import { claimDevice, claimSettled, wakeIngest } from '../queries/releases.ts'
import { listUnclaimed, type Unclaimed } from '../queries/unclaimed.ts'
import { PROBLEMS } from './schemas.ts'

const KINDS = ['water_meter', 'electric_meter', 'flow_meter', 'pressure_sensor', 'level_sensor', 'pump_sensor'] as const

const Device = z.object({
  id: z.string(),
  gateway: z.string(),
  gateways: z.array(z.string()),
  formats: z.array(z.string()),
  count: z.int(),
  firstSeen: z.string(),
  lastSeen: z.string(),
  values: z.array(z.object({ quantity: z.string(), value: z.number(), ts: z.string().nullable(), channel: z.string() })),
  signalDbm: z.number().nullable(),
})

const Claim = z
  .looseObject({
    kind: z.enum(KINDS),
    gateway: Id.optional().describe('Gateway it is registered under; left out, the one that heard it last'),
    zone: Id.optional().describe('District (dma) of a water device, feeder of an electric meter'),
    position: z
      .tuple([z.number().min(-180).max(180), z.number().min(-90).max(90)])
      .optional()
      .describe('Longitude and latitude'),
    registerGateway: z.boolean().default(false).describe('Also registers the gateway when nobody knows it'),
  })
  .describe('Everything else is a property of the asset as its kind has it: node, link, transformer, account, digits, multiplier …')
type Claim = z.infer<typeof Claim>

const view = ({ firstSeenMs, lastSeenMs, values, ...d }: Unclaimed) => ({
  ...d,
  firstSeen: toIso(firstSeenMs),
  lastSeen: toIso(lastSeenMs),
  values: values.map(({ tsMs, ...v }) => ({ ...v, ts: tsMs === null ? null : toIso(tsMs) })),
})

export function devicesRoutes(app: App, deps: ApiDeps): void {
  const { pool } = deps
  app.get(
    '/v1/devices/unclaimed',
    {
      schema: {
        tags: ['registry'],
        summary: 'Devices that report and that the registry does not know, last seen first',
        description:
          'From the open entries of quarantine: by which gateways each was heard, how often, its newest values and signal. from: of the last 7 days when left out.',
        querystring: z.object({
          from: Time.optional(),
          gateway: Id.optional(),
          cursor: z.string().max(1500).optional(),
          limit: limit(500, 100),
        }),
        response: { 200: z.object({ devices: z.array(Device), next: z.string().nullable() }), ...PROBLEMS },
      },
    },
    async ({ query: { from, gateway, cursor, limit: most } }) => {
      const [lastSeenMs, id] = cursor === undefined ? [] : readCursor('unclaimed', cursor)
      if (cursor !== undefined && (typeof lastSeenMs !== 'number' || typeof id !== 'string'))
        throw new Problem(400, 'not_valid', 'cursor: not one that this list has given out')
      const before = typeof lastSeenMs === 'number' && typeof id === 'string' ? { lastSeenMs, id } : undefined
      const found = await listUnclaimed(pool, { fromMs: from ?? deps.nowMs() - 7 * DAY_MS, gateway, before, limit: most })
      const shown = found.slice(0, most)
      const last = shown.at(-1)
      return {
        devices: shown.map(view),
        next: found.length > most && last !== undefined ? writeCursor('unclaimed', last.lastSeenMs, last.id) : null,
      }
    },
  )

  app.post(
    '/v1/devices/unclaimed/:id/claim',
    {
      schema: {
        tags: ['registry'],
        summary: 'Registers a device that reports already, and releases what it has sent',
        description:
          'Its quarantined readings are sent again in order of receipt, with the times they had and the flag `released`; ingest and validation see to it that each is stored once, however often this is repeated. Ingest does it within seconds: `waiting` says how many entries are still to come; repeat the request to see how far it is. Entries that came through another gateway than the registered one stay in quarantine (`refused`).',
        params: z.object({ id: Id }),
        body: Claim,
        response: {
          200: z.object({
            id: z.string(),
            result: z.enum(['created', 'changed', 'same']),
            released: z.int(),
            waiting: z.int(),
            refused: z.int(),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ params: { id }, body, who }) => {
      const gateway = body.gateway ?? (await heardBy(deps, id))
      const feature = featureOf(id, body, gateway)
      if (body.registerGateway) await registerGateway(deps, gateway)
      const errors = await wrongReferences(pool, feature.properties)
      if (errors.length > 0)
        throw new Problem(422, 'unknown_reference', errors.map((e) => `${e.field}: ${e.message}`).join('; '), { errors })
      // The claim comes first: killed in between, the repetition finds everything as it was.
      await claimDevice(pool, id, who)
      const result = await putAsset(pool, feature)
      await wakeIngest(pool)
      return { id, result, ...(await claimSettled(pool, id)) }
    },
  )
}

async function heardBy({ pool }: ApiDeps, id: string): Promise<string> {
  const [found] = await listUnclaimed(pool, { fromMs: 0, id, limit: 1 })
  if (found !== undefined && found.gateway !== '') return found.gateway
  const { rows } = await pool.query<{ gateway: string | null }>("SELECT properties->>'gateway' AS gateway FROM assets WHERE id = $1", [id])
  const registered = rows[0]?.gateway
  if (typeof registered === 'string') return registered
  throw new Problem(422, 'gateway_missing', 'gateway: nobody knows by which gateway this device reports, so it must be given')
}

async function registerGateway({ pool }: ApiDeps, id: string): Promise<void> {
  const { rowCount } = await pool.query('SELECT 1 FROM assets WHERE id = $1', [id])
  if (rowCount === 0) await putAsset(pool, { type: 'Feature', geometry: null, properties: { id, kind: 'gateway', zone: undefined } })
}

/** @throws Problem 422 naming the property that its kind needs. */
function featureOf(id: string, claim: Claim, gateway: string): AssetFeature {
  const { kind, zone, position, registerGateway: _, ...more } = claim
  const place = zone === undefined ? {} : kind === 'electric_meter' ? { feeder: zone } : kind === 'flow_meter' ? {} : { dma: zone }
  const usual =
    kind === 'electric_meter'
      ? { role: 'customer' }
      : kind === 'flow_meter'
        ? { flows: zone === undefined ? [] : [{ dma: zone, sign: 1 }] }
        : {}
  const parsed = AssetFeature.safeParse({
    type: 'Feature',
    geometry: position === undefined ? null : { type: 'Point', coordinates: position },
    properties: { ...usual, ...place, ...more, id, kind, gateway },
  })
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.map((i) => ({ field: i.path.slice(1).join('.') || 'body', message: i.message }))
  throw new Problem(422, 'not_valid', errors.map((e) => `${e.field}: ${e.message}`).join('; '), { errors })
}
