// A data set folder, read as the contract says: the registry part at once, readings and events as a stream in order of arrival,
// and the messages that gateways would have sent. Backtest and replay both read it here, so that they agree to the last row.

import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { z } from 'zod'
import { Account, AssetFeature, NETWORK_ZONE, OPERATION_KINDS, OPERATION_SCOPES, type Operation } from '#model/asset.ts'
import { isTimezone, parseIso } from '#model/time.ts'
import type { RegistryMeta } from '#model/zones.ts'
import { parseTariff } from '#tariff/tariff.ts'
import { type MessageOrRefusal, messagesOf } from './dataset-messages.ts'
import { mergedRows, type RowBatch } from './dataset-rows.ts'

export type { DataSetMessage, DataSetRefusal, MessageOrRefusal } from './dataset-messages.ts'
export { nativePayload } from './dataset-messages.ts'

const PROBLEMS_MAX = 20

/** A folder that cannot be used; the message has one line a problem (at most 20), each with file, entry and field. */
export class DataSetError extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    const more = problems.length > PROBLEMS_MAX ? [`... and ${problems.length - PROBLEMS_MAX} more`] : []
    super([...problems.slice(0, PROBLEMS_MAX), ...more].join('\n'))
    this.name = 'DataSetError'
    this.problems = problems
  }
}

const isoOrNothing = z.string().nullish()

const MetaFile = z.looseObject({
  name: z.string().default(''),
  timezone: z.string().refine(isTimezone, 'not an IANA time zone'),
  start: isoOrNothing,
  end: isoOrNothing,
  warmupUntil: isoOrNothing,
  intervalSeconds: z.number().positive().nullish(),
  source: z.string().nullish(),
  licence: z.string().nullish(),
})

export interface DataSetMeta extends RegistryMeta {
  name: string
  intervalSeconds: number | undefined
  startMs: number | undefined
  endMs: number | undefined
}

export interface TariffFile {
  code: string
  commodity: string
  body: unknown
  valid: boolean
}

export interface RegistryFiles {
  meta: DataSetMeta
  features: AssetFeature[]
  accounts: Account[]
  operations: Operation[]
  /** Of tariffs.json, as they stand there: one that is not valid is kept for the data-quality list. */
  tariffs: TariffFile[]
  /** Names of things that nothing defines: usable, but worth a look. */
  warnings: string[]
}

export interface DataSet extends RegistryFiles {
  /** Readings and events in order of arrival, in batches of a few thousand. */
  rows(): AsyncIterable<RowBatch>
  messages(): AsyncIterable<MessageOrRefusal>
}

/** @throws DataSetError */
export async function readDataSet(dir: string): Promise<DataSet> {
  const registry = await readRegistryFiles(dir)
  const names = readdirSync(dir)
    .filter((n) => /^readings.*\.csv\.gz$/.test(n))
    .sort()
  if (existsSync(join(dir, 'events.csv.gz'))) names.push('events.csv.gz')
  const rows = () => mergedRows(dir, names)
  return { ...registry, rows, messages: () => messagesOf(rows()) }
}

/** The messages of a folder, in order; see dataset-messages.ts for how rows become messages. @throws DataSetError */
export async function* messages(dir: string): AsyncIterable<MessageOrRefusal> {
  yield* (await readDataSet(dir)).messages()
}

/** Reads assets.geojson, accounts.csv, operations.csv, tariffs.json and meta.json. Accounts, operations and tariffs may be absent. @throws DataSetError */
export async function readRegistryFiles(dir: string): Promise<RegistryFiles> {
  const problems: string[] = []
  const meta = await readMeta(dir, problems)
  const features = await readAssets(dir, problems)
  const accounts = await readAccounts(dir, problems)
  const operations = await readOperations(dir, problems)
  const wrong: string[] = []
  const tariffs = await readTariffs(dir, problems, wrong)
  if (problems.length > 0 || meta === undefined) throw new DataSetError(problems)
  return { meta, features, accounts, operations, tariffs, warnings: [...dangling(features, accounts), ...wrong] }
}

