// PostgreSQL as rows of JSON, of one moment: a logical backup that any version reads. Needs no program beside the server.
import { join } from 'node:path'
import { type Pool, type PoolClient, tx } from '#runtime/postgres.ts'
import { grouped, openLines, readLines } from './files.ts'

/** Our bookkeeping of migrations is made by migrating. */
const LEFT_OUT = ['schema_migrations']
const FETCH = 200
const INSERT_MOST = 500
const INSERT_BYTES = 8 * 1024 * 1024

export interface TableDump {
  table: string
  rows: number
}

const name = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`

async function tables(client: PoolClient): Promise<string[]> {
  const { rows } = await client.query<{ t: string }>(
    `SELECT relname AS t FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1`,
  )
  return rows.map((r) => r.t).filter((t) => !LEFT_OUT.includes(t))
}

/** Within the transaction of `client`: all tables of the same moment. */
export async function dumpTables(client: PoolClient, dir: string): Promise<TableDump[]> {
  const dumps: TableDump[] = []
  for (const table of await tables(client)) {
    const out = openLines(join(dir, `${table}.ndjson.gz`))
    let rows = 0
    await client.query(`DECLARE dump NO SCROLL CURSOR FOR SELECT to_jsonb(t) AS row FROM ${name(table)} t`)
    for (;;) {
      const page = await client.query<{ row: unknown }>(`FETCH ${FETCH} FROM dump`)
      for (const { row } of page.rows) await out.write(row)
      rows += page.rows.length
      if (page.rows.length < FETCH) break
    }
    await client.query('CLOSE dump')
    await out.close()
    dumps.push({ table, rows })
  }
  return dumps
}

/** Tables in an order in which what is referred to comes first. @throws Error for a circle */
async function inOrder(client: PoolClient, names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ child: string; parent: string }>(
    `SELECT c.relname AS child, p.relname AS parent FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
     WHERE k.contype = 'f' AND c.oid <> p.oid`,
  )
  const waiting = new Set(names)
  const ordered: string[] = []
  while (waiting.size > 0) {
    const free = [...waiting].filter((t) => !rows.some((r) => r.child === t && waiting.has(r.parent)))
    if (free.length === 0) throw new Error(`tables refer to each other in a circle: ${[...waiting].join(', ')}`)
    for (const t of free) {
      ordered.push(t)
      waiting.delete(t)
    }
  }
  return ordered
}

async function columns(client: PoolClient, table: string): Promise<string[]> {
  const { rows } = await client.query<{ c: string }>(
    `SELECT attname AS c FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
    [name(table)],
  )
  return rows.map((r) => r.c)
}

/** Fills empty tables, all or none. @throws Error when one of them has rows that no migration put there, or a row does not fit. */
export async function loadTables(pool: Pool, dir: string, dumps: readonly TableDump[]): Promise<void> {
  await tx(pool, async (client) => {
    await client.query('SET LOCAL statement_timeout = 0')
    const order = await inOrder(
      client,
      dumps.map((d) => d.table),
    )
    // What migrations put in goes, the children first; then what was saved comes in its place.
    for (const table of [...order].reverse()) {
      await client.query(`ALTER TABLE ${name(table)} DISABLE TRIGGER USER`)
      await client.query(`DELETE FROM ${name(table)}`)
    }
    for (const table of order) {
      const list = (await columns(client, table)).map(name).join(', ')
      const sql = `INSERT INTO ${name(table)} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM jsonb_populate_recordset(NULL::${name(table)}, $1::jsonb)`
      const rows = readLines<unknown>(join(dir, `${table}.ndjson.gz`))
      for await (const group of grouped(rows, INSERT_MOST, (r) => JSON.stringify(r).length, INSERT_BYTES))
        await client.query(sql, [JSON.stringify(group)])
      await client.query(`ALTER TABLE ${name(table)} ENABLE TRIGGER USER`)
    }
    await sequences(client)
  })
}

/** The next number of every sequence comes after the greatest that is there. */
async function sequences(client: PoolClient): Promise<void> {
  const { rows } = await client.query<{ t: string; c: string; s: string }>(
    `SELECT c.relname AS t, a.attname AS c, pg_get_serial_sequence(quote_ident(c.relname), a.attname) AS s
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND pg_get_serial_sequence(quote_ident(c.relname), a.attname) IS NOT NULL`,
  )
  for (const { t, c, s } of rows)
    await client.query(
      `SELECT setval($1::regclass, greatest((SELECT max(${name(c)}) FROM ${name(t)}), (SELECT last_value FROM ${s})), true) WHERE EXISTS (SELECT 1 FROM ${name(t)})`,
      [s],
    )
}
