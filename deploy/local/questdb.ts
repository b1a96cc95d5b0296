// QuestDB on loopback: HTTP only (ILP and SQL), few workers that sleep early, because its idle threads cost more than its work.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findJar } from './install.ts'
import type { ServerSpec } from './spec.ts'

const POOLS = ['SHARED_WORKER', 'HTTP_WORKER', 'WAL_APPLY_WORKER', 'MAT_VIEW_REFRESH_WORKER', 'VIEW_COMPILER_WORKER', 'EXPORT_WORKER']

/** Measured: these thresholds and level ERROR make 5,000 rows/s 2.3 times cheaper than the defaults. */
function environment(port: number): Record<string, string> {
  const env: Record<string, string> = {
    QDB_HTTP_BIND_TO: `127.0.0.1:${port}`,
    QDB_HTTP_MIN_ENABLED: 'false',
    QDB_PG_ENABLED: 'false',
    QDB_LINE_TCP_ENABLED: 'false',
    QDB_LINE_UDP_ENABLED: 'false',
    QDB_TELEMETRY_ENABLED: 'false',
    QDB_TELEMETRY_DISABLE_COMPLETELY: 'true',
    QDB_POSTHOG_ENABLED: 'false',
    QDB_CAIRO_MAT_VIEW_ENABLED: 'false',
    QDB_SHARED_NETWORK_WORKER_COUNT: '1',
    QDB_SHARED_QUERY_WORKER_COUNT: '1',
    QDB_SHARED_WRITE_WORKER_COUNT: '1',
    QDB_WAL_APPLY_WORKER_COUNT: '1',
    QDB_VIEW_COMPILER_WORKER_COUNT: '1',
    QDB_EXPORT_WORKER_COUNT: '1',
  }
  for (const pool of POOLS) {
    env[`QDB_${pool}_YIELD_THRESHOLD`] = '1'
    env[`QDB_${pool}_NAP_THRESHOLD`] = '2'
    env[`QDB_${pool}_SLEEP_THRESHOLD`] = '1000'
  }
  return env
}

const LOG_CONF = 'writers=stdout\nw.stdout.class=io.questdb.log.LogConsoleWriter\nw.stdout.level=ERROR,CRITICAL\n'

/** `dir` is QuestDB's own. */
export async function questdbSpec(dir: string, port: number): Promise<ServerSpec> {
  mkdirSync(join(dir, 'conf'), { recursive: true })
  // QuestDB unpacks its native library at each start and leaves it behind when killed: not in the machine's /tmp.
  const temporary = join(dir, 'tmp')
  rmSync(temporary, { recursive: true, force: true })
  mkdirSync(temporary)
  writeFileSync(join(dir, 'conf', 'log.conf'), LOG_CONF)
  const modules = `${findJar('questdb')}:${findJar('jspecify')}`
  return {
    name: 'questdb',
    dir,
    command: 'java',
    args: [
      '-Xmx2g',
      '-XX:+UseParallelGC',
      `-Djava.io.tmpdir=${temporary}`,
      '-p',
      modules,
      '-m',
      'io.questdb/io.questdb.ServerMain',
      '-d',
      dir,
    ],
    env: environment(port),
    stopSignal: 'SIGTERM',
    stopMsMax: 15_000,
    readyMsMax: 60_000,
    ready: async () => {
      const response = await fetch(`http://127.0.0.1:${port}/exec?query=select%201`, { signal: AbortSignal.timeout(2000) })
      if (!response.ok) throw new Error(`HTTP ${response.status}`)
      await response.arrayBuffer()
    },
  }
}
