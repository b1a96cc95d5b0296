// npm run -s backtest -- --data DIR [--emit findings,intervals,days,tickets] [--settings FILE]
// The live system's folds over a data set. JSON lines on standard output, everything else on standard error.
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { readDataSet } from '../deploy/dataset.ts'
import { dataSetLog } from '../deploy/dataset-log.ts'
import { parseSettings } from '../ingest/settings.ts'
import { Backtest, EMITS, type Emit } from './backtest.ts'
import { TOPOLOGY } from './topology.ts'

const USAGE = 'usage: npm run -s backtest -- --data DIR [--emit findings,intervals,days,tickets] [--settings FILE]'
const OUT_CHARACTERS = 256 * 1024
const FAULTS_SHOWN_MAX = 20
const PROGRESS_EVERY_MS = 10_000

interface Arguments {
  data: string
  emit: Set<Emit>
  settings: string | undefined
}

function readArguments(argv: string[]): Arguments {
  const { values } = parseArgs({
    args: argv,
    options: { data: { type: 'string' }, emit: { type: 'string', default: 'findings' }, settings: { type: 'string' } },
  })
  if (values.data === undefined) throw new Error(USAGE)
  const emit = new Set<Emit>()
  for (const name of values.emit.split(',').map((s) => s.trim())) {
    const known = EMITS.find((e) => e === name)
    if (known === undefined) throw new Error(`--emit: there is no "${name}"; there are: ${EMITS.join(', ')}`)
    emit.add(known)
  }
  return { data: values.data, emit, settings: values.settings }
}

/** Standard output in large pieces, waiting when the reader is slow. */
function output() {
  let text = ''
  return {
    write(line: string): void {
      text += `${line}\n`
    },
    async drain(all: boolean): Promise<void> {
      if (text === '' || (!all && text.length < OUT_CHARACTERS)) return
      const piece = text
      text = ''
      await new Promise<void>((resolve, reject) => process.stdout.write(piece, (error) => (error ? reject(error) : resolve())))
    },
  }
}

async function main(): Promise<void> {
  const args = readArguments(process.argv.slice(2))
  const settings = parseSettings(args.settings === undefined ? '' : await readFile(args.settings, 'utf8'))
  const dataSet = await readDataSet(args.data)
  const say = (text: string) => process.stderr.write(`${text}\n`)
  for (const w of dataSet.warnings.slice(0, FAULTS_SHOWN_MAX)) say(`warning: ${w}`)
  if (dataSet.warnings.length > FAULTS_SHOWN_MAX) say(`warning: ... and ${dataSet.warnings.length - FAULTS_SHOWN_MAX} more`)

  const out = output()
  let faults = 0
  const backtest = new Backtest({
    topology: TOPOLOGY,
    emit: args.emit,
    write: out.write,
    onFault: (part, error) => {
      faults += 1
      if (faults <= FAULTS_SHOWN_MAX) say(`fault in ${part}: ${error instanceof Error ? error.stack : String(error)}`)
    },
  })
  const log = dataSetLog(dataSet, settings)
  let shownMs = Date.now()
  for await (const records of log.records()) {
    for (const r of records) backtest.apply(r)
    await out.drain(false)
    if (Date.now() - shownMs > PROGRESS_EVERY_MS) {
      shownMs = Date.now()
      say(`${backtest.counts.readings.toLocaleString('en')} readings ...`)
    }
  }
  backtest.end()
  await out.drain(true)

  const { quarantined, ...counts } = backtest.counts
  say(
    Object.entries({ messages: log.messages, ...counts })
      .map(([k, n]) => `${k} ${n}`)
      .join(', '),
  )
  say(`refused at the door ${JSON.stringify(log.refused)}, by validation ${JSON.stringify(quarantined)}`)
  say(`rules fired ${JSON.stringify(backtest.rulesFired())}`)
  say(`CPU ${cpuSeconds().toFixed(1)} s, faults ${faults}`)
  if (faults > 0) process.exitCode = 1
}

function cpuSeconds(): number {
  const { userCPUTime, systemCPUTime } = process.resourceUsage()
  return (userCPUTime + systemCPUTime) / 1e6
}

// A reader that has seen enough (head) is no problem.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})
main().catch((error: Error) => {
  process.stderr.write(`backtest: ${error.message}\n`)
  process.exitCode = 1
})
