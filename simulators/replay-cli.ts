// npm run -s replay -- --data DIR [--speed N|max] [--import] [--restart]: publishes a data set to the running system over MQTT.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { toIso } from '#model/time.ts'
import { readConfig } from '#runtime/config.ts'
import { reportProgress } from '#runtime/lifecycle.ts'
import { createLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { type DataSet, readDataSet } from '../deploy/dataset.ts'
import { importDataSet } from '../deploy/import.ts'
import { connectPublisher } from './publisher.ts'
import { type ReplayTotals, replay } from './replay.ts'
import { makeThrottle } from './throttle.ts'

const USAGE = `usage: npm run -s replay -- --data DIR [--speed N|max] [--import] [--restart]
  --speed     data seconds per real second; max (the default): as fast as ingest takes it
  --import    first puts the folder's assets, accounts and operations into the registry, in place of what is there
  --restart   begins anew where an earlier replay of the folder was broken off (else it goes on after it)`

const PROGRESS_MS = 2_000
const sleep = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))

interface Saved {
  dir: string
  acknowledged: number
  done: boolean
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      speed: { type: 'string', default: 'max' },
      import: { type: 'boolean', default: false },
      restart: { type: 'boolean', default: false },
    },
  })
  if (values.data === undefined) throw new Error(USAGE)
  const speed = values.speed === 'max' ? Number.POSITIVE_INFINITY : Number(values.speed)
  if (!(speed > 0)) throw new Error(`--speed must be a positive number or max, not ${values.speed}\n${USAGE}`)
  const config = readConfig(process.env)
  const dir = resolve(values.data)
  const dataSet = await readDataSet(dir)
  if (values.import) {
    const pool = createPool({ url: config.POSTGRES_URL, log: createLog('replay', config.LOG_LEVEL), name: 'replay' })
    try {
      await importDataSet(pool, dir)
    } finally {
      await pool.end()
    }
  }
  const file = join(config.METERSTREAM_DATA_DIR, 'replay', `${createHash('sha256').update(dir).digest('hex').slice(0, 16)}.json`)
  const saved = values.restart ? undefined : readSaved(file)
  const skip = saved === undefined || saved.done ? 0 : saved.acknowledged
  if (skip > 0) process.stderr.write(`replay: going on after message ${skip} (--restart begins anew)\n`)
  const stopping = onSignals()

  const publisher = await connectPublisher({
    url: config.MQTT_URL,
    username: config.MQTT_USERNAME,
    password: config.MQTT_PASSWORD,
    clientId: `replay-${process.pid}`,
    onState: (state, detail) => process.stderr.write(`replay: mqtt ${state} ${detail}\n`),
  })
  const save = (acknowledged: number, done: boolean): void => writeSaved(file, { dir, acknowledged, done })
  const result = await replay({
    messages: dataSet.messages(),
    publisher,
    speed,
    skip,
    end: endOf(dataSet),
    throttle: makeThrottle({ url: `http://${config.HTTP_HOST}:${config.INGEST_PORT}/metrics`, clock: Date.now, sleep }),
    onProgress: progress(dataSet, (totals) => save(totals.acknowledged, false)),
    stopping,
    clock: Date.now,
    sleep,
  })
  save(result.acknowledged, result.complete)
  await publisher.close()
  const { complete, messages, readings, events, unreadableRows } = result
  process.stdout.write(
    `${JSON.stringify({ type: 'replayed', complete, messages, readings, events, unreadableRows, until: toIso(result.nowMs) })}\n`,
  )
  process.exitCode = complete ? 0 : 1
}

/** A first signal, or the loss of the supervisor, ends the sending in order; a second one ends the process. */
function onSignals(): () => boolean {
  let wanted = false
  const ask = (): void => {
    if (wanted) process.exit(130)
    wanted = true
  }
  process.on('SIGINT', ask)
  process.on('SIGTERM', ask)
  if (process.connected) {
    process.on('disconnect', ask)
    // Listening must not keep the process alive when its work is done.
    process.channel?.unref()
  }
  return () => wanted
}

function endOf(dataSet: DataSet): { gateway: string; atMs: number } | undefined {
  const gateway = dataSet.features.find((f) => f.properties.kind === 'gateway')?.properties.id
  const { endMs } = dataSet.meta
  return gateway === undefined || endMs === undefined ? undefined : { gateway, atMs: endMs }
}

function readSaved(file: string): Saved | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Saved) : undefined
}

function writeSaved(file: string, saved: Saved): void {
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(`${file}.part`, `${JSON.stringify(saved)}\n`)
  renameSync(`${file}.part`, file)
}

/** A line in two seconds at most, to people and to a supervisor. */
function progress(dataSet: DataSet, also: (totals: ReplayTotals) => void): (totals: ReplayTotals) => void {
  const { startMs, endMs } = dataSet.meta
  let lastMs = Date.now()
  let lastReadings = 0
  return (totals) => {
    const now = Date.now()
    if (now - lastMs < PROGRESS_MS) return
    const perSecond = Math.round(((totals.readings - lastReadings) * 1000) / (now - lastMs))
    const share =
      startMs === undefined || endMs === undefined ? '' : `${Math.floor(((totals.nowMs - startMs) / (endMs - startMs)) * 100)} %, `
    process.stderr.write(`replay: ${share}${toIso(totals.nowMs)}, ${totals.readings} readings, ${perSecond}/s\n`)
    reportProgress(`replay ${share}${toIso(totals.nowMs).slice(0, 16)}`)
    also(totals)
    lastMs = now
    lastReadings = totals.readings
  }
}

main().catch((error: Error) => {
  process.stderr.write(`replay: ${error.message}\n`)
  process.exitCode = 1
})
