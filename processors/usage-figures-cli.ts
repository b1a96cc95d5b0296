// node processors/usage-figures-cli.ts --data DIR [--data DIR ...] [--inject N] [--write docs/detection-usage.md]
// How well abnormal use is found: the live system's folds over labelled data sets, with N faults of each kind that data sets do not hold
// put in. With --write the part of the document between its marks is replaced. How to make data sets: node simulators/dataset-cli.ts.
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseIso } from '#model/time.ts'
import { readDataSet } from '../deploy/dataset.ts'
import { dataSetLog } from '../deploy/dataset-log.ts'
import { parseSettings } from '../ingest/settings.ts'
import { Backtest } from './backtest.ts'
import { TOPOLOGY } from './topology.ts'
import { inject, type Label } from './usage-figures/inject.ts'
import { addScores, type Said, type Score, score, table } from './usage-figures/score.ts'

const BEGIN = '<!-- figures: node processors/usage-figures-cli.ts -->'
const END = '<!-- end of figures -->'

interface Labels {
  abnormal?: { kind: string; meter_id: string; start: string }[]
}

async function figuresOf(dir: string, each: number): Promise<Score> {
  const dataSet = await readDataSet(dir)
  const labels = JSON.parse(await readFile(join(dir, 'labels.json'), 'utf8')) as Labels
  const known: Label[] = (labels.abnormal ?? []).map((a) => ({ kind: a.kind, meter: a.meter_id, startMs: parseIso(a.start) }))
  const log = dataSetLog(dataSet, parseSettings(''))
  const { warmupUntilMs, startMs = 0, endMs = 0 } = dataSet.meta
  const fromMs = Math.max(startMs, warmupUntilMs)
  const put = inject(log.defs, { seed: 1, each, warmupUntilMs: fromMs, endMs, taken: new Set(known.map((l) => l.meter)) })
  const said = new Map<string, Said>()
  const backtest = new Backtest({
    topology: TOPOLOGY,
    emit: new Set(['findings']),
    write(line) {
      const f = JSON.parse(line) as {
        type: string
        id: string
        kind: string
        subtype?: string
        scope: { id: string }
        detectedAt: string
        withdrawn?: boolean
      }
      if (f.type !== 'finding' || f.kind !== 'abnormal_usage') return
      if (f.withdrawn === true) said.delete(f.id)
      else if (!said.has(f.id)) said.set(f.id, { subtype: f.subtype ?? '', meter: f.scope.id, detectedMs: parseIso(f.detectedAt) })
    },
    onFault: (part, error) => {
      throw new Error(`${part}: ${error instanceof Error ? error.stack : String(error)}`)
    },
  })
  for await (const records of log.records()) for (const r of records) for (const x of put.apply(r)) backtest.apply(x)
  backtest.end()
  const meters = log.defs.reduce(
    (n, d) =>
      n + d.devices.filter(({ asset: a }) => a.kind === 'water_meter' || (a.kind === 'electric_meter' && a.role === 'customer')).length,
    0,
  )
  return score([...said.values()], [...known, ...put.labels], { meters, fromMs, toMs: endMs })
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { data: { type: 'string', multiple: true }, inject: { type: 'string', default: '4' }, write: { type: 'string' } },
  })
  if (values.data === undefined)
    throw new Error('usage: node processors/usage-figures-cli.ts --data DIR [--data DIR ...] [--inject N] [--write FILE]')
  const scores: Score[] = []
  const lines: string[] = []
  for (const dir of values.data) {
    const s = await figuresOf(dir, Number(values.inject))
    scores.push(s)
    lines.push(`**${basename(dir)}**, ${Math.round(s.meterMonths)} meter-months:`, '', ...table(s), '')
    process.stderr.write(`${dir} done\n`)
  }
  if (scores.length > 1) {
    const all = addScores(scores)
    lines.push(`**All together**, ${Math.round(all.meterMonths)} meter-months:`, '', ...table(all), '')
  }
  process.stdout.write(`${lines.join('\n')}\n`)
  if (values.write === undefined) return
  const text = await readFile(values.write, 'utf8')
  const from = text.indexOf(BEGIN)
  const to = text.indexOf(END)
  if (from < 0 || to < from) throw new Error(`${values.write}: has no place for the figures (${BEGIN} ... ${END})`)
  await writeFile(values.write, `${text.slice(0, from + BEGIN.length)}\n\n${lines.join('\n')}\n${text.slice(to)}`)
}

main().catch((error: Error) => {
  process.stderr.write(`figures: ${error.message}\n`)
  process.exitCode = 1
})
