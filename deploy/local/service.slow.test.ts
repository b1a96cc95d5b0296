// A supervised service: real processes, a small program in place of ours.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { freePorts } from './ports.ts'
import { identityOf } from './process.ts'
import { type Service, type ServiceOptions, service } from './service.ts'

let dir: string
let running: Service | undefined
const said: string[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'meterstream-service-'))
  said.length = 0
})
afterEach(async () => {
  await running?.stop()
  running = undefined
  rmSync(dir, { recursive: true, force: true })
})

function run(program: string, over: Partial<ServiceOptions> = {}): Service {
  const entry = join(dir, 'program.mjs')
  writeFileSync(entry, program)
  running = service({ name: 'probe', what: 'a test', entry, env: {}, logDir: dir, say: (l) => said.push(l), ...over })
  return running
}

const SERVER = (port: number) => `
  import { createServer } from 'node:http'
  createServer((q, r) => {
    if (q.url === '/metrics') r.end('probe_total 7\\n')
    else r.end('{"ok":true}')
  }).listen(${port}, '127.0.0.1')
  process.on('SIGTERM', () => process.exit(0))
  process.on('disconnect', () => process.exit(0))`

test('is ready when its health page says so, starts again after a kill -9, and stops in order', async () => {
  const [port] = (await freePorts(1)) as [number]
  const s = run(SERVER(port), { url: `http://127.0.0.1:${port}` })
  await s.start()
  await s.untilReady(10_000)
  expect(s.metrics()).toContain('probe_total 7')
  const first = s.pid
  process.kill(first, 'SIGKILL')
  await expect.poll(() => s.pid !== first && s.part.state, { timeout: 10_000 }).toBe('up')
  expect(s.part.restarts).toBe(1)
  expect(said).toEqual(['probe: ended (SIGKILL); starting again in 0.5 s'])
  const second = s.pid
  await s.stop()
  expect(identityOf(second)).toBeUndefined()
  expect(s.part.state).toBe('stopped')
})

test('tells how far it is, and is done when it ends well', async () => {
  let done = 0
  const program = "process.send({ type: 'progress', text: 'half way' }); setTimeout(() => process.exit(0), 300)"
  const s = run(program, {
    onDone: () => {
      done += 1
    },
  })
  await s.start()
  await expect.poll(() => s.part.detail, { timeout: 10_000 }).toBe('half way')
  await expect.poll(() => s.part.state, { timeout: 10_000 }).toBe('done')
  expect(done).toBe(1)
  expect(said).toEqual(['probe: done'])
})

test('that cannot start says so with the end of its log', async () => {
  const [port] = (await freePorts(1)) as [number]
  const s = run("throw new Error('no such table')", { url: `http://127.0.0.1:${port}` })
  await s.start()
  await expect(s.untilReady(1500)).rejects.toThrow(/probe: not ready within 1\.5 s[\s\S]*no such table/)
  expect(s.part.restarts).toBeGreaterThan(0)
})
