// Boards: one row a district, one row a feeder, with the figures that a shift compares.
import { z } from 'zod'
import type { Finding } from '#model/finding.ts'
import { DAY_MS, HOUR_MS, localDate, localDay, MINUTE_MS, toIso } from '#model/time.ts'
import { timeLiteral } from '#runtime/questdb.ts'
import type { ApiDeps, App } from '../app.ts'
import { registryMeta } from '../queries/assets.ts'
import { PROBLEMS } from './schemas.ts'

const figure = z.number().nullable()
/** Flow of the night: 02:00 to 04:00 local time, when legitimate use is least (IWA, Leakage Management Technologies). */
const NIGHT_HOURS = [2, 4] as const
/** EN 50160: 230 V ± 10 %. */
const VOLTAGE_LOW_V = 207
const VOLTAGE_HIGH_V = 253

export function boardsRoutes(app: App, deps: ApiDeps): void {
  dmaBoard(app, deps)
  feederBoard(app, deps)
}

/** Time zone of the utility. */
async function zoneOf(pool: ApiDeps['pool']): Promise<string> {
  const { timezone } = await registryMeta(pool)
  return timezone === '' ? 'UTC' : timezone
}

async function openFindings(pool: ApiDeps['pool'], kinds: readonly string[]): Promise<Finding[]> {
  const { rows } = await pool.query<{ body: Finding }>(
    'SELECT body FROM findings WHERE cleared_at IS NULL AND NOT withdrawn AND kind = ANY($1) LIMIT 20000',
    [kinds],
  )
  return rows.map((r) => r.body)
}

/** A figure of each zone by one statement; zones that have none are left out. */
async function byZone(questdb: ApiDeps['questdb'], sql: string): Promise<Map<string, (number | null)[]>> {
  const { dataset } = await questdb.exec(sql)
  return new Map(dataset.map(([zone, ...figures]) => [zone as string, figures as (number | null)[]]))
}

function dmaBoard(app: App, { pool, questdb, prefix, nowMs }: ApiDeps): void {
  app.get(
    '/v1/boards/dma',
    {
      schema: {
        tags: ['data'],
        summary: 'Districts: inlet, night flow, balance of yesterday, leakage, pressure',
        description:
          'inletM3h: mean net inflow of the last hour. nightM3h: mean of the last night, 02:00 to 04:00 local time; nightUsualM3h: median of the seven nights before. yesterday: inflow and metered consumption of the local day; balance = inflow − metered, a loss only where every customer has a meter (fullyMetered). leakM3h: sum of open findings. pressure: bar, last hour.',
        response: {
          200: z.object({
            at: z.string(),
            rows: z.array(
              z.object({
                id: z.string(),
                name: z.string(),
                fullyMetered: z.boolean(),
                inletM3h: figure,
                nightM3h: figure,
                nightUsualM3h: figure,
                yesterday: z.object({ date: z.string(), inflowM3: figure, meteredM3: figure, balanceM3: figure }),
                leakM3h: figure,
                pressureBar: z.object({ min: figure, avg: figure, max: figure, sensors: z.int() }),
                openFindings: z.int(),
              }),
            ),
          }),
          ...PROBLEMS,
        },
      },
    },
    async () => {
      const now = nowMs()
      const timezone = await zoneOf(pool)
      const today = localDay(timezone, now)
      const yesterday = localDay(timezone, today.startMs - HOUR_MS)
      const range = (fromMs: number, toMs: number) => `ts >= ${timeLiteral(fromMs)} AND ts < ${timeLiteral(toMs)}`
      const inflow = (fromMs: number, toMs: number) =>
        byZone(
          questdb,
          `SELECT device, avg(value) FROM '${prefix}readings' WHERE quantity = 'flow_m3h' AND quality = 'computed' AND ${range(fromMs, toMs)} GROUP BY device`,
        )
      const nightOf = (day: { startMs: number }) =>
        [day.startMs + NIGHT_HOURS[0] * HOUR_MS, day.startMs + NIGHT_HOURS[1] * HOUR_MS] as const
      const lastNight = now >= nightOf(today)[1] ? nightOf(today) : nightOf(yesterday)
      const nightsBefore = Array.from({ length: 7 }, (_, i) => [lastNight[0] - (i + 1) * DAY_MS, lastNight[1] - (i + 1) * DAY_MS] as const)
      const [districts, findings, hour, night, day, metered, pressure, ...before] = await Promise.all([
        pool.query<{ id: string; name: string | null; full: boolean | null }>(
          "SELECT id, properties->>'name' AS name, (properties->>'fully_metered')::boolean AS full FROM assets WHERE kind = 'dma' ORDER BY id",
        ),
        openFindings(pool, ['burst', 'leak', 'low_pressure', 'line_loss']),
        inflow(now - HOUR_MS, now + MINUTE_MS),
        inflow(...lastNight),
        inflow(yesterday.startMs, yesterday.endMs),
        meteredOf(localDate(timezone, yesterday.startMs)),
        byZone(
          questdb,
          `SELECT zone, min(value), avg(value), max(value), count_distinct(device) FROM '${prefix}readings'
           WHERE quantity = 'pressure_bar' AND quality <> 'suspect' AND ${range(now - HOUR_MS, now + MINUTE_MS)} GROUP BY zone`,
        ),
        ...nightsBefore.map((n) => inflow(...n)),
      ])
      const hours = (yesterday.endMs - yesterday.startMs) / HOUR_MS
      return {
        at: toIso(now),
        rows: districts.rows.map((d) => {
          const mine = findings.filter((f) => f.zone === d.id)
          const inflowM3 = times(day.get(d.id)?.[0], hours)
          const meteredM3 = metered.get(d.id) ?? null
          const [min = null, avg = null, max = null, sensors] = pressure.get(d.id) ?? []
          const usual = before.flatMap((n) => n.get(d.id)?.[0] ?? []).sort((a, b) => a - b)
          return {
            id: d.id,
            name: d.name ?? '',
            fullyMetered: d.full ?? false,
            inletM3h: hour.get(d.id)?.[0] ?? null,
            nightM3h: night.get(d.id)?.[0] ?? null,
            nightUsualM3h: usual.length < 3 ? null : (usual[Math.floor(usual.length / 2)] ?? null),
            yesterday: {
              date: yesterday.date,
              inflowM3,
              meteredM3,
              balanceM3: inflowM3 === null || meteredM3 === null ? null : inflowM3 - meteredM3,
            },
            leakM3h: mine.length === 0 ? 0 : mine.reduce((sum, f) => sum + (f.size?.flowM3h ?? 0), 0),
            pressureBar: { min, avg, max, sensors: sensors ?? 0 },
            openFindings: mine.length,
          }
        }),
      }
    },
  )

  async function meteredOf(date: string): Promise<Map<string, number>> {
    const { rows } = await pool.query<{ zone: string; m3: number }>(
      `SELECT zone, sum(value) AS m3 FROM (SELECT DISTINCT ON (meter, channel) zone, value FROM meter_days
         WHERE date = $1 AND quantity = 'water_volume_m3' ORDER BY meter, channel, rev DESC) newest GROUP BY zone`,
      [date],
    )
    return new Map(rows.map((r) => [r.zone, r.m3]))
  }
}

