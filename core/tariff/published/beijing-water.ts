// Residential water in Beijing since 1 May 2014: three blocks over the calendar year, larger for households of more than five persons,
// each price the sum of water, resource fee and sewage. Notice of the Beijing Development and Reform Commission, 京发改〔2014〕865号.
import type { TariffInput } from '../tariff.ts'

export const BEIJING_WATER: TariffInput = {
  code: 'beijing-water-residential',
  commodity: 'water',
  label: { en: 'Residential water, Beijing', zh: '北京市居民生活用水' },
  currency: 'CNY',
  source: '京发改〔2014〕865号, since 2014-05-01: 5, 7 and 9 CNY/m3 up to 180, up to 260 and above 260 m3 a year',
  versions: [
    {
      validFrom: '2014-05-01',
      charges: [
        {
          id: 'water',
          type: 'energy',
          label: { en: 'Water', zh: '自来水费' },
          tiers: {
            accumulate: 'year',
            personsIncluded: 5,
            blocks: [
              { upTo: 180, upToPerPerson: 30, rate: '2.07' },
              { upTo: 260, upToPerPerson: 30, rate: '4.07' },
              { upTo: null, rate: '6.07' },
            ],
          },
        },
        { id: 'resource', type: 'energy', label: { en: 'Water resource fee', zh: '水资源费' }, rate: '1.57' },
        { id: 'sewage', type: 'energy', label: { en: 'Sewage treatment', zh: '污水处理费' }, rate: '1.36' },
      ],
    },
  ],
}
