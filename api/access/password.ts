// Passwords as argon2id (RFC 9106) in the PHC string format, by Node's own crypto.
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(argon2)
/** OWASP's least recommended setting: 19 MiB, 2 passes, 1 lane. */
const MEMORY_KIB = 19_456
const PASSES = 2
const SALT_BYTES = 16
const HASH_BYTES = 32

const base64 = (b: Buffer) => b.toString('base64').replace(/=+$/, '')

async function hashOf(password: string, p: { salt: Buffer; memory: number; passes: number; bytes: number }): Promise<Buffer> {
  const message = password.normalize('NFKC')
  return derive('argon2id', { message, nonce: p.salt, parallelism: 1, tagLength: p.bytes, memory: p.memory, passes: p.passes })
}

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await hashOf(password, { salt, memory: MEMORY_KIB, passes: PASSES, bytes: HASH_BYTES })
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${base64(salt)}$${base64(hash)}`
}

/** False also for a string that is no argon2id hash of ours. */
export async function isPassword(password: string, stored: string): Promise<boolean> {
  const m = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=1\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(stored)
  if (m === null) return false
  const expected = Buffer.from(m[4] as string, 'base64')
  const salt = Buffer.from(m[3] as string, 'base64')
  const hash = await hashOf(password, { salt, memory: Number(m[1]), passes: Number(m[2]), bytes: expected.length })
  return hash.length === expected.length && timingSafeEqual(hash, expected)
}
