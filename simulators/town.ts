// The simulated town: built from a seed, the same every time; written as a data set folder for the registry to import.
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DAY_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { buildPower } from './power/network.ts'
import { makeRandom } from './random.ts'
import { plannedOperations } from './scenarios/planned.ts'
import { buildAccounts } from './town/accounts.ts'
import { townFeatures } from './town/features.ts'
import { buildGateways } from './town/gateways.ts'
import { DEMO_SEED, planTown } from './town/plan.ts'
import { buildPremises } from './town/premises.ts'
import { buildStreets } from './town/streets.ts'
import { TOWN_TARIFFS } from './town/tariffs.ts'
import type { Town, WaterMeter } from './town/types.ts'
import { toInp } from './water/inp.ts'
import { buildWater } from './water/network.ts'

export { townFeatures } from './town/features.ts'
export { DEMO_SEED } from './town/plan.ts'

/** Raise it when the same seed begins to give another town: a folder or state of another version is not used. */
export const TOWN_VERSION = 2

export const HISTORY_DAYS = 14
export const WARMUP_DAYS = 7
export const DEMO_TIMEZONE = 'Asia/Shanghai'

/** Builds a town in about 0.2 s. The same seed gives the same town. */
export function makeTown(seed: number = DEMO_SEED): Town {
  const plan = planTown(seed)
  const streets = buildStreets(plan)
  const premises = buildPremises(plan, streets)
  const water = buildWater(plan, streets, premises)
  const power = buildPower(plan, streets, premises)
  const r = makeRandom(seed * 61 + 7)
  const waterMeters = premises.map(
    (p, i): WaterMeter => ({
      id: `WM-${10_001 + i}`,
      premise: i,
      startM3: Math.round(r.between(20, 40 + 900 * Math.min(40, p.waterM3d)) * 1000) / 1000,
      account: '',
    }),
  )
  const accounts = buildAccounts(plan, premises, waterMeters, power.meters)
  const { gateways, gatewayOf } = buildGateways(plan, { premises, water, waterMeters, power })
  const crews = Array.from({ length: plan.crews }, (_, i) => {
    const at = r.pick(streets.nodes)
    return {
      id: `CREW-${i + 1}`,
      skills: i % 3 === 0 ? (['water', 'power'] as const).slice() : i % 3 === 1 ? ['water' as const] : ['power' as const],
      x: at.x,
      y: at.y,
    }
  })
  return { version: TOWN_VERSION, plan, streets, premises, water, waterMeters, power, gateways, gatewayOf, accounts, crews }
}

/** meta.json of a town's folder: the contract's fields and where the simulation stands in time. */
export interface TownMeta {
  name: string
  timezone: string
  start: string
  /** End of the history; the simulation goes on after it. */
  end: string
  warmupUntil: string
  intervalSeconds: number
  source: string
  licence: string
  seed: number
  townVersion: number
}

export interface TownOptions {
  /** Real time now, epoch ms: the history ends there (cut to a whole hour) and the live part begins. */
  nowMs: number
  historyDays?: number
  warmupDays?: number
  timezone?: string
}

/** The meta of a folder written earlier, undefined when there is none. @throws Error when it holds another town or an older version of it */
export function readTownMeta(dir: string, seed: number): TownMeta | undefined {
  const file = join(dir, 'meta.json')
  if (!existsSync(file)) return undefined
  const meta = JSON.parse(readFileSync(file, 'utf8')) as TownMeta
  if (meta.seed === seed && meta.townVersion === TOWN_VERSION) return meta
  throw new Error(
    `${dir} holds town ${meta.seed}, version ${meta.townVersion}, not town ${seed}, version ${TOWN_VERSION}: the registry and what was sent belong to it; begin anew (npm start -- --fresh)`,
  )
}

/**
 * Writes the town as a data set folder (assets.geojson, accounts.csv, operations.csv, meta.json, network.inp; no readings), or leaves
 * one alone that was written before: its dates stay, so that a restart goes on where it was. Returns the folder's meta.
 */
export async function townDataSet(dir: string, seed: number, options: TownOptions): Promise<TownMeta> {
  const known = readTownMeta(dir, seed)
  if (known !== undefined) return known
  const town = makeTown(seed)
  const hour = 60 * MINUTE_MS
  const endMs = Math.floor(options.nowMs / hour) * hour
  const startMs = endMs - (options.historyDays ?? HISTORY_DAYS) * DAY_MS
  const timezone = options.timezone ?? DEMO_TIMEZONE
  const meta: TownMeta = {
    name: `${town.plan.name} (simulated)`,
    timezone,
    start: toIso(startMs),
    end: toIso(endMs),
    warmupUntil: toIso(startMs + (options.warmupDays ?? WARMUP_DAYS) * DAY_MS),
    intervalSeconds: 900,
    source: 'Meterstream simulator: EPANET hydraulics and load model, seeded',
    licence: 'Apache-2.0',
    seed,
    townVersion: TOWN_VERSION,
  }
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'assets.geojson'), `${JSON.stringify(townFeatures(town))}\n`)
  await writeFile(join(dir, 'accounts.csv'), accountsCsv(town))
  await writeFile(join(dir, 'tariffs.json'), JSON.stringify(TOWN_TARIFFS, undefined, 1))
  await writeFile(join(dir, 'operations.csv'), operationsCsv(plannedOperations(town, { startMs, endMs, timezone })))
  const mean = Float64Array.from(town.water.nodes, (n) => n.unmeteredM3h)
  for (const p of town.premises) mean[p.node] = (mean[p.node] as number) + p.waterM3d / 24
  await writeFile(
    join(dir, 'network.inp'),
    toInp(town.plan, town.water, (i) => mean[i] as number),
  )
  // The meta comes last and in one move: a folder that has it is whole.
  await writeFile(join(dir, 'meta.json.part'), `${JSON.stringify(meta, null, 1)}\n`)
  await rename(join(dir, 'meta.json.part'), join(dir, 'meta.json'))
  return meta
}

const cell = (v: string): string => (/[",\n\r]/.test(v) ? `"${v.replaceAll('"', '""')}"` : v)

/** accounts.csv of the contract; with `only`, of those customers. */
export function accountsCsv(town: Town, only?: ReadonlySet<string>): string {
  const accounts = only === undefined ? town.accounts : town.accounts.filter((a) => only.has(a.account))
  const rows = accounts.map((a) =>
    [a.account, a.name, a.segment, a.phone, a.email, a.language, a.tariffWater, a.tariffPower].map(cell).join(','),
  )
  return `account,name,segment,phone,email,language,tariff_water,tariff_power\n${rows.join('\n')}\n`
}

/** One announced operation: a row of operations.csv. */
export interface OperationRow {
  knownAtMs: number
  kind: string
  scopeType: string
  scope: string
  startMs: number
  endMs: number
  note: string
}

export function operationsCsv(rows: readonly OperationRow[]): string {
  const lines = [...rows]
    .sort((a, b) => a.knownAtMs - b.knownAtMs)
    .map((o) => [toIso(o.knownAtMs), o.kind, o.scopeType, o.scope, toIso(o.startMs), toIso(o.endMs), o.note].map(cell).join(','))
  return ['known_at,kind,scope_type,scope,start,end,note', ...lines, ''].join('\n')
}
