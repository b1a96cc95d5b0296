// Reads the sources of the checkout and fails when a wall is broken; each rule is also shown a planted violation.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { ENV_EXAMPLE, renderEnvExample } from './env-example.ts'
import {
  environmentViolations,
  importsOf,
  importViolations,
  listViolations,
  lockfileViolations,
  purityViolations,
  unfinishedViolations,
  type Violation,
  withoutComments,
} from './tidy.ts'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
// Tracked files and new ones that are not ignored: what a commit would hold.
const paths = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 })
  .trim()
  .split('\n')
const read = (path: string): [string, string][] => {
  try {
    return [[path, readFileSync(join(ROOT, path), 'utf8')]]
  } catch (error) {
    // Removed but not yet committed.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
const sources = new Map(paths.filter((p) => /\.(tsx?|mjs)$/.test(p) && !p.includes('/samples/')).flatMap(read))

describe('the checkout', () => {
  test.each<[string, () => Violation[]]>([
    ['keeps the direction of its imports', () => importViolations(sources)],
    ['has a pure middle', () => purityViolations(sources)],
    ['reads the environment in main files only', () => environmentViolations(sources)],
    ['lists and tests every format, detector and ticket type', () => listViolations(sources, paths)],
    ['has no unfinished ends', () => unfinishedViolations(sources)],
    ['has a lock file that names no registry', () => lockfileViolations(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))],
  ])('%s', (_name, violations) => {
    expect(violations().map((v) => `${v.path}: ${v.rule}: ${v.what}`)).toEqual([])
  })

  test('.env.example is what config.ts says (node deploy/env-example.ts writes it)', () => {
    expect(readFileSync(ENV_EXAMPLE, 'utf8')).toBe(renderEnvExample())
  })

  test('was read at all', () => {
    expect(sources.size).toBeGreaterThan(50)
  })
})

const planted = (path: string, text: string) => new Map([[path, text]])

describe('the rules bite', () => {
  test.each([
    ['model using a package', 'core/model/a.ts', "import pg from 'pg'", 'core/model may not use packages but zod'],
    ['model using node', 'core/model/a.ts', "import { x } from 'node:fs'", 'core/model may not use node:'],
    ['model reaching runtime', 'core/model/a.ts', "import { x } from '#runtime/log.ts'", 'core/model may not import core/runtime'],
    ['a tariff using node', 'core/tariff/a.ts', "import { x } from 'node:fs'", 'core/tariff may not use node:'],
    ['runtime reaching ingest', 'core/runtime/a.ts', "export * from '../../ingest/decode.ts'", 'core/runtime may not import ingest'],
    [
      'ingest reaching processors by ../..',
      'ingest/formats/a.ts',
      "import { x } from '../../processors/fold.ts'",
      'ingest, pure may not import processors',
    ],
    ['ingest reaching api', 'ingest/source.ts', "import type { X } from '../api/server.ts'", 'ingest may not import api'],
    [
      'a format reaching its transport',
      'ingest/formats/a.ts',
      "import { x } from '../mqtt-source.ts'",
      'ingest, pure may not import ingest',
    ],
    ['a detector using node', 'processors/detectors/a.ts', "import fs from 'node:fs'", 'processors, pure may not use node:'],
    [
      'a detector reaching runtime',
      'processors/detectors/a.ts',
      "import { l } from '#runtime/log.ts'",
      'processors, pure may not import core/runtime',
    ],
    [
      'a detector reaching the runner',
      'processors/detectors/a.ts',
      "import { l } from '../runner/zones.ts'",
      'processors, pure may not import processors',
    ],
    [
      'the runner reaching ingest',
      'processors/runner/a.ts',
      "const x = await import('../../ingest/decode.ts')",
      'processors, rim may not import ingest',
    ],
    ['api reaching processors', 'api/routes/a.ts', "import { x } from '../../processors/fold.ts'", 'api may not import processors'],
    ['api reaching the page', 'api/server.ts', "import { x } from './web/src/store.ts'", 'api may not import api/web'],
    ['the page using node', 'api/web/src/a.tsx', "import { x } from 'node:path'", 'api/web may not use node:'],
    ['the page reaching runtime', 'api/web/src/a.tsx', "import { x } from '#runtime/config.ts'", 'api/web may not import core/runtime'],
    ['ingest reaching simulators', 'ingest/a.ts', "import { x } from '../simulators/town.ts'", 'ingest may not import simulators'],
    [
      'a library reading data sets',
      'processors/runner/a.ts',
      "import { x } from '../../deploy/dataset.ts'",
      'processors, rim may not import deploy',
    ],
    ['a format using the network', 'ingest/formats/a.ts', "import { x } from 'node:net'", 'ingest, pure may not use node:'],
    ['someone importing a main file', 'deploy/a.ts', "import '../ingest/main.ts'", 'main files and commands are imported by nobody'],
    ['code importing a test', 'ingest/a.ts', "import { x } from './b.test.ts'", 'tests are imported by tests only'],
  ])('%s', (_name, path, text, rule) => {
    expect(importViolations(planted(path, text)).map((v) => v.rule)).toEqual([rule])
  })

  test.each([
    [
      'a detector using zod, the model and its neighbours',
      'processors/detectors/a.ts',
      "import { z } from 'zod'\nimport { x } from '#model/time.ts'\nimport { y } from '../fold.ts'",
    ],
    ['a command reading data sets', 'processors/backtest-cli.ts', "import { readDataSet } from '../deploy/dataset.ts'"],
    ['a simulator using the decoder', 'simulators/a.ts', "import { decode } from '../ingest/decode.ts'"],
    ['a type of a command', 'simulators/bench/a.ts', "import type { Options } from './b-cli.ts'"],
    ['a test importing anything', 'processors/detectors/a.test.ts', "import { x } from '../../ingest/decode.ts'"],
  ])('and let pass: %s', (_name, path, text) => {
    expect(importViolations(planted(path, text))).toEqual([])
  })

  test.each([
    ['Date.now', 'const t = Date.now()'],
    ['new Date()', 'const t = new Date()'],
    ['Math.random', 'const r = Math.random()'],
    ['process.', 'if (process.argv.length > 2) x()'],
    ['node:', "const fs = await import('node:fs')"],
    ['performance', 'const t = performance.now()'],
    ['timers', 'setTimeout(f, 10)'],
    ['crypto', 'const id = crypto.randomUUID()'],
  ])('a pure file with %s', (what, text) => {
    for (const path of ['core/model/a.ts', 'processors/detectors/a.ts', 'processors/zone-fold.ts', 'ingest/formats/a.ts']) {
      expect(purityViolations(planted(path, text))).toMatchObject([{ path, what }])
    }
    expect(purityViolations(planted('processors/runner/a.ts', text))).toEqual([])
    expect(
      purityViolations(planted('processors/detectors/a.ts', `// never ${text}\n/* nor ${text} */ const processors = { x: 1 }`)),
    ).toEqual([])
  })

  test('the environment read outside a main file', () => {
    expect(environmentViolations(planted('api/server.ts', 'const p = process.env.PORT'))).toHaveLength(1)
    expect(environmentViolations(planted('api/main.ts', 'const p = process.env.PORT'))).toEqual([])
  })

  test('a detector that is not listed, a helper that nobody uses, a format without samples', () => {
    const files = new Map([
      ['processors/detectors/index.ts', "import { a } from './a.ts'\nexport const DETECTORS = [a]"],
      ['processors/detectors/a.ts', "import './helper.ts'\nexport const a: Detector<S, C> = {}"],
      ['processors/detectors/helper.ts', 'export const h = 1'],
      ['processors/detectors/b.ts', 'export const b: Detector<S, C> = {}'],
      ['processors/detectors/dead.ts', 'export const d = 1'],
      ['ingest/formats/index.ts', "export { f } from './f.ts'\nexport { g } from './g.ts'"],
      ['ingest/formats/f.ts', 'export const f: GatewayFormat = {}'],
      ['ingest/formats/g.ts', 'export const g: GatewayFormat = {}'],
    ])
    const all = [...files.keys(), 'processors/detectors/a.test.ts', 'ingest/formats/samples/g/one.json']
    expect(listViolations(files, all).map((v) => [v.path, v.rule])).toEqual([
      ['ingest/formats/f.ts', 'needs a test beside it or samples'],
      ['processors/detectors/b.ts', 'must be listed in processors/detectors/index.ts'],
      ['processors/detectors/dead.ts', 'must be listed in processors/detectors/index.ts'],
    ])
    expect(listViolations(new Map([['processors/network/a.ts', '']]), [])).toHaveLength(1)
  })

  test('unfinished work, swallowed errors, a lock file with addresses', () => {
    expect(unfinishedViolations(planted('a.ts', `// ${'TO'}DO later`))).toHaveLength(1)
    expect(unfinishedViolations(planted('a.ts', `try { f() } catch ${'{'}}`))).toHaveLength(1)
    expect(unfinishedViolations(planted('a.ts', `try { f() } catch (e) ${'{'} }`))).toHaveLength(1)
    expect(lockfileViolations('{ "resolved": "https://registry.example/x.tgz" }')).toHaveLength(1)
  })
})

test('imports are found in all their forms, and not in comments', () => {
  const text = `import a from 'a'
import { type B, c } from "b"
import type {
  D,
} from './d.ts'
export * from '#model/e.ts'
import 'f'
const g = await import('./g.ts')
// import h from 'h'
/* import i from 'i' */
const url = 'http://example.org/x'
type R = 'import' | 'export'; const from = 'z'`
  expect(
    importsOf(text)
      .map((i) => i.specifier)
      .sort(),
  ).toEqual(['#model/e.ts', './d.ts', './g.ts', 'a', 'b', 'f'])
  expect(withoutComments("const u = 'http://x' // see y")).toContain("'http://x'")
})
