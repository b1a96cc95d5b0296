// Builds the control room when api/web/dist is missing or older than what it is made of.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram, type Say } from './install.ts'
import { ROOT } from './paths.ts'

const WEB = join(ROOT, 'api', 'web')
const BUILT = join(WEB, 'dist', 'index.html')

/** The newest change below a folder or of a file, epoch ms; 0 when there is none. */
function newestMs(path: string): number {
  if (!existsSync(path)) return 0
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newestMs(join(path, name))))
}

export function pageIsStale(): boolean {
  if (!existsSync(BUILT)) return true
  const sources = ['src', 'public', 'index.html', 'vite.config.ts'].map((n) => join(WEB, n))
  return Math.max(...[...sources, join(ROOT, 'core', 'model'), join(ROOT, 'package-lock.json')].map(newestMs)) > statSync(BUILT).mtimeMs
}

/** @throws Error with the end of Vite's output when the build fails. */
export async function ensurePage(say: Say): Promise<void> {
  if (!existsSync(join(WEB, 'index.html')) || !pageIsStale()) return
  say('Control room: building the page')
  const started = performance.now()
  const vite = join(ROOT, 'node_modules', 'vite', 'bin', 'vite.js')
  await runProgram(() => undefined, process.execPath, [vite, 'build', '--config', join(WEB, 'vite.config.ts'), '--logLevel', 'warn'], {
    cwd: ROOT,
  })
  say(`Control room: built in ${((performance.now() - started) / 1000).toFixed(1)} s`)
}
