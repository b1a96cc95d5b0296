import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FORMATS_DIR, formatDocs } from './format-docs.ts'

test('docs/formats is as node deploy/format-docs.ts writes it', () => {
  const made = formatDocs()
  expect(readdirSync(FORMATS_DIR).sort()).toEqual([...made.keys()].sort())
  for (const [name, text] of made) expect(readFileSync(join(FORMATS_DIR, name), 'utf8'), name).toBe(text)
})
