import { describe, expect, test } from 'vitest'
import { aDevice, aReading, START_MS } from '../zone-fold.fixture.ts'
import { PartitionOutputs } from './outputs.ts'
import { RowPrefixes } from './questdb.ts'

const topics = { findings: 'findings', summaries: 'summaries', quarantine: 'quarantine', live: 'live', tickets: 'tickets' }
const outputs = () => new PartitionOutputs(topics, new RowPrefixes('x_'))
const read = (device: string, kind: 'water_meter' | 'pressure_sensor', tsMs: number, value: number) => ({
  ...aReading({ device, quantity: 'pressure_bar', tsMs, value }),
  quality: 'good' as const,
  rules: ['spike', 'late'],
  info: aDevice({ id: device, kind }),
})

describe('outputs of a partition', () => {
  test('rows are in line protocol, one table after the other', () => {
    const out = outputs()
    out.reading('A', read('P 1', 'pressure_sensor', START_MS, 5))
    out.interval('A', {
      meter: 'W1',
      quantity: 'water_volume_m3',
      channel: 't2',
      startMs: START_MS,
      endMs: START_MS + 1000,
      value: null,
      status: 'missing',
      reasons: ['gap'],
      rev: 2,
    })
    out.event('A', { device: 'W1', event: 'tamper', tsMs: START_MS + 0.4, detail: { a: '"' }, gateway: 'G1', receivedAtMs: START_MS })
    out.computed('A', { asset: 'T1', quantity: 'power_kw', tsMs: START_MS, value: 1, nowMs: START_MS })
    const text = out.rows.tables().map((t) =>
      t
        .view()
        .toString('latin1')
        .replaceAll(/==.{9}/gs, '=<double>'),
    )
    const us = `${START_MS}000t`
    expect(text).toEqual([
      `x_readings,device=P\\ 1,quantity=pressure_bar,gateway=G1,zone=A,quality=good value=<double>,received_at=${START_MS + 5000}000t,rules="spike,late" ${us}\n` +
        `x_readings,device=T1,quantity=power_kw,zone=A,quality=computed value=<double>,received_at=${us} ${us}\n`,
      `x_intervals,meter=W1,quantity=water_volume_m3,channel=t2,status=missing,zone=A end=${START_MS + 1000}000t,reasons="gap",rev=2i ${us}\n`,
      `x_events,device=W1,event=tamper,gateway=G1,zone=A detail="{\\"a\\":\\"\\\\\\"\\"}",received_at=${us} ${us}\n`,
    ])
    out.clear()
    expect(out.size).toBe(0)
  })

  test('the map gets the newest value of sensors, nothing of customers', () => {
    const out = outputs()
    out.reading('A', read('P1', 'pressure_sensor', START_MS + 1000, 5))
    out.reading('A', read('P1', 'pressure_sensor', START_MS, 4))
    out.reading('B', read('W1', 'water_meter', START_MS, 4))
    out.live(3, [
      { zone: 'A', nowMs: START_MS + 2000, readings: 2 },
      { zone: 'B', nowMs: START_MS + 2000, readings: 1 },
      { zone: 'C', nowMs: START_MS + 2000, readings: 0 },
    ])
    expect(out.records.map((r) => JSON.parse(String(r.value)))).toEqual([
      {
        type: 'live',
        zone: 'A',
        partition: 3,
        nowMs: START_MS + 2000,
        readings: 2,
        values: [['P1', 'pressure_bar', '', START_MS + 1000, 5, 'good']],
      },
      { type: 'live', zone: 'B', partition: 3, nowMs: START_MS + 2000, readings: 1, values: [] },
    ])
  })

  test('the watermark comes after what was said', () => {
    const out = outputs()
    out.summary({ type: 'summary', zone: 'A', zoneKind: 'dma', seq: 1, atMs: START_MS, topic: 't', data: {} })
    out.watermark(2, START_MS + 10_000)
    expect(out.records.map((r) => [r.topic, JSON.parse(String(r.value)).type])).toEqual([
      ['summaries', 'summary'],
      ['summaries', 'watermark'],
    ])
  })
})
