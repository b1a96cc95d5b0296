import { describe, expect, test } from 'vitest'
import { BEIJING_WATER } from './published/beijing-water.ts'
import { ONTARIO_POWER } from './published/ontario-power.ts'
import { parseTariff, type TariffInput, versionOn } from './tariff.ts'

const energy = { id: 'energy', type: 'energy', label: { en: 'Energy' }, rate: '0.2' } as const
const version = (more: object = {}) => ({ validFrom: '2026-01-01', charges: [energy], ...more })
const aTariff = (...versions: object[]) => ({ code: 'T', commodity: 'power', label: { en: 'T' }, currency: 'EUR', versions })
const errorsOf = (input: unknown) => {
  const parsed = parseTariff(input)
  return parsed.ok ? [] : parsed.errors.map((e) => `${e.field}: ${e.message}`)
}
const tiers = (blocks: object[]) =>
  version({ charges: [{ id: 'e', type: 'energy', label: { en: 'E' }, tiers: { accumulate: 'month', blocks } }] })
const periods = (...list: object[]) => version({ periods: list.map((p) => ({ label: { en: 'p' }, ...p })) })

describe('a tariff', () => {
  test.each<[string, TariffInput]>([
    ['of Beijing', BEIJING_WATER],
    ['of Ontario', ONTARIO_POWER],
  ])('%s is accepted', (_name, input) => {
    expect(errorsOf(input)).toEqual([])
  })

  test.each<[string, object, string]>([
    [
      'two versions at once',
      aTariff(version({ validUntil: '2026-07-01' }), version({ validFrom: '2026-06-01' })),
      'versions.0.validUntil: overlaps the next version: this one ends 2026-07-01, the next begins 2026-06-01',
    ],
    [
      'one without end before another',
      aTariff(version(), version({ validFrom: '2026-06-01' })),
      'versions.0.validUntil: overlaps the next version: this one has no end, the next begins 2026-06-01',
    ],
    [
      'a hole between versions',
      aTariff(version({ validUntil: '2026-05-01' }), version({ validFrom: '2026-06-01' })),
      'versions.0.validUntil: leaves a gap from 2026-05-01 to 2026-05-31: the next version begins 2026-06-01',
    ],
    [
      'versions out of order',
      aTariff(version({ validUntil: '2026-05-01' }), version({ validFrom: '2025-06-01' })),
      'versions.0.validUntil: versions must be in order: the next begins 2025-06-01, not after 2026-01-01',
    ],
    [
      'a version that ends before it begins',
      aTariff(version({ validUntil: '2025-12-31' })),
      'versions.0.validUntil: must be after validFrom 2026-01-01',
    ],
    [
      'a date that does not exist',
      aTariff(version({ validFrom: '2026-02-30' })),
      'versions.0.validFrom: must be a date that exists, YYYY-MM-DD',
    ],
    [
      'periods that overlap',
      aTariff(periods({ id: 'peak', spans: [{ from: '08:00', to: '22:00' }] }, { id: 'low', spans: [{ from: '21:00', to: '08:00' }] })),
      'versions.0.periods.1: overlaps peak on Sunday at 21:00',
    ],
    [
      'periods that leave a hole',
      aTariff(periods({ id: 'peak', spans: [{ from: '08:00', to: '22:00' }] }, { id: 'low', spans: [{ from: '22:00', to: '07:30' }] })),
      'versions.0.periods: gap on Sunday from 07:30 to 08:00: no period holds',
    ],
    [
      'two periods that take the rest',
      aTariff(periods({ id: 'a', rest: true }, { id: 'b', rest: true })),
      'versions.0.periods: only one period may take the rest: a, b',
    ],
    [
      'a season unknown',
      aTariff(version({ charges: [{ ...energy, seasons: ['wet'] }] })),
      'versions.0.charges.0.seasons: there is no season wet',
    ],
    [
      'a period unknown',
      aTariff(version({ charges: [{ ...energy, periods: ['peak'] }] })),
      'versions.0.charges.0.periods: there is no period peak',
    ],
    [
      'blocks that do not rise',
      aTariff(
        tiers([
          { upTo: 10, rate: '1' },
          { upTo: 10, rate: '2' },
          { upTo: null, rate: '3' },
        ]),
      ),
      'versions.0.charges.0.tiers.blocks.1.upTo: must be above that of the block before, 10',
    ],
    [
      'a last block with an end',
      aTariff(tiers([{ upTo: 10, rate: '1' }])),
      'versions.0.charges.0.tiers.blocks.0.upTo: the last block must have no end (null)',
    ],
    [
      'blocks that cross in large households',
      aTariff(
        tiers([
          { upTo: 10, upToPerPerson: 5, rate: '1' },
          { upTo: 12, rate: '2' },
          { upTo: null, rate: '3' },
        ]),
      ),
      'versions.0.charges.0.tiers.blocks.1.upToPerPerson: must not be below that of the block before, 5: blocks would cross',
    ],
    [
      'a price as a number',
      aTariff(version({ charges: [{ ...energy, rate: 0.2 }] })),
      'versions.0.charges.0.rate: Invalid input: expected string, received number',
    ],
    [
      'a price that is no number',
      aTariff(version({ charges: [{ ...energy, rate: '1,5' }] })),
      'versions.0.charges.0.rate: must be a decimal number as text with at most six places, such as "0.0734"',
    ],
    [
      'a charge without price',
      aTariff(version({ charges: [{ id: 'e', type: 'energy', label: { en: 'E' } }] })),
      'versions.0.charges.0.rate: either rate or tiers is needed, not both',
    ],
    ['a charge named twice', aTariff(version({ charges: [energy, energy] })), 'versions.0.charges: is named twice: energy'],
    [
      'two seasons that begin together',
      aTariff(
        version({
          seasons: [
            { id: 'a', label: { en: 'a' }, from: ['05-01'] },
            { id: 'b', label: { en: 'b' }, from: ['05-01'] },
          ],
        }),
      ),
      'versions.0.seasons: two seasons begin on 05-01',
    ],
    ['no tariff at all', {}, 'code: Invalid input: expected string, received undefined'],
  ])('with %s is refused by field', (_name, input, error) => {
    expect(errorsOf(input)).toContain(error)
  })

  test('has one version on a day, none before the first', () => {
    const parsed = parseTariff(aTariff(version({ validUntil: '2026-06-01' }), version({ validFrom: '2026-06-01' })))
    if (!parsed.ok) throw new Error('refused')
    expect(['2025-12-31', '2026-05-31', '2026-06-01'].map((d) => versionOn(parsed.tariff, d)?.validFrom)).toEqual([
      undefined,
      '2026-01-01',
      '2026-06-01',
    ])
  })
})
