// npm run check: types, lint and format, unit tests; in parallel, under 15 s. Prints what failed, in full.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './local/paths.ts'

const BIN = join(ROOT, 'node_modules', '.bin')

interface Check {
  name: string
  command: string
  args: string[]
}

export const TYPES: Check = {
  name: 'types',
  command: join(BIN, 'tsc'),
  args: ['--noEmit', '--incremental', '--tsBuildInfoFile', join(ROOT, '.meterstream', 'types.tsbuildinfo')],
}
export const LINT: Check = { name: 'lint and format', command: join(BIN, 'biome'), args: ['check', '--colors=off', '.'] }
const UNIT: Check = { name: 'unit tests', command: join(BIN, 'vitest'), args: ['run', '--project', 'unit', '--reporter=default'] }

/** Runs the checks side by side; one line each on standard error as they end, then the output of those that failed. True when all passed. */
export async function runChecks(checks: readonly Check[]): Promise<boolean> {
  const results = await Promise.all(
    checks.map(async (check) => {
      const started = performance.now()
      const { code, output } = await run(check)
      process.stderr.write(`${code === 0 ? 'ok  ' : 'FAIL'} ${check.name} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`)
      return { check, code, output }
    }),
  )
  for (const { check, code, output } of results) if (code !== 0) process.stderr.write(`\n${check.name}:\n${output}\n`)
  return results.every((r) => r.code === 0)
}

function run({ command, args }: Check): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const add = (data: Buffer) => {
      output += data.toString('utf8')
    }
    child.stdout.on('data', add)
    child.stderr.on('data', add)
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

if (process.argv[1]?.endsWith('check.ts') === true && !(await runChecks([TYPES, LINT, UNIT]))) process.exitCode = 1
