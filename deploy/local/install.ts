// Finds or installs what npm cannot bring: Java, Maven's jars, mosquitto, a browser. As root with apt it installs; otherwise it
// says in one line which command mends it. Everything it prints goes to the given function, never to standard output.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LIB_DIR } from './paths.ts'
import type { Unprivileged } from './spec.ts'

export type Say = (line: string) => void

const POM = fileURLToPath(new URL('./pom.xml', import.meta.url))
const MORE_PATHS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin', '/opt/homebrew/bin', '/usr/local/bin', '/usr/bin']

/** Full path of a program in PATH or where packages put daemons. */
export function findProgram(names: readonly string[]): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...MORE_PATHS]
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, name)
      try {
        accessSync(path, constants.X_OK)
        return path
      } catch {
        // Not here; the next folder.
      }
    }
  }
  return undefined
}

export const findMosquitto = (): string | undefined => findProgram(['mosquitto'])
export const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome', 'microsoft-edge']
export const findBrowser = (): string | undefined => {
  const named = process.env.CHROMIUM_PATH
  if (named !== undefined && named !== '') return existsSync(named) ? named : undefined
  const found = findProgram(BROWSERS)
  if (found !== undefined) return found
  const mac = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
  return existsSync(mac) ? mac : undefined
}

/** Runs a program, its output indented through `say` line by line. @throws Error with the last lines when it fails. */
export async function runProgram(
  say: Say,
  command: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<void> {
  const last: string[] = []
  await new Promise<void>((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    const onData = (data: Buffer) => {
      for (const line of data.toString('utf8').split(/[\r\n]+/)) {
        if (line.trim() === '') continue
        last.push(line)
        if (last.length > 8) last.shift()
        say(`  ${line.slice(0, 160)}`)
      }
    }
    child.stdout.on('data', onData)
    child.stderr.on('data', onData)
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command} failed (${code}):\n${last.join('\n')}`))))
  })
}

const isRoot = () => process.getuid?.() === 0
let aptUpdated = false

/** Installs packages with apt when we are root and it is there, else throws `message` with the command for this machine. */
async function installPackages(say: Say, what: string, packages: { apt: string[]; brew: string }): Promise<void> {
  const apt = findProgram(['apt-get'])
  if (apt !== undefined && isRoot()) {
    say(`${what}: installing ${packages.apt.join(' ')} with apt-get`)
    const env = { DEBIAN_FRONTEND: 'noninteractive' }
    const install = () => runProgram(() => undefined, apt, ['install', '-y', '--no-install-recommends', ...packages.apt], { env })
    if (!aptUpdated) {
      await runProgram(() => undefined, apt, ['update', '-q'], { env }).catch((e: Error) => say(`${what}: apt-get update: ${e.message}`))
      aptUpdated = true
    }
    return install()
  }
  const command = apt !== undefined ? `sudo apt-get install -y ${packages.apt.join(' ')}` : `brew install ${packages.brew}`
  throw new Error(`${what} is missing; install it with: ${command}`)
}

function javaMajor(java: string): number {
  const { stderr, stdout } = spawnSync(java, ['-version'], { encoding: 'utf8' })
  return Number(/version "(\d+)/.exec(`${stderr}${stdout}`)?.[1] ?? 0)
}

export async function ensureJava(say: Say): Promise<void> {
  const java = findProgram(['java'])
  if (java !== undefined && javaMajor(java) >= 17) return
  await installPackages(say, 'Java 17 or newer', { apt: ['openjdk-17-jre-headless'], brew: 'openjdk@17' })
}

export async function ensureMosquitto(say: Say): Promise<void> {
  if (findMosquitto() !== undefined) return
  await installPackages(say, 'mosquitto', { apt: ['mosquitto'], brew: 'mosquitto' })
}

export async function ensureBrowser(say: Say): Promise<string> {
  if (findBrowser() === undefined) await installPackages(say, 'Chromium', { apt: ['chromium'], brew: '--cask chromium' })
  const found = findBrowser()
  if (found === undefined) throw new Error('Chromium is missing; set CHROMIUM_PATH to a Chrome or Chromium')
  return found
}

/** Fetches the jars of Kafka and QuestDB once; again when pom.xml changed. */
export async function ensureJars(say: Say): Promise<void> {
  const marker = join(LIB_DIR, '.complete')
  const wanted = createHash('sha256').update(readFileSync(POM)).digest('hex')
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return
  if (findProgram(['mvn']) === undefined) await installPackages(say, 'Maven (mvn)', { apt: ['maven'], brew: 'maven' })
  say('Kafka, QuestDB: fetching their jars with Maven (about 70 MB)')
  rmSync(LIB_DIR, { recursive: true, force: true })
  mkdirSync(LIB_DIR, { recursive: true })
  let fetched = 0
  const beat = setInterval(() => say(`Kafka, QuestDB: ${fetched} files fetched so far`), 3000)
  const onLine: Say = (line) => {
    if (line.includes('Downloaded from')) fetched += 1
  }
  try {
    await runProgram(onLine, 'mvn', ['-B', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${LIB_DIR}`])
  } finally {
    clearInterval(beat)
  }
  writeFileSync(marker, wanted)
  say(`Kafka, QuestDB: ${readdirSync(LIB_DIR).length - 1} jars in place`)
}

/** Path of `<name>-<version>.jar`. */
export function findJar(name: string): string {
  const jar = readdirSync(LIB_DIR).find((n) => n.startsWith(`${name}-`) && /^\d/.test(n.slice(name.length + 1)))
  if (jar === undefined) throw new Error(`${name}: no jar in ${LIB_DIR}; remove that folder and start again`)
  return join(LIB_DIR, jar)
}

/** The account for servers that refuse to run as root; undefined when we are not root. */
export async function unprivilegedUser(say: Say): Promise<Unprivileged | undefined> {
  if (!isRoot()) return undefined
  const known = lookUp('postgres') ?? lookUp('meterstream')
  if (known !== undefined) return known
  const useradd = findProgram(['useradd'])
  if (useradd === undefined) throw new Error('PostgreSQL does not run as root: start as another user, or create a user named meterstream')
  say('PostgreSQL does not run as root: creating the system user meterstream')
  await runProgram(say, useradd, ['--system', '--no-create-home', '--user-group', '--shell', '/usr/sbin/nologin', 'meterstream'])
  return lookUp('meterstream')
}

function lookUp(user: string): Unprivileged | undefined {
  const id = (flag: string) => spawnSync('id', [flag, user], { encoding: 'utf8' })
  const uid = id('-u')
  if (uid.status !== 0) return undefined
  return { uid: Number(uid.stdout), gid: Number(id('-g').stdout) }
}
