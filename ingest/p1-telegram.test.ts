import { describe, expect, test } from 'vitest'
import { crc16, parseTelegram, type Telegram, telegramId, telegramTime, telegramValue } from './p1-telegram.ts'

const time = (text: string, zone?: string) => telegramTime(text, zone)

describe('times', () => {
  test('W is UTC+1 and S UTC+2', () => {
    expect(time('170102192002W')).toBe(Date.UTC(2017, 0, 2, 18, 20, 2))
    expect(time('250706155014S')).toBe(Date.UTC(2025, 6, 6, 13, 50, 14))
  })
  test('the hour that comes twice is told apart by its letter', () => {
    expect((time('251026023000W') as number) - (time('251026023000S') as number)).toBe(3_600_000)
  })
  test('elsewhere by the zone of the settings', () => {
    expect(time('260301120000W', 'Europe/Vilnius')).toBe(Date.UTC(2026, 2, 1, 10))
    expect(time('260701120000S', 'Europe/Vilnius')).toBe(Date.UTC(2026, 6, 1, 9))
  })
  test('without letter only with a zone', () => {
    expect(time('090212160000')).toBe('local')
    expect(time('090212160000', 'Europe/Amsterdam')).toBe(Date.UTC(2009, 1, 12, 15))
  })
  test.each(['632525252525W', '170230120000W', '17010219', '', '170102252002W'])('%j is none', (text) => expect(time(text)).toBeUndefined())
})

test('CRC-16/ARC', () => expect(crc16(Buffer.from('123456789'))).toBe(0xbb3d))

test('a CRC without its leading zero, and line ends that were changed', () => {
  for (let n = 0; n < 400; n++) {
    const body = `/ABC5x\r\n\r\n1-0:1.8.0(${String(n).padStart(6, '0')}*Wh)\r\n!`
    const crc = crc16(Buffer.from(body)).toString(16).toUpperCase()
    if (crc.length > 3) continue
    expect((parseTelegram(`${body}${crc}\r\n`) as Telegram).crc).toBe('right')
    expect((parseTelegram(`${body}${crc}\r\n`.replaceAll('\r\n', '\n')) as Telegram).crc).toBe('right')
    expect((parseTelegram(`${body.replace('Wh', 'kW')}${crc}\r\n`) as Telegram).crc).toBe('wrong')
    return
  }
  expect.unreachable('no CRC below 1000 in 400 telegrams')
})

test('values and ids', () => {
  expect(telegramValue('000004.426*kWh')).toEqual({ value: 4.426, unit: 'kWh' })
  expect(telegramValue('00050')).toEqual({ value: 50, unit: '' })
  expect(telegramValue('')).toBeUndefined()
  expect(telegramValue('12,5*kWh')).toBeUndefined()
  expect(telegramId('4B384547')).toBe('K8EG')
  expect(telegramId('00000000000000')).toBe('00000000000000')
  expect(telegramId('0272031312565')).toBe('0272031312565')
})

test('one long line takes no long time', () => {
  const begin = Date.now()
  parseTelegram(`/ABC5x\r\n1(1)${'1'.repeat(900_000)}\r\n!`)
  parseTelegram(`/ABC5x\r\n1(1)${'('.repeat(900_000)}\r\n!`)
  expect(Date.now() - begin).toBeLessThan(2_000)
})
