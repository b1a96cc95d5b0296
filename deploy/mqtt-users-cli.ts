// npm run -s mqtt-users: users of the broker from the registry. Writes mosquitto's password file and access list, and tells a running
// local broker to read them again. With --show ID it prints what one gateway is to be configured with.
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readConfig } from '#runtime/config.ts'
import { createLog } from '#runtime/log.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'
import { parseSettings, type Settings } from '../ingest/settings.ts'
import { unprivilegedUser } from './local/install.ts'
import { gatewayPassword, userProblem, type Writer, writeAccess } from './local/mqtt-access.ts'
import { fallbackDir, ROOT } from './local/paths.ts'
import { readPidFile } from './local/process.ts'

const USAGE = `usage: npm run -s mqtt-users -- [--dir DIR] [--show ID]
  METERSTREAM_GATEWAY_SECRET   the secret that passwords follow from (at least 32 characters)
  --dir DIR   where to write passwords and access; left out, the folder of the local broker, which then reads them again
  --show ID   prints user and password of one gateway or crew, and writes nothing`
const SECRET_LENGTH_MIN = 32

/** Gateways and crews, with the topics that settings give to each. Ids that cannot be users are told and left out. */
export function writersOf(ids: readonly string[], settings: Settings): { writers: Writer[]; problems: { id: string; problem: string }[] } {
  const own = new Map<string, string[]>()
  for (const s of settings.sources) if (s.gateway !== undefined) own.set(s.gateway, [...(own.get(s.gateway) ?? []), s.topic])
  const writers: Writer[] = []
  const problems: { id: string; problem: string }[] = []
  for (const id of [...new Set([...ids, ...own.keys()])].sort()) {
    const problem = userProblem(id)
    if (problem === undefined) writers.push({ id, topics: own.get(id) ?? [] })
    else problems.push({ id, problem })
  }
  return { writers, problems }
}

async function idsInRegistry(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `SELECT id FROM assets WHERE kind IN ('gateway', 'crew') UNION SELECT DISTINCT properties->>'gateway' FROM assets WHERE properties->>'gateway' <> ''`,
  )
  return rows.map((r) => r.id)
}

function localBroker(dataDir: string): string | undefined {
  return [join(dataDir, 'mqtt'), join(fallbackDir(dataDir), 'mqtt')].find((d) => existsSync(join(d, 'mosquitto.conf')))
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { dir: { type: 'string' }, show: { type: 'string' }, help: { type: 'boolean' } } })
  if (values.help === true) return void process.stdout.write(`${USAGE}\n`)
  const config = readConfig(process.env)
  const secret = config.METERSTREAM_GATEWAY_SECRET
  if (secret.length < SECRET_LENGTH_MIN)
    throw new Error(`METERSTREAM_GATEWAY_SECRET must have at least ${SECRET_LENGTH_MIN} characters\n${USAGE}`)
  if (values.show !== undefined) {
    const problem = userProblem(values.show)
    if (problem !== undefined) throw new Error(`${values.show} ${problem}`)
    process.stdout.write(`${JSON.stringify({ username: values.show, password: gatewayPassword(secret, values.show) })}\n`)
    return
  }
  const dir = values.dir ?? localBroker(resolve(ROOT, config.METERSTREAM_DATA_DIR))
  if (dir === undefined) throw new Error('no local broker found: --dir says where to write')
  const settings = parseSettings(config.METERSTREAM_SETTINGS === '' ? '' : readFileSync(config.METERSTREAM_SETTINGS, 'utf8'))
  const pool = createPool({ url: config.POSTGRES_URL, log: createLog('mqtt-users', config.LOG_LEVEL), name: 'mqtt-users', max: 1 })
  try {
    const { writers, problems } = writersOf(await idsInRegistry(pool), settings)
    const users = writers.map(({ id }) => ({ user: id, password: gatewayPassword(secret, id) }))
    const as = values.dir === undefined ? await unprivilegedUser(() => undefined) : undefined
    writeAccess(dir, users, { gateways: writers }, as)
    for (const { id, problem } of problems) process.stderr.write(`mqtt-users: ${JSON.stringify(id)} ${problem}: no user is made\n`)
    const running = readPidFile(join(dir, 'mqtt.pid'))
    if (running !== undefined) process.kill(running.pid, 'SIGHUP')
    process.stdout.write(
      `${JSON.stringify({ type: 'users', dir, users: users.length, left_out: problems.length, reloaded: running !== undefined })}\n`,
    )
  } finally {
    await pool.end()
  }
}

if (import.meta.main) {
  main().catch((error: Error) => {
    process.stderr.write(`mqtt-users: ${error.message}\n`)
    process.exitCode = 1
  })
}
