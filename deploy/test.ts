// npm test: everything. Installs what the tests need beyond npm (Java's jars, mosquitto, a browser), checks types, lint and format,
// then runs unit, integration and end-to-end tests. With arguments it only runs vitest with them: npm test -- deploy/local.
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { LINT, runChecks, TYPES } from './check.ts'
import { ensureBrowser, ensureJars, ensureJava, ensureMosquitto } from './local/install.ts'
import { ROOT } from './local/paths.ts'

/** vitest's JSON report, read by .ci/run. */
const REPORT = join(ROOT, '.meterstream', 'test-report.json')

async function main(): Promise<number> {
  const args = process.argv.slice(2)
  const say = (line: string) => void process.stderr.write(`${line}\n`)
  mkdirSync(join(ROOT, '.meterstream'), { recursive: true })
  rmSync(REPORT, { force: true })
  await ensureJava(say)
  await ensureJars(say)
  await ensureMosquitto(say)
  const browser = await ensureBrowser(say)
  const clean = args.length > 0 || (await runChecks([TYPES, LINT]))
  const code = await vitest(['run', '--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`, ...args], {
    CHROMIUM_PATH: browser,
  })
  return clean ? code : Math.max(code, 1)
}

function vitest(args: string[], env: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(ROOT, 'node_modules', '.bin', 'vitest'), args, {
      cwd: ROOT,
      stdio: 'inherit',
      env: { ...process.env, ...env },
    })
    process.on('SIGINT', () => undefined)
    process.on('SIGTERM', () => child.kill('SIGTERM'))
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: Error) => {
    process.stderr.write(`test: ${error.message}\n`)
    process.exitCode = 1
  },
)
