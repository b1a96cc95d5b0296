// Kafka, one KRaft node on loopback, sized for a small machine.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import kafkajs from 'kafkajs'
import { LIB_DIR } from './paths.ts'
import type { ServerSpec } from './spec.ts'

// Fixed: a data folder is only ever used by its own single node.
const CLUSTER_ID = 'MeterstreamLocalKafka0'
const JVM = [
  '-Xms128m',
  '-Xmx512m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=4',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
]

function properties(dir: string, port: number, controllerPort: number): string {
  return `${Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'listeners': `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': join(dir, 'data'),
    // Topics are created with their partition counts by ours, never by a typing error.
    'auto.create.topics.enable': false,
    'num.partitions': 1,
    'default.replication.factor': 1,
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'message.max.bytes': 16 * 1024 * 1024,
    'replica.fetch.max.bytes': 16 * 1024 * 1024,
    'log.retention.hours': 168,
    'log.segment.bytes': 256 * 1024 * 1024,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'num.recovery.threads.per.data.dir': 2,
    'log.cleaner.threads': 1,
    'log.cleaner.dedupe.buffer.size': 32 * 1024 * 1024,
    'group.coordinator.threads': 1,
    'share.coordinator.threads': 1,
    // After a kill -9 the node may take its own id again once its old session has ended.
    'broker.session.timeout.ms': 4000,
    'broker.heartbeat.interval.ms': 500,
  })
    .map(([k, v]) => `${k}=${v}`)
    .join('\n')}\n`
}

function run(args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (d) => (output += d))
    child.stderr.on('data', (d) => (output += d))
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`Kafka could not format its folder: ${output.trim()}`))))
  })
}

/** Formats the folder when it is new. `dir` is Kafka's own. */
export async function kafkaSpec(dir: string, port: number, controllerPort: number): Promise<ServerSpec> {
  mkdirSync(dir, { recursive: true })
  const config = join(dir, 'server.properties')
  writeFileSync(config, properties(dir, port, controllerPort))
  const classpath = join(LIB_DIR, '*')
  if (!existsSync(join(dir, 'data', 'meta.properties'))) {
    await run([
      '-Xmx128m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
      '-cp',
      classpath,
      'kafka.tools.StorageTool',
      'format',
      '--ignore-formatted',
      '-t',
      CLUSTER_ID,
      '-c',
      config,
    ])
  }
  return {
    name: 'kafka',
    dir,
    command: 'java',
    args: [...JVM, '-cp', classpath, 'kafka.Kafka', config],
    stopSignal: 'SIGTERM',
    stopMsMax: 15_000,
    readyMsMax: 60_000,
    ready: () => kafkaReady(port),
  }
}

async function kafkaReady(port: number): Promise<void> {
  const client = new kafkajs.Kafka({
    brokers: [`127.0.0.1:${port}`],
    connectionTimeout: 1000,
    requestTimeout: 3000,
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 0 },
  })
  const admin = client.admin()
  try {
    await admin.connect()
    const { brokers } = await admin.describeCluster()
    if (brokers.length === 0) throw new Error('no broker registered yet')
    // Makes the topic of group offsets on a first start and waits until its coordinator has loaded it: consumers join at once.
    await admin.describeGroups(['meterstream-probe'])
  } finally {
    await admin.disconnect()
  }
}
