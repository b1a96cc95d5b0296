// Real processes: signals and exit codes are what it is about.
import { type ChildProcess, spawn } from 'node:child_process'
import { afterEach, expect, test } from 'vitest'

let child: ChildProcess | undefined
afterEach(() => {
  child?.kill('SIGKILL')
})

/** Runs a service whose start function has this body; `life` and `say` are at hand. Resolves with exit code and what was said. */
function run(body: string, act?: (child: ChildProcess) => void, options = ''): Promise<{ code: number | null; said: string[] }> {
  const lifecycle = JSON.stringify(new URL('./lifecycle.ts', import.meta.url).href)
  const program = `
    import { runService } from ${lifecycle}
    const say = (text) => process.stdout.write(text + '\\n')
    const log = { info() {}, error(fields, text) { say('error ' + text) } }
    await runService({ log, ${options} }, async (life) => { ${body} })`
  const own = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  child = own
  let text = ''
  let acted = false
  own.stdout?.on('data', (d) => {
    text += String(d)
    if (!acted && text.includes('started')) {
      acted = true
      act?.(own)
    }
  })
  // Not 'close': that never comes after a disconnect of ours.
  const ended = new Promise<number | null>((resolve) => own.once('exit', resolve))
  const drained = new Promise((resolve) => own.stdout?.once('end', resolve))
  return Promise.all([ended, drained]).then(([code]) => ({ code, said: text.trim().split('\n') }))
}

const PARTS = `
  life.onStop('first', () => say('first closed'))
  life.onStop('second', async () => { await new Promise((r) => setTimeout(r, 20)); say('second closed') })
  setInterval(() => {}, 1000)
  say('started')`
const IN_ORDER = ['started', 'second closed', 'first closed']

test.each(['SIGTERM', 'SIGINT'] as const)('%s closes the parts, the last first, and ends well', async (signal) => {
  expect(await run(PARTS, (c) => c.kill(signal))).toEqual({ code: 0, said: IN_ORDER })
})

test('a supervisor that is gone stops the service', async () => {
  expect(await run(PARTS, (c) => c.disconnect())).toEqual({ code: 0, said: IN_ORDER })
})

test('a start that fails closes what was begun and ends with code 1', async () => {
  const { code, said } = await run("life.onStop('first', () => say('first closed')); throw new Error('no database')")
  expect([code, said]).toEqual([1, ['error could not start', 'first closed']])
})

test('an unhandled error ends the service with code 1', async () => {
  const { code, said } = await run(`${PARTS}; setTimeout(() => { Promise.reject(new Error('lost')) }, 10)`)
  expect([code, said]).toEqual([1, ['started', 'error unhandled rejection', 'second closed', 'first closed']])
})

test('a part that fails to close does not keep the others open, and shows in the exit code', async () => {
  const body = `life.onStop('first', () => say('first closed')); life.onStop('bad', () => { throw new Error('no') }); setInterval(() => {}, 1000); say('started')`
  expect(await run(body, (c) => c.kill('SIGTERM'))).toEqual({ code: 1, said: ['started', 'error could not close', 'first closed'] })
})

test('a part that never closes is left behind after the time that was given', async () => {
  const body = `life.onStop('stuck', () => new Promise(() => {})); setInterval(() => {}, 1000); say('started')`
  const { code, said } = await run(body, (c) => c.kill('SIGTERM'), 'stopMsMax: 200')
  expect([code, said]).toEqual([1, ['started', 'error stopping took too long, leaving']])
})
