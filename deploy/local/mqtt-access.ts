// Who may do what at the broker: password file and access list of mosquitto, made from the registry. A gateway's user has its id and
// may write below its own id only; a crew's writes its own positions; our services have one user, which may do everything.
import { createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Unprivileged } from './spec.ts'

/** User of ingest, simulators and commands. Not a possible id of a gateway: a colon ends the name in the password file. */
export const SERVICE_USER = 'meterstream'
/** What mosquitto 2 itself uses for `$7$` entries. */
const ITERATIONS = 101
const SALT_BYTES = 12
const HASH_BYTES = 64

export interface Writer {
  id: string
  /** Topic filters that it may write, besides those of every gateway. */
  topics: readonly string[]
}

export interface Access {
  gateways: readonly Writer[]
}

/** Why this id cannot be a user of the broker, or undefined. Such a gateway needs another id, or a network server that speaks for it. */
export function userProblem(id: string): string | undefined {
  if (id === SERVICE_USER) return 'is the name of our own services'
  // %u in a pattern: the broker refuses users with wildcards, and a slash would open the topics of others.
  if (/[+#/:]/.test(id)) return 'has a character that the broker does not allow in user names of patterns: + # / :'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return /[\u0000-\u001f\u007f]/.test(id) || id !== id.trim() ? 'has control characters or blanks at its ends' : undefined
}

/** A gateway's password follows from the utility's secret: it can be made again at any time, and is stored nowhere. 192 bits. */
export function gatewayPassword(secret: string, id: string): string {
  return createHmac('sha256', secret).update(`gateway\n${id}`).digest().subarray(0, 24).toString('base64url')
}

/** A line of mosquitto's password file: PBKDF2 with SHA-512. */
export function passwordLine(user: string, password: string, salt: Uint8Array = randomBytes(SALT_BYTES)): string {
  const hashed = pbkdf2Sync(password, salt, ITERATIONS, HASH_BYTES, 'sha512')
  return `${user}:$7$${ITERATIONS}$${Buffer.from(salt).toString('base64')}$${hashed.toString('base64')}`
}

/** The access list. Patterns hold for every user, `user` sections for one. */
export function accessList({ gateways }: Access): string {
  const lines = [
    '# Every gateway: below its own id only. Crews: their own positions.',
    'pattern write telemetry/v1/%u/readings',
    'pattern write telemetry/v1/%u/status',
    'pattern write crews/%u',
    'pattern write owntracks/%u/#',
    '',
    `user ${SERVICE_USER}`,
    // A wildcard at the beginning leaves out topics that begin with $.
    'topic readwrite #',
    'topic readwrite $aws/#',
    'topic readwrite $iothub/#',
  ]
  for (const { id, topics } of gateways) {
    if (topics.length === 0) continue
    lines.push('', `user ${id}`, ...topics.map((t) => `topic write ${t}`))
  }
  return `${lines.join('\n')}\n`
}

export interface AccessFiles {
  passwords: string
  access: string
  /** Password of our services, for the environment; readable by the owner only. */
  service: string
}

export function accessFiles(dir: string): AccessFiles {
  return { passwords: join(dir, 'passwords'), access: join(dir, 'access'), service: join(dir, 'service-password') }
}

/** The password of our services in this folder: made once, kept. */
export function servicePassword(dir: string): string {
  const { service } = accessFiles(dir)
  if (existsSync(service)) return readFileSync(service, 'utf8').trim()
  mkdirSync(dir, { recursive: true })
  const password = randomBytes(24).toString('base64url')
  writeFileSync(service, `${password}\n`, { mode: 0o600 })
  return password
}

/** Writes both files, each in one step: the broker never reads half of one. It reads them again at SIGHUP. */
export function writeAccess(
  dir: string,
  users: readonly { user: string; password: string }[],
  access: Access,
  as: Unprivileged | undefined,
): void {
  const files = accessFiles(dir)
  const lines = [{ user: SERVICE_USER, password: servicePassword(dir) }, ...users].map(({ user, password }) => passwordLine(user, password))
  for (const [path, text] of [
    [files.passwords, `${lines.join('\n')}\n`],
    [files.access, accessList(access)],
  ] as const) {
    const next = `${path}.next`
    writeFileSync(next, text, { mode: 0o600 })
    chmodSync(next, 0o600)
    if (as !== undefined) chownSync(next, as.uid, as.gid)
    renameSync(next, path)
  }
}
