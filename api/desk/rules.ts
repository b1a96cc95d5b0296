// The settings in force. Read from PostgreSQL whenever tickets are changed, one row; kept for those who only look.
import type { Queryable } from '#runtime/postgres.ts'
import { DEFAULTS, DeskSettings } from './settings.ts'
import { type Pace, type Rules, rulesOf } from './sla.ts'

let current: Rules = rulesOf(DEFAULTS, 'UTC')
let version = -1
let timezone = 'UTC'

/** As last read by this process; the defaults before. */
export function currentRules(): Rules {
  return current
}

/** Reads them if they have changed. What cannot be read (a row written by a newer version) leaves those in force. */
export async function loadRules(db: Queryable): Promise<Rules> {
  const { rows } = await db.query<{ version: number; timezone: string | null }>(
    "SELECT version, (SELECT value FROM registry_meta WHERE key = 'timezone') AS timezone FROM desk_settings",
  )
  const now = { version: rows[0]?.version ?? 0, timezone: rows[0]?.timezone || 'UTC' }
  if (now.version === version && now.timezone === timezone) return current
  const body = (await db.query<{ body: unknown }>('SELECT body FROM desk_settings')).rows[0]?.body ?? {}
  const parsed = DeskSettings.safeParse(body)
  current = rulesOf(parsed.success ? parsed.data : current.settings, now.timezone)
  version = now.version
  timezone = now.timezone
  return current
}

/** Settings as they were given (defaults left out) and as they hold. */
export async function readSettings(db: Queryable): Promise<{ settings: DeskSettings; version: number; by: string; at: string | null }> {
  const { rows } = await db.query<{ version: number; who: string; at: Date | null }>('SELECT version, who, at FROM desk_settings')
  const { settings } = await loadRules(db)
  return { settings, version: rows[0]?.version ?? 0, by: rows[0]?.who ?? '', at: rows[0]?.at?.toISOString() ?? null }
}

/** Takes new settings, whole; the old ones are kept in the history. Open tickets get their new limits with their next change. */
export async function writeSettings(db: Queryable, settings: DeskSettings, who: string): Promise<void> {
  await db.query(
    'INSERT INTO desk_settings_history (version, body, who, at) SELECT version, body, who, at FROM desk_settings ON CONFLICT DO NOTHING',
  )
  await db.query('UPDATE desk_settings SET body = $1, who = $2, at = now(), version = version + 1', [JSON.stringify(settings), who])
  await loadRules(db)
}

/** Usual times of tickets by `class priority`, as last computed by this process; none before. */
let paces: ReadonlyMap<string, Pace> = new Map()

export function setPaces(fresh: ReadonlyMap<string, Pace>): void {
  paces = fresh
}

export function currentPace(t: { class: string; priority: number }): Pace {
  return paces.get(`${t.class} ${t.priority}`) ?? {}
}
