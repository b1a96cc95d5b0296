// node simulators/dataset-cli.ts --out DIR: a labelled data set of a generated town, for scoring detectors on networks and faults that
// nobody tuned them on. labels.json has the shape that the water score reads.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { DAY_MS, parseIso, toIso } from '#model/time.ts'
import { drawFaults, type FaultOptions } from './dataset/faults.ts'
import { makeLosses, waterLabels } from './dataset/labels.ts'
import { writeRows } from './dataset/write.ts'
import { describe } from './scenarios/describe.ts'
import { dmaId, type FeatureCollection, townFeatures } from './town/features.ts'
import { accountsCsv, makeTown, operationsCsv } from './town.ts'
import { makeWorld, type Parts, STEP_MS } from './world.ts'

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
  --part water|power|both  (default water); labels are of the water part`

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
    part: { type: 'string', default: 'water' },
  },
})

function fail(problem: string): never {
  process.stderr.write(`dataset: ${problem}\n${USAGE}\n`)
  process.exit(2)
}

function number(name: 'town' | 'faults' | 'days' | 'warmup' | 'leaks' | 'customer-leaks', otherwise?: number): number {
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

async function main(): Promise<void> {
  if (values.out === undefined) fail('--out is missing')
  const dir = resolve(values.out)
  if (existsSync(join(dir, 'meta.json'))) fail(`${dir} already holds a data set`)
  const part = values.part as 'water' | 'power' | 'both'
  if (!['water', 'power', 'both'].includes(part)) fail(`--part must be water, power or both, not ${part}`)
  const seed = number('town')
  const startMs = parseIso(values.start)
  if (Number.isNaN(startMs)) fail('--start must be an ISO 8601 time with zone')
  const endMs = startMs + number('days') * DAY_MS
  const warmupUntilMs = startMs + number('warmup') * DAY_MS
  const leaksPerMonth = number('leaks')
  const options: FaultOptions = {
    seed: number('faults', seed),
    timezone: values.timezone,
    startMs,
    warmupUntilMs,
    endMs,
    leaksPerMonth,
    customerLeaks: leaksPerMonth === 0 ? 0 : number('customer-leaks'),
    confounders: !values['no-confounders'],
  }
  const town = makeTown(seed)
  const faults = drawFaults(town, options)
  const parts: Parts = { water: part !== 'power', power: part !== 'water' }
  const world = await makeWorld(town, values.timezone, parts)
  mkdirSync(dir, { recursive: true })
  const rows = writeRows(dir)
  const losses = makeLosses(startMs, endMs)
  const state = world.initial(startMs, faults.effects, Number.POSITIVE_INFINITY)
  const inflow = town.plan.districts.map(() => 0)
  let meterRows = 0
  for (let steps = 0; state.nextMs < endMs; steps++) {
    const atMs = state.nextMs
    const out = world.step(state, { liveMs: Number.POSITIVE_INFINITY, factor: 1, sequence: false })
    if (out.water !== undefined) {
      const { result, lossM3h } = out.water
      losses.add(atMs - STEP_MS, lossM3h, STEP_MS / 1000)
      town.water.flowMeters.forEach((f, i) => {
        for (const t of f.flows)
          inflow[t.district] = (inflow[t.district] as number) + (t.sign * (result.flowM3h[i] as number) * STEP_MS) / (endMs - startMs)
      })
    }
    for (const m of out.messages) {
      if (m.atMs >= endMs) continue
      if (m.kind === 'readings') meterRows += m.readings.filter((r) => r.quantity === 'water_volume_m3').length
      await rows.write(m)
    }
    if (steps % 2016 === 0) process.stderr.write(`dataset: ${toIso(atMs)}, ${rows.rows.readings} readings\n`)
  }
  world.close()
  await rows.close()
  const features = featuresOf(townFeatures(town), part)
  for (const { properties: p } of features.features) {
    if (p.kind === 'dma')
      p.mean_demand_m3h = Math.round((inflow[town.plan.districts.findIndex((_, d) => dmaId(d) === p.id)] as number) * 100) / 100
  }
  writeFileSync(join(dir, 'assets.geojson'), `${JSON.stringify(features)}\n`)
  writeFileSync(join(dir, 'accounts.csv'), accountsCsv(town))
  writeFileSync(join(dir, 'operations.csv'), operationsCsv(faults.operations))
  writeFileSync(join(dir, 'effects.jsonl'), faults.effects.map((e) => `${JSON.stringify(describe(town, e))}\n`).join(''))
  const name = `town-${seed}-faults-${options.seed}`
  if (parts.water) {
    const labels = waterLabels(town, faults, losses, {
      scenario: name,
      seed: options.seed,
      startMs,
      endMs,
      warmupUntilMs,
      rows: { sensors: rows.rows.readings - meterRows, meters: meterRows },
    })
    writeFileSync(join(dir, 'labels.json'), `${JSON.stringify(labels, null, 1)}\n`)
  }
  const meta = {
    name,
    timezone: values.timezone,
    start: toIso(startMs),
    end: toIso(endMs),
    warmupUntil: toIso(warmupUntilMs),
    intervalSeconds: parts.water ? 3600 : 900,
    source: 'Meterstream simulator: EPANET hydraulics and load model, seeded',
    licence: 'Apache-2.0',
  }
  writeFileSync(join(dir, 'meta.json'), `${JSON.stringify(meta, null, 1)}\n`)
  const leaks = faults.effects.filter((e) => e.type === 'leak').length
  process.stdout.write(
    `${JSON.stringify({ type: 'dataset', dir, ...rows.rows, leaks, customerLeaks: options.customerLeaks, confounders: faults.confounders.length })}\n`,
  )
}

await main()
