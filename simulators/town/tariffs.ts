// Made-up tariffs of the made-up town, one of each form: water in blocks of the year by household, power by time of use, and one with
// demand and seasons that a large customer may compare itself with. Validated like any other when they are imported.
import type { TariffInput } from '#tariff/tariff.ts'

const from = '2020-01-01'

export const TOWN_TARIFFS: readonly TariffInput[] = [
  {
    code: 'water-standard',
    commodity: 'water',
    label: { en: 'Water, standard', zh: '标准水价' },
    currency: 'EUR',
    source: 'made up',
    versions: [
      {
        validFrom: from,
        charges: [
          {
            id: 'water',
            type: 'energy',
            label: { en: 'Water', zh: '自来水' },
            tiers: {
              accumulate: 'year',
              personsIncluded: 2,
              blocks: [
                { upTo: 120, upToPerPerson: 30, rate: '1.85' },
                { upTo: 240, upToPerPerson: 30, rate: '2.60' },
                { upTo: null, rate: '3.40' },
              ],
            },
          },
          {
            id: 'sewage',
            type: 'energy',
            label: { en: 'Sewage, 95 % of the water', zh: '污水处理（按用水量95%）' },
            share: 0.95,
            rate: '2.10',
          },
          { id: 'meter', type: 'standing', label: { en: 'Meter', zh: '表计租费' }, perMonth: '6.50' },
        ],
        taxes: [{ id: 'vat', label: { en: 'VAT', zh: '增值税' }, percent: '7' }],
      },
    ],
  },
  {
    code: 'power-standard',
    commodity: 'power',
    label: { en: 'Electricity, day and night', zh: '峰谷电价' },
    currency: 'EUR',
    source: 'made up',
    versions: [
      {
        validFrom: from,
        periods: [
          { id: 'day', label: { en: 'Day', zh: '峰时' }, spans: [{ days: 'weekday', from: '07:00', to: '21:00' }] },
          { id: 'night', label: { en: 'Night and weekend', zh: '谷时与周末' }, rest: true },
        ],
        charges: [
          { id: 'day', type: 'energy', label: { en: 'Day', zh: '峰时电量' }, periods: ['day'], rate: '0.2890' },
          { id: 'night', type: 'energy', label: { en: 'Night and weekend', zh: '谷时与周末电量' }, periods: ['night'], rate: '0.2190' },
          { id: 'feed-in', type: 'energy', register: 'export', label: { en: 'Fed in', zh: '上网电量' }, rate: '-0.0800' },
          { id: 'meter', type: 'standing', label: { en: 'Meter', zh: '表计租费' }, perMonth: '9.90' },
          { id: 'social', type: 'discount', label: { en: 'Social discount', zh: '社会优惠' }, percent: '20', segments: ['vulnerable'] },
        ],
        taxes: [{ id: 'vat', label: { en: 'VAT', zh: '增值税' }, percent: '19' }],
      },
    ],
  },
  {
    code: 'power-demand',
    commodity: 'power',
    label: { en: 'Electricity with demand, large customers', zh: '大客户两部制电价' },
    currency: 'EUR',
    source: 'made up',
    versions: [
      {
        validFrom: from,
        seasons: [
          { id: 'wet', label: { en: 'Wet season', zh: '丰水期' }, from: ['05-01'] },
          { id: 'dry', label: { en: 'Dry season', zh: '枯水期' }, from: ['11-01'] },
        ],
        charges: [
          { id: 'wet', type: 'energy', label: { en: 'Wet season', zh: '丰水期电量' }, seasons: ['wet'], rate: '0.1650' },
          { id: 'dry', type: 'energy', label: { en: 'Dry season', zh: '枯水期电量' }, seasons: ['dry'], rate: '0.1950' },
          { id: 'demand', type: 'demand', label: { en: 'Highest quarter hour', zh: '最大需量' }, perKwMonth: '9.80' },
          { id: 'minimum', type: 'minimum', label: { en: 'Minimum charge', zh: '最低消费' }, perMonth: '150' },
        ],
        taxes: [{ id: 'vat', label: { en: 'VAT', zh: '增值税' }, percent: '19' }],
      },
    ],
  },
]
