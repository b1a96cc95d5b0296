// The door of every npm script. Plain JavaScript that runs on the machine's own Node (20 or newer): it installs the packages when
// they are missing or older than the lock file, then runs the TypeScript entry on the pinned Node 24 of node_modules.
// Standard output belongs to the command; all progress goes to standard error.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const INSTALL_MS_MAX = 10 * 60_000
const say = (line) => process.stderr.write(`${line}\n`)

const COMMANDS = {
  start: 'deploy/local/start.ts',
  decode: 'ingest/decode-cli.ts',
  backtest: 'processors/backtest-cli.ts',
  replay: 'simulators/replay-cli.ts',
  import: 'deploy/import-cli.ts',
  bench: 'simulators/bench/main.ts',
  faults: 'simulators/faults/main.ts',
  migrate: 'deploy/migrate.ts',
  audit: 'deploy/audit-cli.ts',
  personal: 'deploy/personal-cli.ts',
  backup: 'deploy/backup-cli.ts',
  doctor: 'deploy/doctor.ts',
  reference: 'deploy/reference.ts',
  release: 'deploy/release.ts',
  'mqtt-users': 'deploy/mqtt-users-cli.ts',
  test: 'deploy/test.ts',
  check: 'deploy/check.ts',
}

function fail(message) {
  say(message)
  process.exit(1)
}

/** npm writes node_modules/.package-lock.json last; when it is there and not older than our lock file, the packages are those of the lock file. */
function packagesAreCurrent() {
  const installed = join(ROOT, 'node_modules', '.package-lock.json')
  const wanted = join(ROOT, 'package-lock.json')
  if (!existsSync(installed) || !existsSync(pinnedNode())) return false
  if (statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return true
  // A fresh checkout or a touched file makes the lock file newer without a change: compare what is in it.
  const versions = (path) => {
    const { packages } = JSON.parse(readFileSync(path, 'utf8'))
    return new Map(Object.entries(packages).map(([name, p]) => [name, p.version]))
  }
  const want = versions(wanted)
  for (const [name, version] of versions(installed)) if (want.get(name) !== version) return false
  const have = versions(installed)
  const { packages } = JSON.parse(readFileSync(wanted, 'utf8'))
  return Object.entries(packages).every(([name, p]) => name === '' || p.optional === true || p.devOptional === true || have.has(name))
}

function pinnedNode() {
  return join(ROOT, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')
}

/** Two commands started at once on a fresh checkout must not install at once: the second waits, then finds the packages current. */
async function withInstallLock(work) {
  const lock = join(ROOT, '.meterstream', 'install.lock')
  mkdirSync(dirname(lock), { recursive: true })
  const until = Date.now() + INSTALL_MS_MAX
  for (;;) {
    try {
      mkdirSync(lock)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    // A lock older than any install is left from a crash.
    if (Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > INSTALL_MS_MAX)
      rmSync(lock, { recursive: true, force: true })
    if (Date.now() > until) fail(`another npm install holds ${lock}; remove that folder if none runs`)
    await new Promise((next) => setTimeout(next, 500))
  }
  const unlock = () => rmSync(lock, { recursive: true, force: true })
  process.once('exit', unlock)
  try {
    await work()
  } finally {
    process.removeListener('exit', unlock)
    unlock()
  }
}

/** npm ci with a line of progress every 3 s: it reports each package it fetched on standard error. */
function install() {
  const started = Date.now()
  say('Packages: npm ci (about 20 s on a usual line)')
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=http']
  const options = { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] }
  const child = npm?.endsWith('.js') === true ? spawn(process.execPath, [npm, ...args], options) : spawn('npm', args, options)
  let fetched = 0
  let problems = ''
  child.stderr.on('data', (data) => {
    for (const line of data.toString().split('\n')) {
      if (line.startsWith('npm http')) fetched += 1
      else problems = `${problems}${line}\n`.slice(-4000)
    }
  })
  const beat = setInterval(() => say(`Packages: ${fetched} fetched, ${Math.round((Date.now() - started) / 1000)} s`), 3000)
  return new Promise((resolve) => {
    child.once('error', (error) => fail(`npm ci could not start: ${error.message}`))
    child.once('exit', (code) => {
      clearInterval(beat)
      if (code !== 0) fail(`npm ci failed:\n${problems.trim()}`)
      if (!existsSync(pinnedNode()))
        fail('npm ci did not bring Node 24 (package "node"): were install scripts switched off? Set ignore-scripts=false')
      say(`Packages: in place after ${Math.round((Date.now() - started) / 1000)} s`)
      resolve()
    })
  })
}

async function main() {
  if (Number(process.versions.node.split('.')[0]) < 20) fail(`Node ${process.versions.node} is too old: install Node 20 or newer`)
  const [name, ...args] = process.argv.slice(2)
  const entry = COMMANDS[name]
  if (entry === undefined) fail(`usage: node deploy/bootstrap.mjs ${Object.keys(COMMANDS).join('|')} [arguments]`)
  if (!packagesAreCurrent()) await withInstallLock(async () => packagesAreCurrent() || install())
  if (!existsSync(join(ROOT, entry))) fail(`${name}: ${entry} is not part of this checkout`)
  // kafkajs arms timers in the past, which Node 24 reports once a process; harmless, and noise on the status screen.
  const flags = ['--disable-warning=TimeoutNegativeWarning']
  for (const file of environmentFiles(name)) if (existsSync(file)) flags.push(`--env-file=${file}`)
  const node = realNode()
  const env = { ...process.env, PATH: `${dirname(pinnedNode())}:${process.env.PATH}` }
  const child = spawn(node, [...flags, join(ROOT, entry), ...args], { stdio: 'inherit', env })
  // Signals are the child's business: we pass them on and wait for its orderly end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('error', (error) => fail(`${node}: ${error.message}`))
  child.once('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

/**
 * Addresses of the running system (with `--ports auto` they are not the usual ones), then .env, which goes before them; the
 * environment goes before both. The system itself and the tests choose their own.
 */
function environmentFiles(name) {
  const files = [join(ROOT, '.env')]
  if (!['start', 'test', 'check'].includes(name))
    files.unshift(join(resolve(ROOT, process.env.METERSTREAM_DATA_DIR || '.meterstream'), 'env'))
  return files
}

/** The binary itself, so that signals and `kill -9` reach it and not a shim. */
function realNode() {
  const found = createRequire(join(ROOT, 'package.json')).resolve('node/package.json')
  const binary = join(dirname(found), 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  return existsSync(binary) ? binary : pinnedNode()
}

await main()
