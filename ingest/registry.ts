// The registry as ingest keeps it: read from PostgreSQL, read again when it changes, and handed to the pipeline as changes, so that
// the log gets a zone's new definition before any reading routed by it.
import { hash } from 'node:crypto'
import type { Operation, ZoneDef } from '#model/asset.ts'
import { operationRouter } from '#model/operations.ts'
import type { Log } from '#runtime/log.ts'
import type { Pool } from '#runtime/postgres.ts'
import { listen } from '#runtime/postgres-listen.ts'
import { type RegistrySnapshot, readRegistry, readRevision, type StoredOperation, writePublished } from './registry-read.ts'
import { EMPTY_REGISTRY, type RegistryView } from './registry-view.ts'
import type { Settings } from './settings.ts'

const POLL_MS = 30_000
/** Changes come in bursts: an import is many statements. */
const SETTLE_MS = 200
/** Reading a registry of a million assets takes seconds; then it is read at most a tenth of the time. */
const REST_FACTOR = 10

/** What the log must be told now, and the view by which readings are routed from then on. */
export interface RegistryChange {
  view: RegistryView
  defs: readonly ZoneDef[]
  settings: readonly { zone: string; settings: Record<string, unknown> }[]
  /** Call when the log has it. */
  published(): void
}

export interface DueOperation {
  operation: Operation
  zones: readonly string[]
  id: string
}

export interface Registry {
  readonly view: RegistryView
  /** The newest change that was not taken yet. */
  take(): RegistryChange | undefined
  /** Operations known at this log time and not handed out yet, oldest first. */
  due(logMs: number): DueOperation[]
  /** The log has these. */
  publishedOperations(ids: readonly string[]): void
  /** Reads the registry if it changed since. @throws when the database is away. */
  refresh(always: boolean): Promise<void>
  /** Milliseconds since the registry was last known to be current. */
  ageMs(): number
  close(): Promise<void>
}

export interface RegistryOptions {
  pool: Pool
  url: string
  /** The log that is told: Kafka cluster id and prefix. */
  cluster: string
  timezone: string
  settings: Settings
  log: Log
  /** There is a change to take. */
  onChange(): void
}

/** Reads the registry once; afterwards it follows changes. @throws when the database is away now. */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const registry = new FollowedRegistry(options)
  await registry.refresh(true)
  registry.follow()
  return registry
}

const versionOf = (value: unknown): string => hash('sha256', JSON.stringify(value), 'hex').slice(0, 16)

class FollowedRegistry implements Registry {
  view: RegistryView = EMPTY_REGISTRY
  readonly #options: RegistryOptions
  #revision: string | undefined
  #change: RegistryChange | undefined
  #operations: StoredOperation[] = []
  #operationZones: (o: Operation) => string[] = () => []
  readonly #handedOut = new Set<string>()
  #currentMs = 0
  #restUntilMs = 0
  #closed = false
  #timer: NodeJS.Timeout | undefined
  #listener: { close(): Promise<void> } | undefined
  #refreshing: Promise<void> | undefined
  #writes: Promise<void> = Promise.resolve()

  constructor(options: RegistryOptions) {
    this.#options = options
  }

  follow(): void {
    const { url, log } = this.#options
    this.#listener = listen({ url, channel: 'registry_changed', log, onNotify: () => this.#schedule(SETTLE_MS) })
    this.#schedule(POLL_MS)
  }

