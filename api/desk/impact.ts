// Whom tickets concern: the accounts behind their meters, and what those need. `customer_type` of a meter in the registry says
// life_support, hospital or school; `life_support: true` is the same as the first. Segments are those of the accounts.
import type { TicketImpact } from '#model/desk.ts'
import { type Keyring, NO_KEYS } from '#runtime/personal.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { opened } from '../queries/personal.ts'
import { NOBODY, segmentOf } from './priority.ts'

export interface Concerned {
  impact: TicketImpact
  /** The one account concerned; '' for none or several. */
  account: string
}

const CARE = `CASE WHEN a.properties->>'life_support' = 'true' OR a.properties->>'customer_type' = 'life_support' THEN 'life_support'
  WHEN a.properties->>'customer_type' IN ('hospital', 'clinic', 'nursing_home') THEN 'hospital'
  WHEN a.properties->>'customer_type' IN ('school', 'kindergarten', 'university') THEN 'school' ELSE '' END`

/** By key, for lists of meters; one statement for all of them. Meters that the registry does not know count as nobody. */
export async function concernedBy(
  db: Queryable,
  lists: readonly { key: string; meters: readonly string[] }[],
): Promise<Map<string, Concerned>> {
  const out = new Map<string, Concerned>()
  if (lists.length === 0) return out
  const { rows } = await db.query<{
    key: string
    customers: number
    vulnerable: number
    large: number
    special: number
    life: number
    hospitals: number
    schools: number
    account: string | null
  }>(
    `SELECT key, count(DISTINCT customer) AS customers, count(DISTINCT customer) FILTER (WHERE segment = 'vulnerable') AS vulnerable,
       count(DISTINCT customer) FILTER (WHERE segment = 'large') AS large, count(DISTINCT customer) FILTER (WHERE segment = 'special') AS special,
       count(DISTINCT customer) FILTER (WHERE care = 'life_support') AS life, count(DISTINCT customer) FILTER (WHERE care = 'hospital') AS hospitals,
       count(DISTINCT customer) FILTER (WHERE care = 'school') AS schools, CASE WHEN count(DISTINCT account) = 1 THEN max(account) END AS account
     FROM (
       SELECT l.key, coalesce(c.account, a.id) AS customer, c.account, coalesce(p.segment, c.segment) AS segment, ${CARE} AS care
       FROM jsonb_to_recordset($1::jsonb) AS l(key text, meters text[]) CROSS JOIN LATERAL unnest(l.meters) m
       JOIN assets a ON a.id = m AND a.kind IN ('water_meter', 'electric_meter') LEFT JOIN accounts c ON c.account = a.properties->>'account'
         LEFT JOIN account_profiles p ON p.account = c.account
     ) x GROUP BY key`,
    [JSON.stringify(lists)],
  )
  for (const { key } of lists) out.set(key, { impact: NOBODY, account: '' })
  for (const r of rows) {
    const found = {
      customers: r.customers,
      vulnerable: r.vulnerable,
      large: r.large,
      special: r.special,
      lifeSupport: r.life,
      hospitals: r.hospitals,
      schools: r.schools,
      lossM3h: 0,
    }
    out.set(r.key, { impact: { ...found, segment: segmentOf(found) }, account: r.account ?? '' })
  }
  return out
}

/** Meters of an intent: those affected, else the one it is about. */
export function metersOfIntent(i: { affected: readonly string[]; scope: { type: string; id: string } }): readonly string[] {
  return i.affected.length > 0 ? i.affected : i.scope.type === 'meter' || i.scope.type === 'premise' ? [i.scope.id] : []
}

export interface CustomerRow {
  account: string
  meter: string
  segment: string
  care: string
  name: string
  phone: string
  email: string
  language: string
}

/** Customers behind meters, most protected first, with their personal data as it is stored: whoever shows it opens and masks it. */
export async function customersOf(
  db: Queryable,
  meters: readonly string[],
  page: { offset: number; limit: number },
  keyring: Keyring = NO_KEYS,
): Promise<CustomerRow[]> {
  const { rows } = await db.query<CustomerRow>(
    `SELECT coalesce(c.account, '') AS account, a.id AS meter, coalesce(p.segment, c.segment, '') AS segment, ${CARE} AS care, coalesce(c.name, '') AS name,
       coalesce(c.phone, '') AS phone, coalesce(c.email, '') AS email, coalesce(c.language, '') AS language
     FROM assets a LEFT JOIN accounts c ON c.account = a.properties->>'account' LEFT JOIN account_profiles p ON p.account = c.account
     WHERE a.id = ANY($1) AND a.kind IN ('water_meter', 'electric_meter')
     ORDER BY array_position(ARRAY['life_support', 'hospital', 'school', ''], ${CARE}), coalesce(p.segment, c.segment, '') <> 'vulnerable', a.id OFFSET $2 LIMIT $3`,
    [meters, page.offset, page.limit],
  )
  return rows.map((r) => opened(keyring, r))
}

/** `Anna Meier` as `A…`, `+41 79 123 45 67` as `…67`: enough to recognise, not to use. */
export function masked(row: CustomerRow): CustomerRow {
  const name = row.name === '' ? '' : `${[...row.name][0]}…`
  const phone = row.phone === '' ? '' : `…${row.phone.slice(-2)}`
  const email = row.email === '' ? '' : `${[...row.email][0]}…@…`
  return { ...row, name, phone, email }
}
