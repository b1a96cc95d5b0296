// The process `processors`: wires, and nothing else.
import { hostname } from 'node:os'
import { readConfig } from '#runtime/config.ts'
import { startHealthServer } from '#runtime/http.ts'
import { runService } from '#runtime/lifecycle.ts'
import { createLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { type Processors, startProcessors } from './service.ts'
import { TOPOLOGY } from './topology.ts'

const config = readConfig(process.env)
const log = createLog('processors', config.LOG_LEVEL)

await runService({ log }, async (life) => {
  const registry = createRegistry('processors')
  let processors: Processors | undefined
  const health = await startHealthServer({
    host: config.HTTP_HOST,
    port: config.PROCESSORS_PORT,
    registry,
    live: () => true,
    ready: () => {
      const problem = processors === undefined ? 'starting' : processors.problem()
      return { ok: problem === undefined, details: { processors: problem ?? 'ready' } }
    },
  })
  life.onStop('health', () => health.close())
  processors = await startProcessors({ config, log, registry, topology: TOPOLOGY, life, owner: `${hostname()}-${process.pid}` })
  log.info({ url: health.url }, 'processors run')
})
