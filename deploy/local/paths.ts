// Where things of a local run are kept.
import { createHash } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '')

/** Jars of Kafka and QuestDB: shared by all runs and tests of a checkout, kept by `--fresh`. */
export const LIB_DIR = join(ROOT, '.meterstream', 'lib')

/** True when any user of the machine may reach the folder (or its nearest existing ancestor). */
export function worldTraversable(path: string): boolean {
  let at = resolve(path)
  for (;;) {
    if (existsSync(at) && (statSync(at).mode & 0o001) === 0) return false
    const up = dirname(at)
    if (up === at) return true
    at = up
  }
}

/** A folder for an unprivileged server of `dir` when that user cannot reach `dir` itself (a checkout below /root). */
export function fallbackDir(dir: string): string {
  return join('/var/lib/meterstream', createHash('sha256').update(resolve(dir)).digest('hex').slice(0, 12))
}
