// The whole system as a person starts it, and a browser, for end-to-end tests.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { findBrowser } from '../local/install.ts'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
/** Pictures that tests take are kept here for people to look at. */
export const PICTURES = join(ROOT, '.meterstream', 'e2e')

export interface RunningSystem {
  /** Address of the page with the token in its fragment. */
  url: string
  api: string
  token: string
  dataDir: string
  output(): string
  /** Ctrl-C, then waits for the end. Resolves with the exit code. */
  stop(): Promise<number | null>
}

/** Runs `npm start` with free ports and a data folder of its own; `args` go to the simulator, `own` to the start itself. */
export async function startWholeSystem(args: readonly string[], waitMs = 240_000, own: readonly string[] = []): Promise<RunningSystem> {
  const dataDir = mkdtempSync(join(tmpdir(), 'meterstream-e2e-'))
  const child: ChildProcess = spawn(process.execPath, ['deploy/local/start.ts', '--ports', 'auto', ...own, '--', ...args], {
    cwd: ROOT,
    env: { ...process.env, METERSTREAM_DATA_DIR: dataDir, API_TOKEN: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const take = (chunk: Buffer) => {
    text += chunk.toString()
  }
  child.stdout?.on('data', take)
  child.stderr?.on('data', take)
  const ended = new Promise<number | null>((done) => child.once('exit', (code) => done(code)))
  const until = Date.now() + waitMs
  let found: RegExpExecArray | null = null
  while (found === null) {
    found = /Control room\s+(\S+)#token=(\S+)/.exec(text)
    if (found !== null) break
    if (child.exitCode !== null || Date.now() > until) {
      child.kill('SIGTERM')
      throw new Error(`the system did not start:\n${text.slice(-4000)}`)
    }
    await new Promise((done) => setTimeout(done, 200))
  }
  const [, base = '', token = ''] = found
  return {
    url: `${base}#token=${token}`,
    api: base.replace(/\/$/, ''),
    token,
    dataDir,
    output: () => text,
    async stop() {
      child.kill('SIGINT')
      const code = await ended
      rmSync(dataDir, { recursive: true, force: true })
      return code
    },
  }
}

/** A browser with software WebGL that asks nobody outside for anything. @throws Error when there is none on this machine. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = findBrowser()
  if (executablePath === undefined) throw new Error('no Chromium found; npm test installs one as root with apt: apt-get install chromium')
  mkdirSync(PICTURES, { recursive: true })
  return chromium.launch({
    executablePath,
    args: [
      '--use-angle=swiftshader',
      '--enable-unsafe-swiftshader',
      '--no-sandbox',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
