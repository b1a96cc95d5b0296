// node simulators/dataset-cli.ts --out DIR: a labelled data set of a generated town, for scoring detectors on networks and faults that
// nobody tuned them on. labels.json has the shape that scores read.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { DAY_MS, isTimezone, parseIso, toIso } from '#model/time.ts'
import { drawFaults, type FaultOptions } from './dataset/faults.ts'
import { waterLabels } from './dataset/labels.ts'
import { drawPowerFaults } from './dataset/power-faults.ts'
import { PowerTruth } from './dataset/power-labels.ts'
import { drawStorm } from './dataset/power-storm.ts'
import { simulate } from './dataset/simulate.ts'
import { drawWild, misregister, WildField } from './dataset/wild.ts'
import { QUARTER_MS } from './power/sim.ts'
import { describe } from './scenarios/describe.ts'
import { dmaId, type FeatureCollection, townFeatures } from './town/features.ts'
import { TOWN_TARIFFS } from './town/tariffs.ts'
import { accountsCsv, makeTown, operationsCsv } from './town.ts'
import type { Parts } from './world.ts'

const USAGE = `usage: node simulators/dataset-cli.ts --out DIR [options]
  --town N            seed of the town: streets, network, customers (default 2; 1 is the demo town)
  --faults N          seed of the leaks and confounders (default: the town's)
  --days N            length, days (default 28)
  --warmup N          days without faults at the beginning (default 7)
  --start ISO         first instant (default 2025-09-01T00:00:00Z)
  --timezone TZ       of the customers' habits (default UTC)
  --leaks N           network leaks per district and 30 days (default 3); 0: none, nor customers' leaks
  --customer-leaks N  (default 12)
  --no-confounders    nothing that only looks like a leak
  --interval S        of electric meters, seconds: a multiple of 900 (default 900)
  --storm             of the power part: a storm every day instead of the usual faults
  --wild              of the power part: wrong registry entries, wrong clocks, gasps that come late, twice or from the future
  --part water|power|both  (default water); labels.json is of that part, with both of the water, labels-power.json of the power`

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    town: { type: 'string', default: '2' },
    faults: { type: 'string' },
    days: { type: 'string', default: '28' },
    warmup: { type: 'string', default: '7' },
    start: { type: 'string', default: '2025-09-01T00:00:00Z' },
    timezone: { type: 'string', default: 'UTC' },
    leaks: { type: 'string', default: '3' },
    'customer-leaks': { type: 'string', default: '12' },
    'no-confounders': { type: 'boolean', default: false },
    interval: { type: 'string', default: '900' },
    storm: { type: 'boolean', default: false },
    wild: { type: 'boolean', default: false },
    part: { type: 'string', default: 'water' },
  },
})

function fail(problem: string): never {
  process.stderr.write(`dataset: ${problem}\n${USAGE}\n`)
  process.exit(2)
}

function number(name: 'town' | 'faults' | 'days' | 'warmup' | 'leaks' | 'customer-leaks' | 'interval', otherwise?: number): number {
  const text = values[name]
  const v = text === undefined ? otherwise : Number(text)
  if (v === undefined || !Number.isFinite(v) || v < 0) fail(`--${name} must be a number from 0, not ${text}`)
  return v
}

/** Features of one part: water has DMAs and what is in them, power the substation and below. */
function featuresOf(all: FeatureCollection, part: 'water' | 'power' | 'both'): FeatureCollection {
  if (part === 'both') return all
  const power = new Set(['substation', 'feeder', 'transformer', 'electric_meter'])
  const kept = all.features.filter(({ properties: p }) => {
    if (p.kind === 'gateway') return p.id.startsWith('GW-E') === (part === 'power')
    return p.kind === 'crew' || power.has(p.kind) === (part === 'power')
  })
  return { type: 'FeatureCollection', features: kept }
}

interface Wanted {
  dir: string
  part: 'water' | 'power' | 'both'
  seed: number
  options: FaultOptions
  intervalMs: number
}

