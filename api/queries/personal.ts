// Personal data of an account: shown, sealed, erased in one place.

import { type Keyring, personalField } from '#runtime/personal.ts'
import type { Queryable } from '#runtime/postgres.ts'

export const PERSONAL_COLUMNS = ['name', 'phone', 'email'] as const
export type PersonalColumn = (typeof PERSONAL_COLUMNS)[number]
export type Personal = Record<PersonalColumn, string>

/** A row as stored -> as a person may read it. */
export function opened<R extends Personal & { account: string }>(keyring: Keyring, row: R): R {
  const copy = { ...row }
  for (const c of PERSONAL_COLUMNS) copy[c] = keyring.open(row[c], personalField(row.account, c)) as R[PersonalColumn]
  return copy
}

export function sealed<R extends Personal & { account: string }>(keyring: Keyring, row: R): R {
  const copy = { ...row }
  for (const c of PERSONAL_COLUMNS) copy[c] = keyring.seal(row[c], personalField(row.account, c)) as R[PersonalColumn]
  return copy
}

export async function personalOf(db: Queryable, keyring: Keyring, account: string): Promise<Personal | undefined> {
  const { rows } = await db.query<Personal & { account: string }>('SELECT account, name, phone, email FROM accounts WHERE account = $1', [
    account,
  ])
  if (rows[0] === undefined) return undefined
  const { name, phone, email } = opened(keyring, rows[0])
  return { name, phone, email }
}

/** Account, meters and consumption stay: billing and the network need them, and they name nobody. */
export async function erasePersonal(db: Queryable, account: string): Promise<boolean> {
  const { rowCount } = await db.query("UPDATE accounts SET name = '', phone = '', email = '' WHERE account = $1", [account])
  return rowCount === 1
}

const PAGE = 1_000

/** Seals what is not sealed, or with an older key. Returns how many accounts were written. Can be stopped and run again. */
export async function resealAll(db: Queryable, keyring: Keyring): Promise<number> {
  let after = ''
  let written = 0
  for (;;) {
    const { rows } = await db.query<Personal & { account: string }>(
      'SELECT account, name, phone, email FROM accounts WHERE account > $1 ORDER BY account LIMIT $2',
      [after, PAGE],
    )
    for (const row of rows) {
      if (!PERSONAL_COLUMNS.some((c) => keyring.isStale(row[c]))) continue
      const now = sealed(keyring, opened(keyring, row))
      // Only over what was read: an import may have come between.
      const { rowCount } = await db.query(
        'UPDATE accounts SET name = $2, phone = $3, email = $4 WHERE account = $1 AND name = $5 AND phone = $6 AND email = $7',
        [row.account, now.name, now.phone, now.email, row.name, row.phone, row.email],
      )
      written += rowCount ?? 0
    }
    if (rows.length < PAGE) return written
    after = rows.at(-1)?.account ?? after
  }
}