async function readText(dir: string, file: string, problems: string[]): Promise<string | undefined> {
  try {
    return await readFile(join(dir, file), 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    problems.push(`${file}: ${code === 'ENOENT' ? `not in ${dir}` : message}`)
    return undefined
  }
}

async function readJson(dir: string, file: string, problems: string[]): Promise<unknown> {
  const text = await readText(dir, file, problems)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    problems.push(`${file}: not JSON: ${(error as Error).message}`)
    return undefined
  }
}

async function readMeta(dir: string, problems: string[]): Promise<DataSetMeta | undefined> {
  const json = await readJson(dir, 'meta.json', problems)
  if (json === undefined) return undefined
  const parsed = MetaFile.safeParse(json)
  if (!parsed.success) {
    for (const issue of parsed.error.issues) problems.push(`meta.json: ${issue.path.join('.') || 'content'}: ${issue.message}`)
    return undefined
  }
  const time = (field: 'start' | 'end' | 'warmupUntil'): number | undefined => {
    const text = parsed.data[field]
    if (text === undefined || text === null || text === '') return undefined
    const ms = parseIso(text)
    if (Number.isNaN(ms)) problems.push(`meta.json: ${field}: not an ISO 8601 time with zone: ${text}`)
    return ms
  }
  const { name, timezone, intervalSeconds } = parsed.data
  return {
    name,
    timezone,
    warmupUntilMs: time('warmupUntil') ?? 0,
    startMs: time('start'),
    endMs: time('end'),
    intervalSeconds: intervalSeconds ?? undefined,
  }
}

async function readAssets(dir: string, problems: string[]): Promise<AssetFeature[]> {
  const json = await readJson(dir, 'assets.geojson', problems)
  if (json === undefined) return []
  const list = (json as { features?: unknown }).features
  if (!Array.isArray(list)) {
    problems.push('assets.geojson: features: expected an array (a GeoJSON FeatureCollection)')
    return []
  }
  const features: AssetFeature[] = []
  const seen = new Map<string, number>()
  for (const [i, item] of list.entries()) {
    const id = (item as { properties?: { id?: unknown } } | null)?.properties?.id
    const where = `assets.geojson: features[${i}]${typeof id === 'string' ? ` (id ${id})` : ''}`
    const parsed = AssetFeature.safeParse(item)
    if (!parsed.success) {
      for (const issue of parsed.error.issues) problems.push(`${where}: ${issue.path.join('.') || 'feature'}: ${issue.message}`)
      continue
    }
    const asset = parsed.data.properties
    const first = seen.get(asset.id)
    if (first !== undefined) problems.push(`${where}: properties.id: already used by features[${first}]`)
    else if (asset.id === NETWORK_ZONE && (asset.kind === 'dma' || asset.kind === 'feeder')) {
      problems.push(`${where}: properties.id: "${NETWORK_ZONE}" is reserved for what belongs to no district or feeder`)
    }
    seen.set(asset.id, i)
    features.push(parsed.data)
  }
  return features
}

/** Tariffs, an array; `wrong` gets what makes one of them unusable, field by field. */
async function readTariffs(dir: string, problems: string[], wrong: string[]): Promise<TariffFile[]> {
  if (!existsSync(join(dir, 'tariffs.json'))) return []
  const json = await readJson(dir, 'tariffs.json', problems)
  if (json === undefined) return []
  if (!Array.isArray(json)) {
    problems.push('tariffs.json: expected an array of tariffs')
    return []
  }
  const out = new Map<string, TariffFile>()
  for (const [i, body] of json.entries()) {
    const { code, commodity } = (body ?? {}) as { code?: unknown; commodity?: unknown }
    if (typeof code !== 'string' || code === '') {
      problems.push(`tariffs.json: [${i}].code: expected the tariff's code`)
      continue
    }
    if (out.has(code)) problems.push(`tariffs.json: [${i}].code: ${code} stands there twice`)
    const parsed = parseTariff(body)
    if (!parsed.ok) wrong.push(...parsed.errors.map((e) => `tariffs.json: ${code}: ${e.field}: ${e.message}`))
    out.set(code, { code, commodity: typeof commodity === 'string' ? commodity : '', body, valid: parsed.ok })
  }
  return [...out.values()]
}

