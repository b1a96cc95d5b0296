// An edge agent as a process: entries come as JSON Lines on standard input, one reading or event a line as the native format has them;
// a line on standard output says up to which input line everything is safe on disk. Ends after the input when all is forwarded.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { type AgentEntry, startAgent } from './agent.ts'

const USAGE = `usage: node simulators/gateways/agent-cli.ts --gateway ID --spool DIR [--url mqtt://127.0.0.1:1883] [--flush MS] [--max-mb N]
  entries on standard input, one JSON object a line:
    {"device":"W-1","quantity":"water_volume_m3","ts":"2026-03-01T10:15:00Z","value":12.5}
    {"device":"E-2","event":"power_lost","ts":"2026-03-01T10:15:01Z"}
  on standard output: {"type":"kept","line":N,"seq":M} when all lines up to N are on disk
  MQTT_USERNAME and MQTT_PASSWORD from the environment`

/** Lines read and not yet on disk; beyond it the input waits. */
const PENDING_MAX = 5_000

const { values } = parseArgs({
  options: {
    gateway: { type: 'string' },
    spool: { type: 'string' },
    url: { type: 'string', default: process.env.MQTT_URL ?? 'mqtt://127.0.0.1:1883' },
    flush: { type: 'string', default: '2000' },
    'max-mb': { type: 'string', default: '1024' },
  },
})

/** A line that is one entry, or what is wrong with it. */
function entryOf(line: string): AgentEntry | string {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    return (error as Error).message
  }
  if (typeof value !== 'object' || value === null) return 'not an object'
  const e = value as Record<string, unknown>
  if (typeof e.device !== 'string' || typeof e.ts !== 'string') return 'device and ts must be texts'
  if (typeof e.event === 'string') return e as AgentEntry
  if (typeof e.quantity === 'string' && typeof e.value === 'number') return e as AgentEntry
  return 'neither quantity and value nor event'
}

async function main(gateway: string, dir: string): Promise<void> {
  const agent = startAgent({
    url: values.url,
    username: process.env.MQTT_USERNAME ?? '',
    password: process.env.MQTT_PASSWORD ?? '',
    gateway,
    dir,
    flushMs: Number(values.flush),
    spool: { maxBytes: Number(values['max-mb']) * 1024 * 1024 },
    onState: (state, detail) => process.stderr.write(`agent: ${state} ${detail}\n`),
  })
  const sleep = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms))
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopping = true
      process.stdin.destroy()
    })
  }
  let line = 0
  let bad = 0
  for await (const text of createInterface({ input: process.stdin })) {
    line++
    const entry = entryOf(text)
    if (typeof entry === 'string') {
      bad++
      process.stderr.write(`agent: line ${line}: ${entry}\n`)
      continue
    }
    const at = line
    lastTaken = at
    agent.put(entry, (seq) => {
      if (at === lastTaken) process.stdout.write(`${JSON.stringify({ type: 'kept', line: at, seq })}\n`)
    })
    while (agent.pending >= PENDING_MAX) await sleep(5)
  }
  agent.flush()
  while (agent.waiting > 0 && !stopping) await sleep(50)
  const { forwarded, dropped, waiting } = agent
  await agent.close()
  process.stderr.write(
    `agent: ${line} lines, ${bad} of them bad, ${forwarded} messages forwarded, ${waiting} kept for later, ${dropped} dropped\n`,
  )
}

/** The newest line handed to the agent: a message that holds it holds everything before it or finds it on disk. */
let lastTaken = 0

if (values.gateway === undefined || values.spool === undefined || /[/+#\s]/.test(values.gateway)) {
  process.stderr.write(`${USAGE}\n`)
  process.exitCode = 2
} else await main(values.gateway, values.spool)