  #schedule(inMs: number): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    const waitMs = Math.max(inMs, this.#restUntilMs - performance.now())
    this.#timer = setTimeout(() => {
      this.refresh(false)
        .catch((error: Error) => this.#options.log.warn({ error: error.message }, 'cannot read the registry, going on with the last one'))
        .finally(() => this.#schedule(POLL_MS))
    }, waitMs)
  }

  /** Reads the registry if it changed since. */
  refresh(always: boolean): Promise<void> {
    this.#refreshing ??= this.#read(always).finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #read(always: boolean): Promise<void> {
    const { pool, cluster, timezone, log } = this.#options
    const began = performance.now()
    if (!always && (await readRevision(pool)) === this.#revision) {
      this.#currentMs = performance.now()
      return
    }
    // What is known to be published must be in what is read now.
    await this.#writes
    const snapshot = await readRegistry(pool, cluster, timezone, log)
    this.#restUntilMs = performance.now() + (performance.now() - began) * REST_FACTOR
    this.#currentMs = performance.now()
    this.#revision = snapshot.revision
    this.#apply(snapshot)
    log.info(
      {
        assets: snapshot.view.devices.size,
        zones: snapshot.defs.length,
        revision: snapshot.revision,
        ms: Math.round(performance.now() - began),
      },
      'registry read',
    )
    this.#options.onChange()
  }

  #apply(snapshot: RegistrySnapshot): void {
    const { published, defs, view } = snapshot
    const changed = defs.filter((d) => published.zones.get(d.zone) !== d.version)
    const present = new Set(defs.map((d) => d.zone))
    const gone = [...published.zones].filter(([zone, version]) => !present.has(zone) && version !== GONE).map(([zone]) => goneZone(zone))
    const settings = this.#changedSettings(snapshot)
    this.#operations = snapshot.operations.filter((o) => !published.operations.has(o.id) && !this.#handedOut.has(o.id))
    this.#operationZones = operationRouter(defs)
    const all = [...changed, ...gone]
    this.#change = {
      view,
      defs: all,
      settings: settings.map(({ zone, value }) => ({ zone, settings: value })),
      published: () =>
        this.#remember({
          zones: all.map((d) => [d.zone, d.version]),
          operations: [],
          settings: settings.map(({ zone, version }) => [zone, version]),
        }),
    }
  }

  #changedSettings({ defs, published }: RegistrySnapshot): { zone: string; value: Record<string, unknown>; version: string }[] {
    const { detectors, zones } = this.#options.settings
    return defs.flatMap(({ zone }) => {
      const value = { ...detectors, ...zones[zone]?.detectors }
      const version = versionOf(value)
      const known = published.settings.get(zone) ?? versionOf({})
      return known === version ? [] : [{ zone, value, version }]
    })
  }

  take(): RegistryChange | undefined {
    const change = this.#change
    this.#change = undefined
    if (change !== undefined) this.view = change.view
    return change
  }

  due(logMs: number): DueOperation[] {
    const due: DueOperation[] = []
    while (this.#operations.length > 0 && (this.#operations[0] as StoredOperation).knownAtMs <= logMs) {
      const { id, ...operation } = this.#operations.shift() as StoredOperation
      this.#handedOut.add(id)
      due.push({ id, operation, zones: this.#operationZones(operation) })
    }
    return due
  }

  publishedOperations(ids: readonly string[]): void {
    if (ids.length > 0) this.#remember({ zones: [], operations: ids, settings: [] })
  }

  /** A write that fails costs a repetition after the next start, which the folds recognise. */
  #remember(what: Parameters<typeof writePublished>[2]): void {
    const { pool, cluster, log } = this.#options
    this.#writes = this.#writes
      .then(() => writePublished(pool, cluster, what))
      .catch((error: Error) =>
        log.warn({ error: error.message }, 'cannot remember what the log was given: it is given again after a restart'),
      )
  }

  ageMs(): number {
    return performance.now() - this.#currentMs
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#listener?.close()
    await this.#refreshing?.catch(() => undefined)
    await this.#writes
  }
}

/** Version of a zone that is no more. */
const GONE = 'gone'

/** A zone without anything: its fold lets go of its devices, so that their silence is no finding. */
function goneZone(zone: string): ZoneDef {
  return {
    zone,
    kind: 'network',
    version: GONE,
    timezone: 'UTC',
    warmupUntilMs: 0,
    area: undefined,
    devices: [],
    transformers: [],
    network: [],
    gateways: [],
  }
}
