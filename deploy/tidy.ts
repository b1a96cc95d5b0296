// The walls of the code as functions of its sources: who may import whom, what the pure middle may not know, what must stand in a
// list. Regular expressions over the text are enough; the test plants violations to prove that each rule bites.
import { posix } from 'node:path'

/** Path from the root of the checkout -> text. */
export type Sources = ReadonlyMap<string, string>

export interface Violation {
  path: string
  rule: string
  what: string
}

const isTest = (path: string) => /\.(test|int\.test|e2e\.test|fixture)\.tsx?$/.test(path)
/** Composition roots: they wire, nobody imports them. */
const isRoot = (path: string) => /(^|\/)main\.tsx?$/.test(path) || path.endsWith('-cli.ts')

interface Layer {
  name: string
  holds(path: string): boolean
  /** Our own files that it may import. */
  mayImport(path: string): boolean
  /** True, or the modules it may use: those that are pure functions. */
  node: boolean | readonly string[]
  runtimePackages: boolean
  /** Says the same for the same input: no clock, no chance, no environment. */
  pure: boolean
}

const below =
  (...folders: string[]) =>
  (path: string) =>
    folders.some((f) => path.startsWith(f))
const model = below('core/model/')
const pureCore = below('core/model/', 'core/tariff/', 'core/reliability/')
const core = below('core/model/', 'core/tariff/', 'core/reliability/', 'core/runtime/')
const processorsRim = (path: string) =>
  below('processors/runner/', 'processors/sinks/')(path) ||
  ['processors/metrics.ts', 'processors/service.ts'].includes(path) ||
  (path.startsWith('processors/') && isRoot(path))
const INGEST_PURE = ['decode', 'format', 'ranges', 'settings', 'topic-filter', 'registry-view']
  // What formats share.
  .concat(['decoding', 'alarms', 'fields', 'local-time', 'lorawan', 'lorawan-devices'])
  .concat(['protobuf', 'sparkplug-payload', 'obis', 'p1-telegram', 'dlms', 'hdlc', 'hex', 'dlt645', 'dlt698', 'cjt188'])
  .concat(['free-values', 'hearings', 'ert', 'cbor', 'senml-pack', 'lwm2m-objects'])
  .map((n) => `ingest/${n}.ts`)
const ingestPure = (path: string) => path.startsWith('ingest/formats/') || INGEST_PURE.includes(path)

/** First match counts: narrower layers stand before the folders they are cut out of. */
const LAYERS: readonly Layer[] = [
  { name: 'core/model', holds: model, mayImport: model, node: false, runtimePackages: false, pure: true },
  { name: 'core/tariff', holds: below('core/tariff/'), mayImport: pureCore, node: false, runtimePackages: false, pure: true },
  { name: 'core/reliability', holds: below('core/reliability/'), mayImport: pureCore, node: false, runtimePackages: false, pure: true },
  { name: 'core/runtime', holds: below('core/runtime/'), mayImport: core, node: true, runtimePackages: true, pure: false },
  {
    name: 'ingest, pure',
    holds: ingestPure,
    mayImport: (p) => model(p) || ingestPure(p),
    node: ['node:buffer', 'node:zlib'],
    runtimePackages: false,
    pure: true,
  },
  {
    name: 'ingest',
    holds: below('ingest/'),
    mayImport: (p) => core(p) || p.startsWith('ingest/'),
    node: true,
    runtimePackages: true,
    pure: false,
  },
  {
    name: 'processors, rim',
    holds: processorsRim,
    mayImport: (p) => core(p) || p.startsWith('processors/'),
    node: true,
    runtimePackages: true,
    pure: false,
  },
  {
    name: 'processors, pure',
    holds: below('processors/'),
    mayImport: (p) => model(p) || (p.startsWith('processors/') && !processorsRim(p)),
    node: false,
    runtimePackages: false,
    pure: true,
  },
  {
    name: 'api/web',
    holds: below('api/web/src/'),
    mayImport: (p) => pureCore(p) || p.startsWith('api/web/src/'),
    node: false,
    runtimePackages: true,
    pure: false,
  },
  {
    name: 'api',
    holds: (p) => p.startsWith('api/') && !p.startsWith('api/web/'),
    mayImport: (p) => core(p) || (p.startsWith('api/') && !p.startsWith('api/web/')),
    node: true,
    runtimePackages: true,
    pure: false,
  },
]

