import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from './local/paths.ts'
import { sectionOf, withVersion } from './release.ts'

test('a version needs a section of its own with something in it', () => {
  const changelog = '# Changelog\n\n## 0.2.0 (2027-01-01)\n\n- new\n\n## 0.1.0\n\n'
  expect(sectionOf(changelog, '0.2.0')).toBe('- new')
  expect(sectionOf(changelog, '0.1.0')).toBeUndefined()
  expect(sectionOf(changelog, '0.2')).toBeUndefined()
})

test('sets the version and nothing else', () => {
  for (const file of ['package.json', 'package-lock.json', 'deploy/helm/meterstream/Chart.yaml']) {
    const text = readFileSync(join(ROOT, file), 'utf8')
    const current = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version
    expect(withVersion(file, withVersion(file, text, '9.8.7'), current)).toBe(text)
    expect(withVersion(file, text, '9.8.7')).toContain('9.8.7')
  }
})
