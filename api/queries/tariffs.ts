// Tariffs in PostgreSQL. What is stored may be wrong (an import): only what parses is priced.

import { type Pool, type Queryable, tx } from '#runtime/postgres.ts'
import { parseTariff, type Tariff, type TariffInput } from '#tariff/tariff.ts'

export interface StoredTariff {
  code: string
  commodity: string
  revision: number
  updatedAt: string
  updatedBy: string
  body: unknown
}

interface Row {
  code: string
  commodity: string
  revision: number
  updated_at: Date
  updated_by: string
  body: unknown
}

const stored = (r: Row): StoredTariff => ({
  code: r.code,
  commodity: r.commodity,
  revision: r.revision,
  updatedAt: r.updated_at.toISOString(),
  updatedBy: r.updated_by,
  body: r.body,
})

/** In order of codes; at most 1,000. */
export async function listTariffs(db: Queryable): Promise<StoredTariff[]> {
  const { rows } = await db.query<Row>(
    'SELECT code, commodity, revision, updated_at, updated_by, body FROM tariffs ORDER BY code LIMIT 1000',
  )
  return rows.map(stored)
}

export async function getTariff(db: Queryable, code: string): Promise<StoredTariff | undefined> {
  const { rows } = await db.query<Row>('SELECT code, commodity, revision, updated_at, updated_by, body FROM tariffs WHERE code = $1', [
    code,
  ])
  return rows[0] === undefined ? undefined : stored(rows[0])
}

/** Only those that are valid: the others cannot price anything. */
export async function validTariffs(db: Queryable, codes?: readonly string[]): Promise<Map<string, Tariff>> {
  const { rows } = await db.query<{ body: unknown }>(
    'SELECT body FROM tariffs WHERE valid AND ($1::text[] IS NULL OR code = ANY($1)) ORDER BY code LIMIT 1000',
    [codes ?? null],
  )
  const out = new Map<string, Tariff>()
  for (const { body } of rows) {
    const parsed = parseTariff(body)
    if (parsed.ok) out.set(parsed.tariff.code, parsed.tariff)
  }
  return out
}

/** Replaces a tariff and keeps what it was. `check` sees the stored one and may throw. Returns the new revision. */
export async function putTariff(
  pool: Pool,
  input: { tariff: Tariff; body: TariffInput; who: string },
  check: (before: StoredTariff | undefined) => void,
): Promise<number> {
  const { tariff, body, who } = input
  return tx(pool, async (client) => {
    // Two writers of one code take turns.
    await client.query('SELECT pg_advisory_xact_lock(hashtext($1))', [`tariff ${tariff.code}`])
    check(await getTariff(client, tariff.code))
    const { rows } = await client.query<{ revision: number }>(
      `INSERT INTO tariffs (code, commodity, body, valid, updated_by) VALUES ($1, $2, $3, true, $4)
       ON CONFLICT (code) DO UPDATE SET commodity = excluded.commodity, body = excluded.body, valid = true,
         revision = tariffs.revision + 1, updated_at = now(), updated_by = excluded.updated_by
       RETURNING revision`,
      [tariff.code, tariff.commodity, JSON.stringify(body), who],
    )
    const revision = rows[0]?.revision ?? 1
    await client.query('INSERT INTO tariff_changes (code, revision, body, updated_by) VALUES ($1, $2, $3, $4)', [
      tariff.code,
      revision,
      JSON.stringify(body),
      who,
    ])
    return revision
  })
}
