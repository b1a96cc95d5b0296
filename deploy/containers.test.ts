// What would only show on a cluster: files missing in the image, settings that do not exist, metrics that nobody serves.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { ConfigSchema } from '#runtime/config.ts'
import { ROOT } from './local/paths.ts'

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const known = new Set(Object.keys(ConfigSchema.shape))

// biome-ignore lint/suspicious/noExplicitAny: YAML of others
const yaml = (path: string) => parse(read(path), { merge: true }) as any

/** Every file that a program imports, itself included. */
function closure(entry: string, found = new Set<string>()): Set<string> {
  const file = relative(ROOT, resolve(ROOT, entry))
  if (found.has(file)) return found
  found.add(file)
  const { imports } = JSON.parse(read('package.json')) as { imports: Record<string, string> }
  for (const [, name] of read(file).matchAll(/^(?:import|export)\s(?!type\b)[^'"]*?from '([^']+)'|^import '([^']+)'/gm)) {
    if (name === undefined) continue
    if (name.startsWith('.')) closure(join(dirname(file), name), found)
    for (const [alias, to] of Object.entries(imports)) {
      const prefix = alias.slice(0, -1)
      if (name.startsWith(prefix)) closure(join(to.slice(0, -1), name.slice(prefix.length)), found)
    }
  }
  return found
}

describe('the image', () => {
  const copied = [...read('deploy/containers/Dockerfile').matchAll(/^COPY (\S+) \S+$/gm)].map((m) => m[1] as string)

  test.each(['ingest/main.ts', 'processors/main.ts', 'api/main.ts', 'deploy/migrate.ts', 'deploy/audit-cli.ts'])(
    'has all that %s imports',
    (entry) => {
      const files = [...closure(entry)]
      expect(files.length).toBeGreaterThan(3)
      expect(files.filter((f) => !copied.some((c) => f === c || f.startsWith(`${c}/`)))).toEqual([])
    },
  )

  test('has every package that they import', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
    const missing = new Set<string>()
    for (const entry of ['ingest/main.ts', 'processors/main.ts', 'api/main.ts', 'deploy/migrate.ts'])
      for (const file of closure(entry))
        for (const [, name] of read(file).matchAll(/^import\s(?!type\b)[^'"]*?from '([^'.#][^']*)'/gm)) {
          const pack = (name as string)
            .split('/')
            .slice(0, name?.startsWith('@') === true ? 2 : 1)
            .join('/')
          if (!pack.startsWith('node:') && dependencies[pack] === undefined) missing.add(`${pack} (${file})`)
        }
    expect([...missing]).toEqual([])
  })
})

describe('compose', () => {
  const { services } = yaml('deploy/containers/compose.yaml')

  test('gives our services settings that exist, a read-only disk, no privileges, a limit and a check of health', () => {
    for (const name of ['ingest', 'processors', 'api', 'migrate']) {
      const s = services[name]
      const unknown = Object.keys(s.environment).filter((k) => !known.has(k) && k !== 'METERSTREAM_GATEWAY_SECRET')
      expect([name, unknown]).toEqual([name, []])
      expect([name, s.read_only, s.cap_drop]).toEqual([name, true, ['ALL']])
      if (name !== 'migrate') expect([name, typeof s.mem_limit, Array.isArray(s.healthcheck?.test)]).toEqual([name, 'string', true])
    }
  })

  test('runs the versions that are tested here, and none without a version', () => {
    const pom = read('deploy/local/pom.xml')
    const version = (artifact: string) => new RegExp(`<artifactId>${artifact}[^<]*</artifactId>\\s*<version>([^<]+)<`).exec(pom)?.[1]
    expect(services.kafka.image).toBe(`apache/kafka:${version('kafka')}`)
    expect(services.questdb.image).toBe(`questdb/questdb:${version('questdb')}`)
    // biome-ignore lint/suspicious/noExplicitAny: YAML of others
    for (const [name, s] of Object.entries(services) as [string, any][])
      expect([name, s.image]).toEqual([name, expect.stringMatching(/:(?!latest)/)])
  })

  test('asks for every secret instead of having one', () => {
    for (const [, name, rest] of read('deploy/containers/compose.yaml').matchAll(/\$\{(\w*(?:PASSWORD|TOKEN))([^}]*)\}/g))
      expect([name, rest]).toEqual([name, expect.stringMatching(/^:\?/)])
  })
})

test('values of the chart name settings that exist', () => {
  const values = yaml('deploy/helm/meterstream/values.yaml')
  expect(Object.keys(values.config).filter((k) => !known.has(k))).toEqual([])
})

describe('monitoring', () => {
  const sources = ['core', 'ingest', 'processors', 'api'].flatMap((dir) =>
    readdirSync(join(ROOT, dir), { recursive: true, encoding: 'utf8' })
      .filter((f) => f.endsWith('.ts') && !f.endsWith('.test.ts'))
      .map((f) => read(join(dir, f))),
  )
  const served = new Set(sources.flatMap((s) => [...s.matchAll(/'(meterstream_[a-z_]+)'/g)].map((m) => m[1] as string)))
  const named = (text: string) => [
    ...new Set([...text.matchAll(/meterstream_[a-z_]+/g)].map((m) => m[0].replace(/_(bucket|count|sum)$/, ''))),
  ]
  const alerts = read('deploy/monitoring/alerts.yaml')

  test('asks only for metrics that are served', () => {
    expect(served.size).toBeGreaterThan(30)
    expect(named(alerts).filter((n) => !served.has(n))).toEqual([])
    for (const file of readdirSync(join(ROOT, 'deploy/monitoring/dashboards')))
      expect([file, named(read(`deploy/monitoring/dashboards/${file}`)).filter((n) => !served.has(n))]).toEqual([file, []])
  })

  test('every alert has its section in the runbook, and no section is left over', () => {
    expect(parseAllDocuments(alerts).flatMap((d) => d.errors)).toEqual([])
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map((m) => m[1])
    const sections = [...read('docs/runbook.md').matchAll(/^## (\w+)$/gm)].map((m) => m[1])
    expect(sections).toEqual(names)
  })
})
