import { expect, test } from 'vitest'
import { asyncApi, openApi } from './reference.ts'

type Operation = { summary?: string; tags?: string[]; responses?: Record<string, unknown> }

test('every route is documented: a summary, a tag, an answer that is good and the problems', async () => {
  const { paths, openapi } = (await openApi()) as { openapi: string; paths: Record<string, Record<string, Operation>> }
  expect(openapi).toBe('3.1.0')
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, o]) => ({ name: `${method} ${path}`, o })),
  )
  expect(operations.length).toBeGreaterThan(40)
  const lacking = operations.filter(
    ({ o }) => !o.summary || !o.tags?.length || !Object.keys(o.responses ?? {}).some((c) => /^[23]/.test(c)),
  )
  expect(lacking.map(({ name }) => name)).toEqual([])
})

test('the AsyncAPI document describes what the contract names, and its references lead somewhere', () => {
  const document = asyncApi() as Record<string, unknown> & { channels: Record<string, { address: string }> }
  expect(Object.values(document.channels).map((c) => c.address)).toEqual(
    expect.arrayContaining([
      'telemetry/v1/{gateway}/readings',
      'telemetry/v1/{gateway}/status',
      'crews/{crew}',
      'findings',
      'tickets',
      'quarantine',
    ]),
  )
  const missing: string[] = []
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const ref = (value as { $ref?: unknown }).$ref
    if (typeof ref === 'string' && ref.startsWith('#/')) {
      const target = ref
        .slice(2)
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document)
      if (target === undefined) missing.push(ref)
    }
    for (const inner of Object.values(value)) visit(inner)
  }
  visit(document)
  expect(missing).toEqual([])
})
