// Who gets a bill's basis: accounts with their meters, then meters without an account. In order of their names, a batch at a time.
import { SEGMENTS, type Segment } from '#model/asset.ts'
import type { Queryable } from '#runtime/postgres.ts'

export interface Unit {
  /** '' for a meter without an account. */
  account: string
  /** '' with an account. */
  meter: string
  meters: { id: string; multiplier: number }[]
  segment: Segment
  persons: number
  tariffs: { water: string; power: string }
}

export interface Units {
  units: Unit[]
  /** Key to go on after; undefined when there are no more. */
  last: string | undefined
}

const segmentOf = (text: string): Segment => ((SEGMENTS as readonly string[]).includes(text) ? (text as Segment) : 'general')
const multiplierOf = (value: unknown): number => (typeof value === 'number' && value > 0 ? value : 1)

/** Accounts after a name, with the customer meters that the registry gives them now. */
export async function accountUnits(db: Queryable, after: string, limit: number): Promise<Units> {
  const { rows } = await db.query<{
    account: string
    segment: string
    persons: number | null
    tariff_water: string
    tariff_power: string
    meters: { id: string; multiplier: unknown }[]
  }>(
    `SELECT c.account, coalesce(p.segment, c.segment) AS segment, p.persons, c.tariff_water, c.tariff_power,
       coalesce((SELECT json_agg(json_build_object('id', a.id, 'multiplier', a.properties->'multiplier') ORDER BY a.id) FROM assets a
         WHERE a.properties->>'account' = c.account AND (a.kind = 'water_meter' OR a.kind = 'electric_meter' AND a.properties->>'role' = 'customer')),
         '[]') AS meters
     FROM accounts c LEFT JOIN account_profiles p ON p.account = c.account
     WHERE c.account > $1 ORDER BY c.account LIMIT $2`,
    [after, limit],
  )
  return {
    last: rows.at(-1)?.account,
    units: rows.map((r) => ({
      account: r.account,
      meter: '',
      meters: r.meters.map((m) => ({ id: m.id, multiplier: multiplierOf(m.multiplier) })),
      segment: segmentOf(r.segment),
      persons: r.persons ?? 1,
      tariffs: { water: r.tariff_water, power: r.tariff_power },
    })),
  }
}

/**
 * Meters with days and no account, totalising ones left out. Meters are found by stepping through the index from one to the next: with
 * millions of days a DISTINCT would read them all.
 */
export async function meterUnits(db: Queryable, after: string, limit: number): Promise<Units> {
  const { rows } = await db.query<{ meter: string; multiplier: unknown; alone: boolean }>(
    `WITH RECURSIVE m AS (
       (SELECT meter, 1 AS n FROM meter_days WHERE meter > $1 ORDER BY meter LIMIT 1)
       UNION ALL
       SELECT (SELECT d.meter FROM meter_days d WHERE d.meter > m.meter ORDER BY d.meter LIMIT 1), n + 1 FROM m WHERE m.meter IS NOT NULL AND n < $2)
     SELECT m.meter, a.properties->'multiplier' AS multiplier,
       (a.id IS NULL OR a.kind = 'water_meter' OR a.kind = 'electric_meter' AND a.properties->>'role' = 'customer')
         AND NOT EXISTS (SELECT 1 FROM accounts c WHERE c.account = a.properties->>'account') AS alone
     FROM m LEFT JOIN assets a ON a.id = m.meter WHERE m.meter IS NOT NULL ORDER BY m.meter`,
    [after, limit * 10],
  )
  return {
    last: rows.at(-1)?.meter,
    units: rows
      .filter((r) => r.alone)
      .map((r) => ({
        account: '',
        meter: r.meter,
        meters: [{ id: r.meter, multiplier: multiplierOf(r.multiplier) }],
        segment: 'general',
        persons: 1,
        tariffs: { water: '', power: '' },
      })),
  }
}
