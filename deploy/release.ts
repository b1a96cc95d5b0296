// npm run release -- X.Y.Z: sets the version where it is written, commits, tags. Pushes nothing.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './local/paths.ts'

const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim()

/** The text of this version's section in CHANGELOG.md; undefined when there is none or it is empty. */
export function sectionOf(changelog: string, version: string): string | undefined {
  const sections = changelog.split(/^## /m).slice(1)
  const found = sections.find((s) => s.startsWith(`${version}\n`) || s.startsWith(`${version} `))
  const text = found?.split('\n').slice(1).join('\n').trim()
  return text === '' ? undefined : text
}

/** Sets `"version"` of package.json and of the first package of the lock file, and the chart's two versions. */
export function withVersion(file: string, text: string, version: string): string {
  if (file.endsWith('Chart.yaml'))
    return text.replace(/^version: .*$/m, `version: ${version}`).replace(/^appVersion: .*$/m, `appVersion: "${version}"`)
  const document = JSON.parse(text) as { version: string; packages?: Record<string, { version: string }> }
  document.version = version
  const own = document.packages?.['']
  if (own !== undefined) own.version = version
  return `${JSON.stringify(document, null, 2)}\n`
}

const FILES = ['package.json', 'package-lock.json', 'deploy/helm/meterstream/Chart.yaml']

function release(version: string): void {
  if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error('usage: npm run release -- X.Y.Z')
  if (git('status', '--porcelain') !== '') throw new Error('there are changes that are not committed')
  if (git('tag', '--list', `v${version}`) !== '') throw new Error(`v${version} exists`)
  if (sectionOf(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'), version) === undefined)
    throw new Error(`CHANGELOG.md has no section "## ${version}"`)
  for (const file of FILES) writeFileSync(join(ROOT, file), withVersion(file, readFileSync(join(ROOT, file), 'utf8'), version))
  git('commit', '--quiet', '-m', `release: ${version}`, '--', ...FILES)
  git('tag', '-a', `v${version}`, '-m', `Meterstream ${version}`)
  process.stdout.write(`v${version} is committed and tagged; push it with: git push --follow-tags\n`)
}

if (import.meta.main) {
  try {
    release(process.argv[2] ?? '')
  } catch (error) {
    process.stderr.write(`release: ${(error as Error).message}\n`)
    process.exitCode = 1
  }
}
