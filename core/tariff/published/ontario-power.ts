// Time-of-use prices of the Ontario Energy Board's Regulated Price Plan, 1 November 2022 to 31 October 2023. Mid-peak and on-peak change
// places between winter and summer; weekends and public holidays are off-peak. Supply only, with the harmonised sales tax of 13 %.
import type { TariffInput } from '../tariff.ts'

const winter = ['winter']
const summer = ['summer']

export const ONTARIO_POWER: TariffInput = {
  code: 'ontario-power-tou',
  commodity: 'power',
  label: { en: 'Time-of-use price plan, Ontario', zh: '安大略省分时电价' },
  currency: 'CAD',
  source: 'Ontario Energy Board, Regulated Price Plan from 2022-11-01: 7.4, 10.2, 15.1 cents/kWh (hydroottawa.com, Time-of-use)',
  versions: [
    {
      validFrom: '2022-11-01',
      validUntil: '2023-11-01',
      seasons: [
        { id: 'winter', label: { en: 'Winter', zh: '冬季' }, from: ['11-01'] },
        { id: 'summer', label: { en: 'Summer', zh: '夏季' }, from: ['05-01'] },
      ],
      periods: [
        { id: 'off-peak', label: { en: 'Off-peak', zh: '低谷' }, rest: true },
        {
          id: 'mid-peak',
          label: { en: 'Mid-peak', zh: '平段' },
          spans: [
            { days: 'weekday', from: '11:00', to: '17:00', seasons: winter },
            { days: 'weekday', from: '07:00', to: '11:00', seasons: summer },
            { days: 'weekday', from: '17:00', to: '19:00', seasons: summer },
          ],
        },
        {
          id: 'on-peak',
          label: { en: 'On-peak', zh: '高峰' },
          spans: [
            { days: 'weekday', from: '07:00', to: '11:00', seasons: winter },
            { days: 'weekday', from: '17:00', to: '19:00', seasons: winter },
            { days: 'weekday', from: '11:00', to: '17:00', seasons: summer },
          ],
        },
      ],
      // Of the board's list for this year, on weekdays.
      holidays: [
        '2022-12-26',
        '2022-12-27',
        '2023-01-02',
        '2023-02-20',
        '2023-04-07',
        '2023-05-22',
        '2023-07-03',
        '2023-08-07',
        '2023-09-04',
        '2023-10-09',
      ],
      charges: [
        { id: 'off-peak', type: 'energy', label: { en: 'Off-peak', zh: '低谷电量' }, periods: ['off-peak'], rate: '0.074' },
        { id: 'mid-peak', type: 'energy', label: { en: 'Mid-peak', zh: '平段电量' }, periods: ['mid-peak'], rate: '0.102' },
        { id: 'on-peak', type: 'energy', label: { en: 'On-peak', zh: '高峰电量' }, periods: ['on-peak'], rate: '0.151' },
      ],
      taxes: [{ id: 'hst', label: { en: 'HST', zh: '统一销售税' }, percent: '13' }],
    },
  ],
}
