// Who exists: users with passwords, API keys of machines. Reads are cached for some seconds, so that a key costs no query a request;
// within this time a revoked one still works.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Pool } from '#runtime/postgres.ts'
import { hashPassword, isPassword } from './password.ts'
import type { Principal, Role } from './roles.ts'

const CACHED_MS = 10_000
/** Beyond it the oldest entry goes. */
const CACHE_MAX = 5_000
const LAST_USED_EVERY_MS = 60_000
/** Wrong passwords in a row after which a user has to wait, twice as long at each further one, at most an hour. */
const FAILURES_FREE = 5
const LOCK_S = 30
const LOCK_S_MAX = 3_600
/** Hashing costs 20 MiB and 20 ms: at most so many at once, others are refused. */
const HASHING_MAX = 4

export type SignIn = { principal: Principal } | { refused: 'wrong' | 'locked' | 'busy'; waitS?: number }

export interface User {
  name: string
  roles: readonly Role[]
  disabled: boolean
  lockedUntil: Date | null
  createdAt: Date
  lastUsed: Date | null
}

export interface ApiKey {
  id: string
  name: string
  roles: readonly Role[]
  createdAt: Date
  expiresAt: Date | null
  revokedAt: Date | null
  lastUsed: Date | null
}

const sha256 = (text: string) => createHash('sha256').update(text).digest()
const KEY = /^msk_([a-z0-9]{12})_([\w-]{43})$/

interface KeyRow {
  name: string
  secret: Buffer
  roles: Role[]
  expires_at: Date | null
  revoked_at: Date | null
}
interface Known<T> {
  value: T | undefined
  untilMs: number
}