/** Rows of a small CSV file with the line each stands on; an absent file has none. */
async function readCsv(dir: string, file: string, problems: string[]): Promise<{ line: number; row: Record<string, string> }[]> {
  if (!existsSync(join(dir, file))) return []
  const text = await readText(dir, file, problems)
  if (text === undefined) return []
  try {
    const rows = parse(text, { columns: true, bom: true, skip_empty_lines: true, info: true, trim: true }) as unknown as {
      info: { lines: number }
      record: Record<string, string>
    }[]
    return rows.map(({ info, record }) => ({ line: info.lines, row: record }))
  } catch (error) {
    problems.push(`${file}: ${(error as Error).message}`)
    return []
  }
}

async function readAccounts(dir: string, problems: string[]): Promise<Account[]> {
  const accounts: Account[] = []
  const seen = new Set<string>()
  for (const { line, row } of await readCsv(dir, 'accounts.csv', problems)) {
    const given = Object.fromEntries(Object.entries(row).filter(([, v]) => v !== ''))
    const parsed = Account.safeParse(given)
    if (!parsed.success) {
      for (const issue of parsed.error.issues) problems.push(`accounts.csv: line ${line}: ${issue.path.join('.')}: ${issue.message}`)
    } else if (seen.has(parsed.data.account)) {
      problems.push(`accounts.csv: line ${line}: account: ${parsed.data.account} stands there twice`)
    } else {
      seen.add(parsed.data.account)
      accounts.push(parsed.data)
    }
  }
  return accounts
}

const OperationRow = z.object({
  known_at: z.string(),
  kind: z.enum(OPERATION_KINDS),
  scope_type: z.enum(OPERATION_SCOPES),
  scope: z.string().default(''),
  start: z.string(),
  end: z.string(),
  note: z.string().default(''),
})

async function readOperations(dir: string, problems: string[]): Promise<Operation[]> {
  const operations: Operation[] = []
  for (const { line, row } of await readCsv(dir, 'operations.csv', problems)) {
    const where = `operations.csv: line ${line}`
    const parsed = OperationRow.safeParse(row)
    if (!parsed.success) {
      for (const issue of parsed.error.issues) problems.push(`${where}: ${issue.path.join('.')}: ${issue.message}`)
      continue
    }
    const o = parsed.data
    const time = (field: 'known_at' | 'start' | 'end') => {
      const ms = parseIso(o[field])
      if (Number.isNaN(ms)) problems.push(`${where}: ${field}: not an ISO 8601 time with zone: ${o[field]}`)
      return ms
    }
    const [knownAtMs, startMs, endMs] = [time('known_at'), time('start'), time('end')]
    if (endMs < startMs) problems.push(`${where}: end: before start`)
    operations.push({ knownAtMs, kind: o.kind, scopeType: o.scope_type, scope: o.scope, startMs, endMs, note: o.note })
  }
  return operations.sort((a, b) => a.knownAtMs - b.knownAtMs)
}

/** Fields that name another asset or an account, and name none that is there. */
function dangling(features: readonly AssetFeature[], accounts: readonly Account[]): string[] {
  const ids = new Set(features.map((f) => f.properties.id))
  const known = new Set(accounts.map((a) => a.account))
  const warnings: string[] = []
  for (const [i, { properties }] of features.entries()) {
    const a = properties as Record<string, unknown>
    for (const field of ['gateway', 'dma', 'feeder', 'transformer', 'substation', 'node', 'link', 'from', 'to', 'account']) {
      const value = a[field]
      if (typeof value !== 'string' || (field === 'account' ? known : ids).has(value)) continue
      warnings.push(`assets.geojson: features[${i}] (id ${properties.id}): properties.${field}: nothing is named ${value}`)
    }
  }
  return warnings
}
