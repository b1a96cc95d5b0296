// npm start as a stranger uses it: first start, every part killed once, orderly stop, warm start, kill of the supervisor itself.
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { ROOT } from './paths.ts'
import { freePorts } from './ports.ts'
import { identityOf } from './process.ts'

let dir: string
const children = new Set<ChildProcess>()

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'meterstream-start-'))
  chmodSync(dir, 0o755)
})
afterEach(async () => {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  children.clear()
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

interface Run {
  output(): string
  /** Resolves when the text has come out; @throws Error when the process ends before. */
  until(text: string | RegExp, msMax?: number): Promise<void>
  signal(name: NodeJS.Signals): void
  exited: Promise<number | null>
}

function start(args: string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, ['--disable-warning=TimeoutNegativeWarning', join(ROOT, 'deploy/local/start.ts'), ...args], {
    cwd: ROOT,
    env: { ...process.env, METERSTREAM_DATA_DIR: dir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.add(child)
  let text = ''
  const add = (d: Buffer) => {
    text += d.toString('utf8')
  }
  child.stdout?.on('data', add)
  child.stderr?.on('data', add)
  const exited = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)))
  return {
    output: () => text,
    until: (wanted, msMax = 90_000) =>
      expect
        .poll(
          () => {
            const there = typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text)
            if (!there && (child.exitCode !== null || child.signalCode !== null)) throw new Error(`it ended before:\n${text}`)
            return there
          },
          { timeout: msMax, interval: 200, message: String(wanted) },
        )
        .toBe(true),
    signal: (name) => void child.kill(name),
    exited,
  }
}

/** Pids of all parts, by their pid files. */
function pids(): Map<string, number> {
  const found = new Map<string, number>()
  for (const folder of ['kafka', 'questdb', 'postgres', 'mqtt', 'logs']) {
    for (const file of readdirSync(join(dir, folder)).filter((n) => n.endsWith('.pid'))) {
      found.set(file.slice(0, -4), (JSON.parse(readFileSync(join(dir, folder, file), 'utf8')) as { pid: number }).pid)
    }
  }
  return found
}

const environment = () =>
  Object.fromEntries(
    readFileSync(join(dir, 'env'), 'utf8')
      .trim()
      .split('\n')
      .map((l) => [l.slice(0, l.indexOf('=')), l.slice(l.indexOf('=') + 1)]),
  )

async function allReady(): Promise<boolean> {
  const env = environment()
  for (const port of [env.INGEST_PORT, env.PROCESSORS_PORT, env.API_PORT]) {
    const answer = await fetch(`http://127.0.0.1:${port}/health/ready`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
    if (answer?.ok !== true) return false
  }
  return true
}

const noneOf = (all: Iterable<number>) => [...all].filter((pid) => identityOf(pid) !== undefined)
const PARTS = ['api', 'ingest', 'kafka', 'mqtt', 'postgres', 'processors', 'questdb', 'simulator']

test('starts, survives a kill -9 of every part, stops in order, and goes on', async () => {
  const first = start(['--ports', 'auto'])
  await first.until('Meterstream runs', 180_000)
  for (const part of PARTS) expect(first.output()).toMatch(new RegExp(`\\n  ${part} .* up`))
  // Secrets are for the owner only.
  for (const file of ['token', 'env']) expect(statSync(join(dir, file)).mode & 0o077).toBe(0)
  expect((await fetch(`http://127.0.0.1:${environment().API_PORT}/v1/assets`)).status).toBe(401)
  await first.until(/readings\/s [1-9]/)

  const before = pids()
  expect([...before.keys()].sort()).toEqual(PARTS)
  for (const part of PARTS) {
    process.kill(before.get(part) as number, 'SIGKILL')
    await expect.poll(() => (pids().get(part) ?? before.get(part)) !== before.get(part), { timeout: 60_000 }).toBe(true)
    await expect.poll(allReady, { timeout: 60_000, message: `all ready after the kill of ${part}` }).toBe(true)
  }

  const last = pids()
  first.signal('SIGINT')
  expect(await first.exited).toBe(0)
  expect(first.output()).toContain('the next start goes on with the same data')
  expect(noneOf(last.values())).toEqual([])

  const startedMs = performance.now()
  const second = start(['--ports', 'auto'])
  await second.until('Meterstream runs', 60_000)
  const warmMs = performance.now() - startedMs
  console.log(`warm start ${Math.round(warmMs)} ms`)
  // On a quiet machine 8 s; a machine busy with other work must not fail the test, a start that hangs must.
  expect(warmMs).toBeLessThan(120_000)
  expect(second.output()).not.toContain('imported')

  // A second system in the same folder is refused; so is another data set.
  const third = start(['--ports', 'auto'])
  expect(await third.exited).toBe(1)
  expect(third.output()).toContain('Meterstream already runs here')

  const orphans = pids()
  second.signal('SIGKILL')
  await expect.poll(() => noneOf(orphans.values()), { timeout: 30_000 }).toEqual([])
})

test('a taken port is named with the way out', async () => {
  const blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
  const { port } = blocker.address() as { port: number }
  try {
    const [a, b] = (await freePorts(2)) as [number, number]
    const run = start(['--ports', 'auto'], { API_PORT: String(port), INGEST_PORT: String(a), PROCESSORS_PORT: String(b) })
    expect(await run.exited).toBe(1)
    expect(run.output()).toContain(
      `Port ${port}, wanted for the api, is taken: stop what uses it, set API_PORT, or start with: npm start -- --ports auto`,
    )
    expect(noneOf(pids().values())).toEqual([])
  } finally {
    blocker.close()
  }
})
