// npm start: the whole system with the simulated town, or with a data set. Progress line by line, then a table of the parts, then
// one live line. Ctrl-C stops all in order; a second one at once.
import { parseArgs } from 'node:util'
import { liveLine, partTable } from './screen.ts'
import { type System, startSystem } from './supervisor.ts'

const USAGE = `npm start -- [--data DIR] [--ports auto] [--fresh] [--no-simulator] [-- arguments of the simulator or the replay]
  --data DIR       import this data set and replay it, in place of the simulated town
  --ports auto     take free ports where the usual ones may be taken
  --fresh          remove all data first
  --no-simulator   only the system: real gateways feed it`

const LINE_EVERY_MS_TERMINAL = 1_000
const LINE_EVERY_MS_PLAIN = 10_000
const SAME_SIGNAL_MS = 500

const terminal = process.stdout.isTTY === true
const startedMs = performance.now()
let line = ''

/** A line above the live line. */
function say(text: string): void {
  if (terminal && line !== '') process.stdout.write('\r\x1b[K')
  const stamp = `${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  `
  process.stdout.write(`${text.startsWith('  ') ? '' : stamp}${text}\n`)
  if (terminal && line !== '') process.stdout.write(line)
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      data: { type: 'string' },
      ports: { type: 'string', default: 'usual' },
      fresh: { type: 'boolean', default: false },
      'no-simulator': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const { ports } = values
  if (ports !== 'usual' && ports !== 'auto') throw new Error(`--ports: "auto" or nothing, not "${ports}"`)
  return { ...values, ports, positionals } as const
}

function showScreen(system: System): void {
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  const lines = [
    '',
    `Meterstream runs (after ${seconds} s)`,
    '',
    partTable(system.parts),
    '',
    `  Control room   ${system.pageUrl}#token=${system.token}`,
    `  API            ${system.pageUrl}docs, bearer token as above (also in ${system.dataDir}/token)`,
    `  Logs           ${system.dataDir}/logs`,
    `  Stop           Ctrl-C`,
    '',
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

function showLiveLine(system: System): NodeJS.Timeout {
  const draw = () => {
    line = liveLine(system.numbers(), system.parts)
    if (terminal) {
      const width = process.stdout.columns || 120
      line = line.slice(0, width - 1)
      process.stdout.write(`\r\x1b[K${line}`)
    } else process.stdout.write(`${line}\n`)
  }
  draw()
  return setInterval(draw, terminal ? LINE_EVERY_MS_TERMINAL : LINE_EVERY_MS_PLAIN)
}

async function main(): Promise<void> {
  const { data, ports, fresh, help, positionals, 'no-simulator': noSimulator } = readArguments()
  if (help) return void process.stdout.write(`${USAGE}\n`)
  let system: System | undefined
  let signals = 0
  let timer: NodeJS.Timeout | undefined
  let firstMs = 0
  const stop = async (signal: string) => {
    // The terminal sends Ctrl-C to the whole group and npm passes it on again: within half a second it is the same one.
    if (signals > 0 && performance.now() - firstMs < SAME_SIGNAL_MS) return
    if (signals === 0) firstMs = performance.now()
    signals += 1
    if (signals > 1) {
      system?.kill()
      process.exit(130)
    }
    clearInterval(timer)
    if (terminal && line !== '') process.stdout.write('\n')
    line = ''
    say(
      system === undefined
        ? `${signal}: stopping as soon as the start is through; again to stop at once`
        : `${signal}: stopping; again to stop at once`,
    )
    if (system === undefined) return
    await system.stop()
    say('Stopped; the next start goes on with the same data')
    process.exit(0)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(signal))
  // A terminal that is gone must not keep the system from stopping.
  process.stdout.on('error', () => undefined)
  const env = process.env
  system = await startSystem({ ports, fresh, data, simulator: !noSimulator, simulatorArgs: positionals, env, say })
  if (signals > 0) {
    signals = 0
    return stop('now')
  }
  showScreen(system)
  timer = showLiveLine(system)
}

main().catch((error: Error) => {
  process.stderr.write(`\nstart: ${error.message}\n`)
  process.exit(1)
})
