// The last weeks again, step by step: values, findings and alarms as known then or as corrected now.
import { z } from 'zod'
import type { Finding } from '#model/finding.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, toIso } from '#model/time.ts'
import { timeLiteral } from '#runtime/questdb.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { Time } from '../queries/params.ts'
import { framesOf, type Row } from '../room/frames.ts'
import { PROBLEMS } from './schemas.ts'

const BACK_MS = 30 * DAY_MS
const FRAMES_MAX = 300
/** Rows of one request; a larger utility asks for shorter stretches. */
const ROWS_MAX = 400_000
/** What the map shows moves in these; customer meters are not on it. */
const SHOWN = ['pressure_bar', 'flow_m3h', 'level_m', 'power_kw', 'pump_running', 'valve_open_pct']
/** A value older than this at the beginning of a stretch is shown as none. */
const BEFORE_MS = HOUR_MS
/** Readings come at most so late to be "known" within a stretch; later ones are found when it is asked for as corrected. */
const LATE_MS = 6 * HOUR_MS

export function playbackRoutes(app: App, { pool, questdb, prefix, nowMs }: ApiDeps): void {
  app.get(
    '/v1/playback',
    {
      schema: {
        tags: ['live'],
        summary: 'The map at each step of a stretch of the last 30 days',
        description:
          'Values of what the map shows, and every revision of findings that matters to the stretch. mode=known: as the control room knew it then; mode=corrected: with what came late and with findings as they stand now. The first frame holds everything, the others what changed. At most 300 frames.',
        querystring: z.object({
          from: Time,
          to: Time,
          step: z.coerce.number().int().min(10).max(86_400).default(300).describe('Seconds of a frame'),
          mode: z.enum(['known', 'corrected']).default('known'),
        }),
        response: {
          200: z.object({
            mode: z.enum(['known', 'corrected']),
            times: z.array(z.number()),
            series: z.array(z.tuple([z.string(), z.string(), z.string()])),
            changes: z.array(z.array(z.tuple([z.number(), z.number(), z.number(), z.string()]))),
            findings: z.array(z.object({ shownMs: z.number(), finding: z.looseObject({ id: z.string() }) })),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query }) => {
      const stepMs = query.step * SECOND_MS
      const oldest = nowMs() - BACK_MS - HOUR_MS
      if (query.from < oldest) throw new Problem(400, 'too_old', `from: playback goes back 30 days, to ${toIso(oldest)}`)
      if (query.to < query.from || (query.to - query.from) / stepMs > FRAMES_MAX)
        throw new Problem(400, 'not_valid', `from, to, step: at most ${FRAMES_MAX} steps, forwards`)
      const ask = { fromMs: query.from, toMs: query.to, stepMs, mode: query.mode }
      const [rows, findings] = await Promise.all([valuesOf(query.from, query.to), findingsOf(ask)])
      return { mode: query.mode, ...framesOf(rows, ask), findings }
    },
  )

  async function valuesOf(fromMs: number, toMs: number): Promise<Row[]> {
    const { dataset } = await questdb.exec(
      `SELECT device, quantity, channel, cast(ts as long), cast(received_at as long), value, quality FROM '${prefix}readings'
       WHERE ts >= ${timeLiteral(fromMs - BEFORE_MS - LATE_MS)} AND ts <= ${timeLiteral(toMs)}
       AND quantity IN (${SHOWN.map((q) => `'${q}'`).join(', ')}) AND quality <> 'suspect' LIMIT ${ROWS_MAX + 1}`,
    )
    if (dataset.length > ROWS_MAX) throw new Problem(400, 'too_much', `more than ${ROWS_MAX} values; ask for a shorter stretch`)
    return dataset
      .map(
        ([device, quantity, channel, ts, received, value, quality]): Row => ({
          asset: device as string,
          quantity: quantity as string,
          channel: (channel as string | null) ?? '',
          tsMs: Math.floor((ts as number) / 1000),
          // Computed values are known when they are computed: at their own time.
          receivedMs: received === null ? Math.floor((ts as number) / 1000) : Math.floor((received as number) / 1000),
          value: value as number,
          quality: quality as string,
        }),
      )
      .filter((r) => r.receivedMs >= fromMs - BEFORE_MS - MINUTE_MS || r.tsMs >= fromMs - BEFORE_MS)
  }

  /** As known: each revision when it was made. As corrected: the newest revision of each, from its onset. */
  async function findingsOf({ fromMs, toMs, mode }: { fromMs: number; toMs: number; mode: 'known' | 'corrected' }) {
    const range = [fromMs, toMs]
    if (mode === 'corrected') {
      const { rows } = await pool.query<{ body: Finding }>(
        `SELECT body FROM findings WHERE NOT withdrawn AND started_at <= to_timestamp($2::float8 / 1000)
         AND (cleared_at IS NULL OR cleared_at >= to_timestamp($1::float8 / 1000)) ORDER BY started_at LIMIT 20000`,
        range,
      )
      return rows.map((r) => ({ shownMs: Date.parse(r.body.startedAt), finding: r.body as Finding & Record<string, unknown> }))
    }
    const { rows } = await pool.query<{ body: Finding }>(
      `(SELECT DISTINCT ON (id) body, updated_at FROM finding_history
        WHERE updated_at <= to_timestamp($1::float8 / 1000) AND updated_at > to_timestamp($1::float8 / 1000) - interval '60 days' ORDER BY id, rev DESC)
       UNION ALL (SELECT body, updated_at FROM finding_history WHERE updated_at > to_timestamp($1::float8 / 1000) AND updated_at <= to_timestamp($2::float8 / 1000))
       ORDER BY updated_at LIMIT 40000`,
      range,
    )
    return rows
      .map((r) => ({ shownMs: Date.parse(r.body.updatedAt), finding: r.body as Finding & Record<string, unknown> }))
      .filter((f) => f.shownMs > fromMs || (f.finding.clearedAt === null && f.finding.withdrawn !== true))
  }
}
