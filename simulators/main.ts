// The simulator process: makes or finds the town's folder, sends its history, then lives. See README.md beside this file.
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseIso, toIso } from '#model/time.ts'
import { readConfig } from '#runtime/config.ts'
import { reportProgress, runService } from '#runtime/lifecycle.ts'
import { createLog } from '#runtime/log.ts'
import { toPacket } from './gateways/entry.ts'
import { isDown } from './gateways/field.ts'
import { leaveRequest, loadSaved, lock } from './position.ts'
import { connectPublisher, type Publisher } from './publisher.ts'
import { describe } from './scenarios/describe.ts'
import { SCENARIOS, scenarioNamed } from './scenarios/index.ts'
import { plannedEffects } from './scenarios/planned.ts'
import { historyEffects, planScenario } from './scenarios/sequence.ts'
import { type Progress, runSender } from './sender.ts'
import { makeThrottle } from './throttle.ts'
import { DEMO_SEED, makeTown, townDataSet } from './town.ts'
import { makeWorld, type WorldState } from './world.ts'

const HELP = `usage: node simulators/main.ts [options]
  --dir DIR          the town's folder (default: METERSTREAM_DATA_DIR/town); made when it is not there
  --seed N           the town (default 1)
  --factor N         simulated seconds per real second, live (default: SIM_FACTOR or 60)
  --scenario NAME    burst, outage, gateway ... at once and nothing else after it; none: nothing at all
  --trigger NAME     asks the simulator that runs from this folder for a scenario now, and ends
  --prepare          only makes the folder, and ends
`

/** Scenarios asked for on the command line are drawn under numbers from here; in the demo town the burst then shows well on the map. */
const FIRST_NUMBER = 93

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const { values: args } = parseArgs({
  options: {
    dir: { type: 'string' },
    seed: { type: 'string' },
    factor: { type: 'string' },
    scenario: { type: 'string' },
    trigger: { type: 'string' },
    prepare: { type: 'boolean' },
    help: { type: 'boolean' },
  },
})
const config = readConfig(process.env)
const log = createLog('simulator', config.LOG_LEVEL)
const seed = Number(args.seed ?? DEMO_SEED)
const factor = Number(args.factor ?? process.env.SIM_FACTOR ?? 60)
const scenario = args.scenario ?? process.env.SIM_SCENARIO
const dir = args.dir ?? join(config.METERSTREAM_DATA_DIR, 'town')
const own = join(dir, 'simulator')

if (args.help) process.stdout.write(HELP)
else if (!Number.isInteger(seed) || !(factor > 0)) {
  process.stderr.write(`--seed must be an integer and --factor a positive number\n${HELP}`)
  process.exitCode = 2
} else if (args.trigger !== undefined) {
  scenarioNamed(args.trigger)
  leaveRequest(own, args.trigger)
} else if (args.prepare) await townDataSet(dir, seed, { nowMs: Date.now() })
else {
  await runService({ log }, async (life) => {
    const meta = await townDataSet(dir, seed, { nowMs: Date.now() })
    mkdirSync(own, { recursive: true })
    life.onStop('lock', lock(own))
    const town = makeTown(seed)
    const world = await makeWorld(town, meta.timezone)
    const startMs = parseIso(meta.start)
    const liveMs = parseIso(meta.end)
    const saved = loadSaved(own, { seed, startMs }, (problem) => log.warn({ problem }, 'saved simulation'))
    if (scenario !== undefined && scenario !== 'none') scenarioNamed(scenario)
    const state = saved.state ?? firstState()
    if (scenario !== undefined && scenario !== 'none') begin(state, Math.max(liveMs, saved.position?.atMs ?? 0), scenario)
    const publisher = await connectPublisher({
      url: config.MQTT_URL,
      username: config.MQTT_USERNAME,
      password: config.MQTT_PASSWORD,
      clientId: `simulator-${seed}-${process.pid}`,
      onState: (s, detail) => log[s === 'connected' ? 'info' : 'warn']({ state: s, detail }, 'mqtt'),
    })
    await announce(publisher, state, saved.position?.atMs ?? startMs)
    const fromMs = saved.position?.atMs ?? startMs
    log.info({ town: town.plan.name, from: toIso(fromMs), history: fromMs < liveMs, factor }, 'sending')
    const done = runSender({
      world,
      state,
      publisher,
      dir: own,
      startMs,
      liveMs,
      factor,
      sequence: scenario === undefined,
      resumeAfter: saved.position,
      untilMs: Number.POSITIVE_INFINITY,
      throttle: makeThrottle({ url: `http://${config.HTTP_HOST}:${config.INGEST_PORT}/metrics`, clock: Date.now, sleep }),
      onEffects: (effects, atMs) => {
        for (const e of effects) {
          const line = { now: toIso(atMs), ...describe(town, e) }
          appendFileSync(join(own, 'journal.jsonl'), `${JSON.stringify(line)}\n`)
          log.info({ id: e.id, what: e.type, at: toIso(e.startMs) }, 'begins')
        }
      },
      onProgress: progressLog(),
      stopping: () => life.stopping,
      clock: Date.now,
      sleep,
    })
    life.onStop('simulation', async () => {
      await done
      await publisher.close()
      world.close()
    })
    done.catch((error: unknown) => {
      log.error({ err: error }, 'simulation failed')
      life.stop('simulation failed', 1)
    })

    function firstState(): WorldState {
      const planned = plannedEffects(town, { startMs, endMs: liveMs, timezone: meta.timezone })
      return world.initial(startMs, [...planned, ...historyEffects(town, startMs, planned)], liveMs)
    }

    /** Lets the one scenario begin ten seconds of real time after `atMs`, unless an earlier start did. */
    function begin(of: WorldState, atMs: number, name: string): void {
      const id = SCENARIOS.indexOf(scenarioNamed(name)) + FIRST_NUMBER
      if (of.effects.some((e) => e.id.startsWith(`${id}-`))) return
      of.effects.push(...planScenario(town, name, id, atMs + 10_000 * factor, of.effects))
    }

    async function announce(to: Publisher, of: WorldState, atMs: number): Promise<void> {
      for (const [i, g] of town.gateways.entries()) {
        const will = of.effects.some((e) => e.type === 'gateway_down' && e.will && e.gateway === i && isDown(seed, i, g.kind, atMs, [e]))
        await to.send(toPacket({ kind: 'status', atMs, gateway: g.id, online: !will }))
      }
    }
  })
}

/** One line in two seconds at most during the history, one in ten live. */
function progressLog(): (p: Progress) => void {
  let lastMs = 0
  let lastReadings = 0
  let wasLive = false
  return (p) => {
    const now = Date.now()
    if (now - lastMs < (p.live ? 10_000 : 2_000) && p.live === wasLive) return
    const perSecond = Math.round((p.readings - lastReadings) / Math.max(0.001, (now - lastMs) / 1000))
    const fields = {
      now: toIso(p.simMs),
      messages: p.messages,
      readings: p.readings,
      events: p.events,
      readingsPerSecond: lastMs === 0 ? 0 : perSecond,
    }
    reportProgress(p.live ? `simulated time ${fields.now.slice(0, 16).replace('T', ' ')}` : `history ${Math.floor(p.share * 100)} %`)
    if (p.live) log.info(fields, wasLive ? 'live' : 'history sent, live from here')
    else log.info({ ...fields, percent: Math.floor(p.share * 100) }, 'history')
    lastMs = now
    lastReadings = p.readings
    wasLive = p.live
  }
}
