// Processors with a plain topology as a child process, for tests that kill it: reads the usual environment, prints `ready`, runs until told to stop.

import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { readConfig } from '#runtime/config.ts'
import { runService } from '#runtime/lifecycle.ts'
import { createLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import type { NetworkDetector } from './fold.ts'
import { startProcessors } from './service.ts'
import type { Topology } from './topology.ts'
import { plainValidator, talker } from './zone-fold.fixture.ts'

/** Says something at every seventh summary. */
const listener: NetworkDetector<{ n: number }, Record<string, never>> = {
  name: 'listener',
  kinds: ['leak'],
  topics: ['high', 'event', 'gateway', 'operation'],
  settings: z.object({}) as never,
  create: () => ({ n: 0 }),
  onSummary(s, summary, ctx) {
    s.n += 1
    if (s.n % 7 !== 0) return
    const scope = { type: 'dma', id: summary.zone } as const
    ctx.emit(summary.zone, {
      kind: 'leak',
      scope,
      onsetMs: summary.atMs,
      severity: 'major',
      confidence: 0.8,
      reason: `summary-${s.n}`,
      evidence: [],
    })
  },
}

export const PLAIN_TOPOLOGY: Topology = { validator: plainValidator, detectors: [talker], networkDetectors: [listener] }

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const config = readConfig(process.env)
  const log = createLog('processors-fixture', config.LOG_LEVEL)
  await runService({ log }, async (life) => {
    await startProcessors({
      config,
      log,
      life,
      registry: createRegistry('fixture'),
      topology: PLAIN_TOPOLOGY,
      owner: String(process.pid),
      checkpointMs: 500,
      sessionTimeoutMs: 6_000,
    })
    process.stdout.write('ready\n')
  })
}
