// What feeds the system: the simulated town, a data set that is replayed, or real gateways only. Kept in the data folder, so that the
// next start goes on with the same.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Keyring } from '#runtime/personal.ts'
import type { Pool } from '#runtime/postgres.ts'
import { DEMO_SEED, townDataSet } from '../../simulators/town.ts'
import { importDataSet } from '../import.ts'
import type { Say } from './install.ts'

export type Source =
  | { kind: 'town'; dir: string }
  /** `replayed`: to the end; it is not replayed again. */
  | { kind: 'data'; dir: string; replayed: boolean }
  | { kind: 'gateways' }

const sourcePath = (dataDir: string) => join(dataDir, 'source.json')

export function writeSource(dataDir: string, source: Source): void {
  writeFileSync(sourcePath(dataDir), `${JSON.stringify(source)}\n`)
}

function readSource(dataDir: string): Source | undefined {
  return existsSync(sourcePath(dataDir)) ? (JSON.parse(readFileSync(sourcePath(dataDir), 'utf8')) as Source) : undefined
}

export interface SourceOptions {
  dataDir: string
  /** A data set folder to import and replay. */
  data: string | undefined
  /** False: no simulated town. */
  simulator: boolean
  say: Say
  /** Seals personal data as it is imported. */
  keyring: Keyring
}

/** Fills an empty registry and says what feeds the system. @throws Error when another data set is wanted than the one that is there. */
export async function prepareSource(pool: Pool, { dataDir, data, simulator, say, keyring }: SourceOptions): Promise<Source> {
  const known = readSource(dataDir)
  const wanted = data === undefined ? undefined : resolve(data)
  const { rows } = await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM assets')
  const filled = (rows[0]?.n ?? 0) > 0
  if (filled) {
    if (wanted !== undefined && !(known?.kind === 'data' && known.dir === wanted)) {
      const holder =
        known === undefined || known.kind === 'gateways'
          ? 'a registry of its own'
          : known.kind === 'town'
            ? 'the simulated town'
            : known.dir
      throw new Error(`${dataDir} holds ${holder}; to begin anew with ${data}: npm start -- --fresh --data ${data}`)
    }
    // A registry that we did not fill belongs to a utility: nothing is simulated into it.
    const source: Source = known ?? { kind: 'gateways' }
    return source.kind === 'town' && !simulator ? { kind: 'gateways' } : source
  }
  let source: Source
  if (wanted !== undefined) source = { kind: 'data', dir: wanted, replayed: false }
  else if (!simulator) source = { kind: 'gateways' }
  else {
    source = { kind: 'town', dir: join(dataDir, 'town') }
    say('Demo town: laying out streets, pipes and feeders')
    await townDataSet(source.dir, DEMO_SEED, { nowMs: Date.now() })
  }
  if (source.kind !== 'gateways') {
    const { assets, accounts, operations, warnings } = await importDataSet(pool, source.dir, keyring)
    say(`Registry: ${assets} assets, ${accounts} accounts, ${operations} operations imported`)
    for (const w of warnings.slice(0, 5)) say(`Registry: ${w}`)
  }
  writeSource(dataDir, source)
  return source
}