const times = (x: number | null | undefined, by: number): number | null => (x === null || x === undefined ? null : x * by)

function feederBoard(app: App, { pool, questdb, prefix, nowMs }: ApiDeps): void {
  app.get(
    '/v1/boards/feeder',
    {
      schema: {
        tags: ['data'],
        summary: 'Feeders: load against rating, voltage band, customers without supply',
        description:
          'loadKw: newest of the last two hours; ratingKva: sum of the transformers; peak: of the last 24 hours. voltage: of the last two hours, with the share outside 207 to 253 V (EN 50160). dark: customers without supply by open findings. SAIDI, SAIFI, CAIDI and MAIFI: GET /v1/reliability.',
        response: {
          200: z.object({
            at: z.string(),
            rows: z.array(
              z.object({
                id: z.string(),
                substation: z.string(),
                customers: z.int(),
                transformers: z.int(),
                ratingKva: figure,
                loadKw: figure,
                peakKw: figure,
                voltageV: z.object({ min: figure, avg: figure, max: figure, outsidePct: figure }),
                dark: z.int(),
                overloaded: z.int(),
                openFindings: z.int(),
              }),
            ),
          }),
          ...PROBLEMS,
        },
      },
    },
    async () => {
      const now = nowMs()
      const since = (ms: number) => `ts >= ${timeLiteral(now - ms)} AND ts <= ${timeLiteral(now + MINUTE_MS)}`
      const [feeders, findings, load, peak, voltage] = await Promise.all([
        pool.query<{ id: string; substation: string; customers: number; transformers: number; rating: number | null }>(
          `SELECT f.id, coalesce(f.properties->>'substation', '') AS substation, coalesce(c.n, 0) AS customers, coalesce(t.n, 0) AS transformers, t.rating
           FROM assets f
           LEFT JOIN (SELECT properties->>'feeder' AS feeder, count(*) AS n FROM assets WHERE kind = 'electric_meter' AND properties->>'role' = 'customer' GROUP BY 1) c ON c.feeder = f.id
           LEFT JOIN (SELECT properties->>'feeder' AS feeder, count(*) AS n, sum((properties->>'rating_kva')::float8) AS rating FROM assets WHERE kind = 'transformer' GROUP BY 1) t ON t.feeder = f.id
           WHERE f.kind = 'feeder' ORDER BY f.id`,
        ),
        openFindings(pool, ['outage', 'overload', 'line_loss', 'abnormal_usage']),
        byZone(
          questdb,
          `SELECT device, last(value) FROM '${prefix}readings' WHERE quantity = 'power_kw' AND ${since(2 * HOUR_MS)} GROUP BY device`,
        ),
        byZone(
          questdb,
          `SELECT device, max(value) FROM '${prefix}readings' WHERE quantity = 'power_kw' AND ${since(DAY_MS)} GROUP BY device`,
        ),
        byZone(
          questdb,
          `SELECT zone, min(value), avg(value), max(value), 100.0 * sum(CASE WHEN value < ${VOLTAGE_LOW_V} OR value > ${VOLTAGE_HIGH_V} THEN 1 ELSE 0 END) / count()
           FROM '${prefix}readings' WHERE quantity = 'voltage_v' AND quality <> 'suspect' AND ${since(2 * HOUR_MS)} GROUP BY zone`,
        ),
      ])
      return {
        at: toIso(now),
        rows: feeders.rows.map((f) => {
          const mine = findings.filter((x) => x.zone === f.id)
          const [min = null, avg = null, max = null, outsidePct = null] = voltage.get(f.id) ?? []
          const dark = new Set(mine.filter((x) => x.kind === 'outage').flatMap((x) => x.affected ?? []))
          return {
            id: f.id,
            substation: f.substation,
            customers: f.customers,
            transformers: f.transformers,
            ratingKva: f.rating,
            loadKw: load.get(f.id)?.[0] ?? null,
            peakKw: peak.get(f.id)?.[0] ?? null,
            voltageV: { min, avg, max, outsidePct },
            dark: dark.size,
            overloaded: mine.filter((x) => x.kind === 'overload').length,
            openFindings: mine.length,
          }
        }),
      }
    },
  )
}