function wanted(): Wanted {
  if (values.out === undefined) fail('--out is missing')
  const dir = resolve(values.out)
  if (existsSync(join(dir, 'meta.json'))) fail(`${dir} already holds a data set`)
  const part = values.part as Wanted['part']
  if (!['water', 'power', 'both'].includes(part)) fail(`--part must be water, power or both, not ${part}`)
  if (!isTimezone(values.timezone)) fail(`--timezone: ${values.timezone} is not known`)
  const seed = number('town')
  const startMs = parseIso(values.start)
  if (Number.isNaN(startMs)) fail('--start must be an ISO 8601 time with zone')
  const leaksPerMonth = number('leaks')
  const options: FaultOptions = {
    seed: number('faults', seed),
    timezone: values.timezone,
    startMs,
    warmupUntilMs: startMs + number('warmup') * DAY_MS,
    endMs: startMs + number('days') * DAY_MS,
    leaksPerMonth,
    customerLeaks: leaksPerMonth === 0 ? 0 : number('customer-leaks'),
    confounders: !values['no-confounders'],
  }
  const intervalMs = number('interval') * 1000
  if (intervalMs === 0 || intervalMs % QUARTER_MS !== 0) fail('--interval must be a multiple of 900')
  return { dir, part, seed, options, intervalMs }
}

async function main({ dir, part, seed, options, intervalMs }: Wanted): Promise<void> {
  const { startMs, endMs, warmupUntilMs, timezone } = options
  const town = makeTown(seed)
  const parts: Parts = { water: part !== 'power', power: part !== 'water', powerIntervalMs: intervalMs }
  const scenario = `town-${seed}-faults-${options.seed}`
  const water = parts.water ? drawFaults(town, options) : { effects: [], confounders: [], operations: [] }
  const storm = parts.power && values.storm ? drawStorm(town, options) : undefined
  const power = storm?.effects ?? (parts.power ? drawPowerFaults(town, options) : [])
  const wild = parts.power && values.wild ? drawWild(town, options.seed) : undefined
  const moved = wild?.moved.map(([m]) => m) ?? []
  const effects = [...water.effects, ...power]
  const powerTruth = parts.power
    ? new PowerTruth(town, {
        scenario,
        seed: options.seed,
        timezone,
        startMs,
        endMs,
        warmupUntilMs,
        intervalMs,
        moved,
        homeless: wild?.homeless ?? [],
      })
    : undefined
  mkdirSync(dir, { recursive: true })
  const say = (line: string) => process.stderr.write(`dataset: ${line}\n`)
  const { rows, meterRows, losses, inflowM3h } = await simulate({
    town,
    timezone,
    parts,
    effects,
    startMs,
    endMs,
    dir,
    powerTruth,
    wild: wild && new WildField(wild, options.seed),
    say,
  })
  const features = featuresOf(townFeatures(town), part)
  if (wild !== undefined) misregister(town, wild, features)
  for (const { properties: p } of features.features) {
    if (p.kind === 'electric_meter') p.interval_s = intervalMs / 1000
    if (p.kind !== 'dma') continue
    p.mean_demand_m3h = Math.round((inflowM3h[town.plan.districts.findIndex((_, d) => dmaId(d) === p.id)] as number) * 100) / 100
  }
  const put = (name: string, content: string) => writeFileSync(join(dir, name), content)
  put('assets.geojson', `${JSON.stringify(features)}\n`)
  const accounts = new Set(features.features.map((f) => (f.properties as { account?: string }).account ?? ''))
  put('accounts.csv', accountsCsv(town, accounts))
  put('tariffs.json', JSON.stringify(TOWN_TARIFFS, undefined, 1))
  put('operations.csv', operationsCsv([...water.operations, ...(storm?.operations ?? [])]))
  put('effects.jsonl', effects.map((e) => `${JSON.stringify(describe(town, e))}\n`).join(''))
  const count = { sensors: rows.readings - meterRows, meters: meterRows }
  const ofWater = () => waterLabels(town, water, losses, { scenario, seed: options.seed, startMs, endMs, warmupUntilMs, rows: count })
  if (parts.water) put('labels.json', `${JSON.stringify(ofWater(), null, 1)}\n`)
  if (powerTruth !== undefined) {
    put(parts.water ? 'labels-power.json' : 'labels.json', `${JSON.stringify(powerTruth.labels(effects), null, 1)}\n`)
    await powerTruth.write(dir, effects)
  }
  const meta = {
    name: scenario,
    timezone,
    start: toIso(startMs),
    end: toIso(endMs),
    warmupUntil: toIso(warmupUntilMs),
    intervalSeconds: parts.power ? intervalMs / 1000 : 3600,
    source: 'Meterstream simulator: EPANET hydraulics and load model, seeded',
    licence: 'Apache-2.0',
  }
  put('meta.json', `${JSON.stringify(meta, null, 1)}\n`)
  const counts = Object.groupBy(effects, (e) => e.type)
  const kinds = Object.fromEntries(Object.entries(counts).map(([k, list]) => [k, list?.length]))
  process.stdout.write(`${JSON.stringify({ type: 'dataset', dir, ...rows, effects: kinds })}\n`)
}

await main(wanted())