export class Directory {
  readonly #pool: Pool
  readonly #keys = new Map<string, Known<KeyRow>>()
  readonly #users = new Map<string, Known<{ roles: Role[]; disabled: boolean; valid_from: Date }>>()
  readonly #used = new Map<string, number>()
  #hashing = 0
  #dummy: Promise<string> | undefined

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** The owner of an API key. Undefined: no such key, or expired, or revoked. */
  async byKey(token: string): Promise<Principal | undefined> {
    const [, id, secret] = KEY.exec(token) ?? []
    if (id === undefined || secret === undefined) return undefined
    const row = await this.#cached(this.#keys, id, async () => {
      const { rows } = await this.#pool.query<KeyRow>('SELECT name, secret, roles, expires_at, revoked_at FROM api_keys WHERE id = $1', [
        id,
      ])
      return rows[0]
    })
    if (row === undefined || row.revoked_at !== null || !timingSafeEqual(sha256(secret), row.secret)) return undefined
    if (row.expires_at !== null && row.expires_at.getTime() <= Date.now()) return undefined
    if (this.#isDue(`k${id}`)) await this.#pool.query('UPDATE api_keys SET last_used = now() WHERE id = $1', [id])
    return { name: `key:${row.name}`, roles: row.roles }
  }

  /** The user of a session opened at `openedMs`. Undefined when disabled, or changed since. */
  async bySession(name: string, openedMs: number): Promise<Principal | undefined> {
    const row = await this.#cached(this.#users, name, async () => {
      const { rows } = await this.#pool.query<{ roles: Role[]; disabled: boolean; valid_from: Date }>(
        'SELECT roles, disabled, valid_from FROM users WHERE name = $1',
        [name],
      )
      return rows[0]
    })
    if (row === undefined || row.disabled || row.valid_from.getTime() > openedMs) return undefined
    if (this.#isDue(`u${name}`)) await this.#pool.query('UPDATE users SET last_used = now() WHERE name = $1', [name])
    return { name, roles: row.roles }
  }

  /** Takes as long for a user that does not exist as for one that does. */
  async signIn(name: string, password: string): Promise<SignIn> {
    if (this.#hashing >= HASHING_MAX) return { refused: 'busy', waitS: 1 }
    this.#hashing += 1
    try {
      const { rows } = await this.#pool.query<{ password: string; roles: Role[]; disabled: boolean; wait_s: number }>(
        `SELECT password, roles, disabled, greatest(0, ceil(extract(epoch FROM locked_until - now())))::int AS wait_s FROM users WHERE name = $1`,
        [name],
      )
      const user = rows[0]
      if ((user?.wait_s ?? 0) > 0) return { refused: 'locked', waitS: user?.wait_s ?? 0 }
      this.#dummy ??= hashPassword(randomBytes(12).toString('hex'))
      const good = await isPassword(password, user?.password ?? (await this.#dummy))
      if (user !== undefined && good && !user.disabled) {
        await this.#pool.query('UPDATE users SET failures = 0, locked_until = NULL, last_used = now() WHERE name = $1', [name])
        return { principal: { name, roles: user.roles } }
      }
      if (user !== undefined && !good) await this.#failed(name)
      return { refused: 'wrong' }
    } finally {
      this.#hashing -= 1
    }
  }

  async #failed(name: string): Promise<void> {
    await this.#pool.query(
      `UPDATE users SET failures = failures + 1, locked_until = CASE WHEN failures + 1 < $2 THEN NULL
         ELSE now() + make_interval(secs => least($4, $3 * power(2, least(20, failures + 1 - $2)))) END WHERE name = $1`,
      [name, FAILURES_FREE, LOCK_S, LOCK_S_MAX],
    )
  }

  async users(): Promise<User[]> {
    const { rows } = await this.#pool.query<User>(
      `SELECT name, roles, disabled, locked_until AS "lockedUntil", created_at AS "createdAt", last_used AS "lastUsed" FROM users ORDER BY name LIMIT 1000`,
    )
    return rows
  }

  /** Creates or changes; what is left out stays. Open sessions end. False when there is no such user and no password to make one with. */
  async putUser(
    name: string,
    to: { password?: string | undefined; roles?: readonly Role[] | undefined; disabled?: boolean | undefined },
  ): Promise<boolean> {
    const password = to.password === undefined ? null : await hashPassword(to.password)
    const values = [name, password, to.roles ?? null, to.disabled ?? null]
    const sql =
      password === null
        ? `UPDATE users SET roles = coalesce($3, roles), disabled = coalesce($4, disabled), valid_from = now() WHERE name = $1 AND $2::text IS NULL`
        : `INSERT INTO users (name, password, roles, disabled) VALUES ($1, $2, coalesce($3, '{}'::text[]), coalesce($4, false))
           ON CONFLICT (name) DO UPDATE SET password = $2, roles = coalesce($3, users.roles), disabled = coalesce($4, users.disabled),
             failures = 0, locked_until = NULL, valid_from = now()`
    const { rowCount } = await this.#pool.query(sql, values)
    this.#users.delete(name)
    return rowCount === 1
  }

  async keys(): Promise<ApiKey[]> {
    const { rows } = await this.#pool.query<ApiKey>(
      `SELECT id, name, roles, created_at AS "createdAt", expires_at AS "expiresAt", revoked_at AS "revokedAt", last_used AS "lastUsed"
       FROM api_keys ORDER BY created_at DESC LIMIT 1000`,
    )
    return rows
  }

  /** The token is shown once: only its hash is kept. */
  async createKey(name: string, roles: readonly Role[], expiresMs: number | undefined): Promise<{ id: string; token: string }> {
    const id = [...randomBytes(12)].map((b) => 'abcdefghijklmnopqrstuvwxyz012345'[b % 32]).join('')
    const secret = randomBytes(32).toString('base64url')
    await this.#pool.query(
      'INSERT INTO api_keys (id, name, secret, roles, expires_at) VALUES ($1, $2, $3, $4, to_timestamp($5::float8 / 1000))',
      [...[id, name, sha256(secret), roles], expiresMs ?? null],
    )
    return { id, token: `msk_${id}_${secret}` }
  }

  /** A new secret in place of the old one, which stops working. Undefined when there is none that works. */
  async rotateKey(id: string): Promise<string | undefined> {
    const secret = randomBytes(32).toString('base64url')
    const { rowCount } = await this.#pool.query('UPDATE api_keys SET secret = $2 WHERE id = $1 AND revoked_at IS NULL', [
      id,
      sha256(secret),
    ])
    this.#keys.delete(id)
    return rowCount === 1 ? `msk_${id}_${secret}` : undefined
  }

  async revokeKey(id: string): Promise<boolean> {
    const { rowCount } = await this.#pool.query('UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1', [id])
    this.#keys.delete(id)
    return rowCount === 1
  }

  async #cached<T>(cache: Map<string, Known<T>>, key: string, read: () => Promise<T | undefined>): Promise<T | undefined> {
    const nowMs = Date.now()
    const known = cache.get(key)
    if (known !== undefined && known.untilMs > nowMs) return known.value
    const value = await read()
    cache.delete(key)
    cache.set(key, { value, untilMs: nowMs + CACHED_MS })
    if (cache.size > CACHE_MAX) cache.delete(cache.keys().next().value as string)
    return value
  }

  #isDue(key: string): boolean {
    const nowMs = Date.now()
    if (nowMs - (this.#used.get(key) ?? 0) < LAST_USED_EVERY_MS) return false
    this.#used.delete(key)
    this.#used.set(key, nowMs)
    if (this.#used.size > CACHE_MAX) this.#used.delete(this.#used.keys().next().value as string)
    return true
  }
}
