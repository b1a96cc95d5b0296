import { expect, test } from 'vitest'
import { parseTariff } from '#tariff/tariff.ts'
import { TOWN_TARIFFS } from './tariffs.ts'

test.each(TOWN_TARIFFS.map((t) => [t.code, t] as const))('%s is a valid tariff', (_code, tariff) => {
  expect(parseTariff(tariff)).toMatchObject({ ok: true })
})