/** Packages that are data and types only: even the pure middle may use them. */
const PURE_PACKAGES = new Set(['zod'])

interface Import {
  specifier: string
  /** `import type`: nothing is run. */
  typeOnly: boolean
}

/** What a file imports, statically, for types or dynamically. A quoted 'import' is a word, not a statement. */
export function importsOf(text: string): Import[] {
  const found: Import[] = []
  const code = withoutComments(text)
  for (const m of code.matchAll(/(?<!['"])\b(?:import|export)\b(?!['"])(\s+type\b)?[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/g)) {
    found.push({ specifier: m[2] as string, typeOnly: m[1] !== undefined })
  }
  for (const m of code.matchAll(/(?<!['"])\bimport\s*\(?\s*['"]([^'"]+)['"]/g)) found.push({ specifier: m[1] as string, typeOnly: false })
  return found
}

/** Comments replaced by spaces; `//` within a string on the same line, as in a URL, is left alone. */
export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (c) => c.replace(/[^\n]/g, ' ')).replace(/(^|[\s;{}(),])\/\/[^\n]*/gm, '$1')
}

function resolve(from: string, specifier: string): string | undefined {
  if (specifier.startsWith('#model/')) return `core/model/${specifier.slice(7)}`
  if (specifier.startsWith('#tariff/')) return `core/tariff/${specifier.slice(8)}`
  if (specifier.startsWith('#runtime/')) return `core/runtime/${specifier.slice(9)}`
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(from), specifier)).split('?')[0]
  return undefined
}

/** Arrows between folders, also by `../..`; roots imported by nobody; packages and node: where they are allowed. */
export function importViolations(sources: Sources): Violation[] {
  const out: Violation[] = []
  for (const [path, text] of sources) {
    if (isTest(path)) continue
    const layer = LAYERS.find((l) => l.holds(path))
    for (const { specifier, typeOnly } of importsOf(text)) {
      const target = resolve(path, specifier)
      const add = (rule: string) => out.push({ path, rule, what: specifier })
      if (target !== undefined) {
        if (isRoot(target) && !typeOnly) add('main files and commands are imported by nobody')
        else if (isTest(target)) add('tests are imported by tests only')
        // A command joins what it needs: data sets, decoders, folds.
        else if (layer !== undefined && !path.endsWith('-cli.ts') && !layer.mayImport(target))
          add(`${layer.name} may not import ${folderOf(target)}`)
      } else if (layer !== undefined && specifier.startsWith('node:')) {
        if (!(typeof layer.node === 'boolean' ? layer.node : layer.node.includes(specifier))) add(`${layer.name} may not use node:`)
      } else if (layer !== undefined && !layer.runtimePackages && !PURE_PACKAGES.has(specifier))
        add(`${layer.name} may not use packages but zod`)
    }
  }
  return out
}

const folderOf = (path: string) =>
  path
    .split('/')
    .slice(0, path.startsWith('core/') || path.startsWith('api/web') ? 2 : 1)
    .join('/')

const IMPURE: readonly [string, RegExp][] = [
  ['node:', /['"]node:(?!(?:buffer|zlib)['"])/],
  ['Date.now', /\bDate\.now\b/],
  ['new Date()', /\bnew Date\(\s*\)/],
  ['Math.random', /\bMath\.random\b/],
  ['process.', /\bprocess\./],
  ['performance', /\bperformance\.now\b/],
  ['timers', /\b(?:setTimeout|setInterval|setImmediate)\b/],
  ['crypto', /\bcrypto\.(?:randomUUID|getRandomValues)\b/],
]

/** The pure middle knows no clock, no chance, no environment. */
export function purityViolations(sources: Sources): Violation[] {
  const out: Violation[] = []
  for (const [path, text] of sources) {
    if (isTest(path) || LAYERS.find((l) => l.holds(path))?.pure !== true) continue
    const code = withoutComments(text)
    for (const [what, pattern] of IMPURE) if (pattern.test(code)) out.push({ path, rule: 'pure code may not mention', what })
  }
  return out
}

/** Only composition roots read the environment; deploy and the benchmark wire whole systems and may too. */
export function environmentViolations(sources: Sources): Violation[] {
  const out: Violation[] = []
  for (const [path, text] of sources) {
    if (isTest(path) || isRoot(path) || below('deploy/', 'simulators/bench/')(path)) continue
    if (/\bprocess\.env\b/.test(withoutComments(text)))
      out.push({ path, rule: 'only main files read the environment', what: 'process.env' })
  }
  return out
}

export interface ListedFolder {
  folder: string
  /** Name of the type whose values are listed. */
  type: RegExp
  /** Tests below here that name the entry count as its test. */
  testsBelow?: string
}

export const LISTED: readonly ListedFolder[] = [
  { folder: 'ingest/formats', type: /:\s*GatewayFormat\b/ },
  { folder: 'processors/detectors', type: /:\s*Detector<|satisfies Detector</ },
  { folder: 'processors/network', type: /:\s*NetworkDetector<|satisfies NetworkDetector</ },
  { folder: 'processors/incidents/types', type: /:\s*TicketType\b/, testsBelow: 'processors/incidents/' },
]

/**
 * Every file of a listed folder is in its index.ts or used by one that is; what defines a format, detector or ticket type is in the
 * index itself and has a test beside it or a folder of samples. `paths`: all files of the checkout, samples included.
 */
export function listViolations(sources: Sources, paths: readonly string[]): Violation[] {
  const out: Violation[] = []
  for (const { folder, type, testsBelow } of LISTED) {
    const index = `${folder}/index.ts`
    const files = [...sources.keys()].filter((p) => p.startsWith(`${folder}/`) && !p.includes('/samples/') && !isTest(p) && p !== index)
    if (!sources.has(index)) {
      if (files.length > 0) out.push({ path: index, rule: 'a listed folder has an index.ts', what: folder })
      continue
    }
    const direct = new Set(localImports(index, sources))
    const reached = new Set(direct)
    for (const path of reached) for (const next of localImports(path, sources)) if (next.startsWith(`${folder}/`)) reached.add(next)
    for (const path of files) {
      const defines = type.test(withoutComments(sources.get(path) as string))
      if (defines ? !direct.has(path) : !reached.has(path)) out.push({ path, rule: `must be listed in ${index}`, what: path })
      if (!defines || !direct.has(path)) continue
      const stem = path.slice(0, -3)
      const samples = `${folder}/samples/${posix.basename(stem)}/`
      const named = [...sources].some(
        ([p, text]) => testsBelow !== undefined && p.startsWith(testsBelow) && isTest(p) && text.includes(`'${posix.basename(stem)}'`),
      )
      if (
        !named &&
        !paths.some(
          (p) =>
            p === `${stem}.test.ts` ||
            p === `${stem}.slow.test.ts` ||
            p.startsWith(samples) ||
            (p.startsWith(`${stem}/`) && p.endsWith('.test.ts')),
        )
      ) {
        out.push({ path, rule: 'needs a test beside it or samples', what: `${stem}.test.ts or ${samples}` })
      }
    }
  }
  return out
}

function localImports(path: string, sources: Sources): string[] {
  return importsOf(sources.get(path) ?? '').flatMap(({ specifier }) => resolve(path, specifier) ?? [])
}

/** Markers of unfinished work and errors swallowed without a word. */
export function unfinishedViolations(sources: Sources): Violation[] {
  const out: Violation[] = []
  const marker = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`)
  for (const [path, text] of sources) {
    if (marker.test(text)) out.push({ path, rule: 'unfinished', what: marker.exec(text)?.[0] ?? '' })
    if (/\bcatch\s*(\([^)]*\))?\s*\{\s*\}/.test(text)) out.push({ path, rule: 'an error is swallowed without a word', what: 'catch' })
  }
  return out
}

/** Lines of a lock file that tie it to the registry it was made with. */
export function lockfileViolations(text: string): Violation[] {
  const count = text.match(/"resolved":/g)?.length ?? 0
  return count === 0 ? [] : [{ path: 'package-lock.json', rule: 'must not name registries', what: `${count} "resolved" entries` }]
}
