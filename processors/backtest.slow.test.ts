import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { HOUR_MS, toIso } from '#model/time.ts'
import { readDataSet } from '../deploy/dataset.ts'
import { dataSetLog } from '../deploy/dataset-log.ts'
import { parseSettings } from '../ingest/settings.ts'
import { Backtest, dayLine, EMITS, intervalLine } from './backtest.ts'
import { PLAIN_TOPOLOGY } from './processors.fixture.ts'
import { START_MS } from './zone-fold.fixture.ts'

const dir = mkdtempSync(join(tmpdir(), 'backtest-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Two districts that share a flow meter, one water meter each, six hours. */
function writeDataSet(): void {
  const asset = (properties: object) => ({ type: 'Feature', geometry: null, properties })
  const features = [
    asset({ id: 'A', kind: 'dma' }),
    asset({ id: 'B', kind: 'dma' }),
    asset({ id: 'G', kind: 'gateway' }),
    asset({
      id: 'F',
      kind: 'flow_meter',
      gateway: 'G',
      flows: [
        { dma: 'A', sign: 1 },
        { dma: 'B', sign: -1 },
      ],
    }),
    asset({ id: 'WA', kind: 'water_meter', dma: 'A', gateway: 'G', interval_s: 3600 }),
    asset({ id: 'WB', kind: 'water_meter', dma: 'B', gateway: 'G', interval_s: 3600 }),
  ]
  writeFileSync(join(dir, 'assets.geojson'), JSON.stringify({ type: 'FeatureCollection', features }))
  writeFileSync(
    join(dir, 'meta.json'),
    JSON.stringify({ name: 't', timezone: 'UTC', start: toIso(START_MS), end: toIso(START_MS + 7 * HOUR_MS) }),
  )
  const rows = ['received_at,gateway,device,quantity,ts,value']
  for (let h = 0; h < 6; h++) {
    const ts = toIso(START_MS + h * HOUR_MS)
    const at = toIso(START_MS + h * HOUR_MS + 5_000)
    rows.push(`${at},G,F,flow_m3h,${ts},${h === 3 ? 95 : h === 5 ? 1 : 40}`)
    rows.push(`${at},G,WA,water_volume_m3,${ts},${h}`, `${at},G,WB,water_volume_m3,${ts},${h * 2}`)
  }
  rows.push(`${toIso(START_MS + 5.5 * HOUR_MS)},G,UNKNOWN,flow_m3h,${toIso(START_MS)},1`)
  writeFileSync(join(dir, 'readings.csv.gz'), gzipSync(`${rows.join('\n')}\n`))
}
writeDataSet()

async function backtest(): Promise<{ lines: string[]; run: Backtest; refused: Record<string, number> }> {
  const lines: string[] = []
  const run = new Backtest({
    topology: PLAIN_TOPOLOGY,
    emit: new Set(EMITS),
    write: (line) => void lines.push(line),
    onFault: (part, error) => {
      throw new Error(`${part}: ${error}`)
    },
  })
  const log = dataSetLog(await readDataSet(dir), parseSettings(''))
  for await (const records of log.records()) for (const r of records) run.apply(r)
  run.end()
  return { lines, run, refused: log.refused }
}

describe('a backtest', () => {
  test('prints every kind of line in order of decision, and counts', async () => {
    const { lines, run, refused } = await backtest()
    expect(run.counts).toMatchObject({ readings: 24, stored: 18, intervals: 10, days: 10, quarantined: {} })
    expect(refused).toEqual({ unknown_device: 1 })
    const findings = lines.filter((l) => l.includes('"type":"finding"')).map((l) => JSON.parse(l))
    // The flow meter's high value is found in both districts that it serves.
    expect(new Set(findings.map((f) => f.zone))).toEqual(new Set(['A', 'B']))
    expect(findings[0]).toMatchObject({ detectedAt: '2026-03-01T03:00:05Z', startedAt: '2026-03-01T03:00:00Z', rev: 1 })
    const times = findings.map((f) => Date.parse(f.updatedAt))
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(lines.some((l) => l.startsWith('{"type":"ticket"'))).toBe(true)
    expect((await backtest()).lines).toEqual(lines)
  })

  test('lines are those of the contract', () => {
    const interval = {
      meter: 'E',
      quantity: 'active_energy_import_kwh',
      channel: '',
      startMs: START_MS,
      endMs: START_MS + 900_000,
      value: 0.42,
      status: 'actual',
      reasons: [],
      rev: 1,
    } as const
    expect(intervalLine({ ...interval, reasons: [] })).toBe(
      '{"type":"interval","meter":"E","quantity":"active_energy_import_kwh","start":"2026-03-01T00:00:00Z","end":"2026-03-01T00:15:00Z","value":0.42,"status":"actual","reasons":[],"rev":1}',
    )
    expect(
      dayLine({
        meter: 'E',
        quantity: 'active_energy_import_kwh',
        channel: 'L1',
        date: '2026-03-01',
        value: 9.8,
        actual: 94,
        estimated: 2,
        missing: 0,
        edited: 0,
        estimatedValue: 0.2,
        tou: { valley: 1.8, peak: 8 },
        rules: [],
        rev: 1,
      }),
    ).toBe(
      '{"type":"day","meter":"E","date":"2026-03-01","quantity":"active_energy_import_kwh","channel":"L1","value":9.8,"actual":94,"estimated":2,"missing":0,"rev":1,"estimatedValue":0.2,"tou":{"valley":1.8,"peak":8}}',
    )
  })

  test('the command says what is wrong, and ends with 0 only when all went well', () => {
    const cli = (...args: string[]) => spawnSync(process.execPath, ['processors/backtest-cli.ts', ...args], { encoding: 'utf8' })
    expect(cli('--data', dir, '--emit', 'nonsense')).toMatchObject({ status: 1, stderr: expect.stringContaining('nonsense') })
    expect(cli('--data', join(dir, 'none'))).toMatchObject({ status: 1, stderr: expect.stringContaining('assets.geojson') })
    const good = cli('--data', dir, '--emit', 'intervals,days')
    expect(good.status).toBe(0)
    expect(good.stderr).toMatch(/readings 24/)
  }, 60_000)
})
