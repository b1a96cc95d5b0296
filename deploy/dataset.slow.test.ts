import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type DataSetMessage, messages, nativePayload, readDataSet, readRegistryFiles } from './dataset.ts'
import { mergedRows, type Row, splitLine } from './dataset-rows.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'meterstream-dataset-'))
  await put(
    'meta.json',
    JSON.stringify({ name: 'test', timezone: 'Europe/Zurich', warmupUntil: '2026-03-08T00:00:00Z', intervalSeconds: 900 }),
  )
  await put(
    'assets.geojson',
    collection([
      { id: 'D', kind: 'dma' },
      { id: 'W', kind: 'water_meter', dma: 'D', gateway: 'G', account: 'A' },
      { id: 'G', kind: 'gateway' },
    ]),
  )
  await put('accounts.csv', 'account,name,segment,phone,email,language,tariff_water,tariff_power\nA,"Doe, J.",large,,,,t,\n')
  await put(
    'operations.csv',
    'known_at,kind,scope_type,scope,start,end,note\n2026-03-02T00:00:00Z,hydrant,dma,D,2026-03-03T08:00:00Z,2026-03-03T10:00:00Z,"flushing, north"\n',
  )
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const put = (name: string, text: string) => writeFile(join(dir, name), name.endsWith('.gz') ? gzipSync(text) : text)
const collection = (assets: object[]) =>
  JSON.stringify({ type: 'FeatureCollection', features: assets.map((properties) => ({ type: 'Feature', geometry: null, properties })) })
const HEADER = 'received_at,gateway,device,quantity,ts,value\n'
const EVENTS = 'received_at,gateway,device,event,ts,detail\n'
const at = (s: number) => new Date(Date.UTC(2026, 2, 1) + s * 1000).toISOString().replace('.000Z', 'Z')
const read = async (...files: string[]): Promise<Row[]> => (await Array.fromAsync(mergedRows(dir, files))).flat()
const sent = async () => (await Array.fromAsync(messages(dir))).filter((m): m is DataSetMessage => m.kind === 'message')

describe('the registry part', () => {
  test('is read as the contract says', async () => {
    const r = await readRegistryFiles(dir)
    expect(r.meta).toMatchObject({ name: 'test', timezone: 'Europe/Zurich', warmupUntilMs: Date.UTC(2026, 2, 8), intervalSeconds: 900 })
    expect(r.features.map((f) => f.properties.id)).toEqual(['D', 'W', 'G'])
    expect(r.accounts).toMatchObject([
      { account: 'A', name: 'Doe, J.', segment: 'large', language: 'en', tariff_water: 't', tariff_power: '' },
    ])
    expect(r.operations).toEqual([
      {
        knownAtMs: Date.UTC(2026, 2, 2),
        kind: 'hydrant',
        scopeType: 'dma',
        scope: 'D',
        startMs: Date.UTC(2026, 2, 3, 8),
        endMs: Date.UTC(2026, 2, 3, 10),
        note: 'flushing, north',
      },
    ])
    expect(r.warnings).toEqual([])
  })

  test('tariffs are read; a wrong one is kept and named, a list that is none is refused', async () => {
    const version = { validFrom: '2026-01-01', charges: [{ id: 'e', type: 'energy', label: { en: 'E' }, rate: '0.2' }] }
    const tariff = { code: 'T', commodity: 'power', label: { en: 'T' }, currency: 'EUR', versions: [version] }
    await put('tariffs.json', JSON.stringify([tariff, { ...tariff, code: 'U', versions: [version, version] }]))
    const r = await readRegistryFiles(dir)
    expect(r.tariffs.map((t) => [t.code, t.commodity, t.valid])).toEqual([
      ['T', 'power', true],
      ['U', 'power', false],
    ])
    expect(r.warnings).toEqual([
      'tariffs.json: U: versions.0.validUntil: versions must be in order: the next begins 2026-01-01, not after 2026-01-01',
    ])
    await put('tariffs.json', JSON.stringify([tariff, tariff, {}]))
    await expect(readRegistryFiles(dir)).rejects.toThrow('tariffs.json: [1].code: T stands there twice')
    await put('tariffs.json', '{}')
    await expect(readRegistryFiles(dir)).rejects.toThrow('tariffs.json: expected an array of tariffs')
  })

  test('accounts and operations may be absent', async () => {
    await rm(join(dir, 'accounts.csv'))
    await rm(join(dir, 'operations.csv'))
    const r = await readRegistryFiles(dir)
    expect([r.accounts, r.operations]).toEqual([[], []])
    expect(r.warnings).toEqual(['assets.geojson: features[1] (id W): properties.account: nothing is named A'])
  })

  test.each<[string, string, string, RegExp]>([
    [
      'an unknown kind',
      'assets.geojson',
      collection([{ id: 'X', kind: 'windmill' }]),
      /^assets\.geojson: features\[0\] \(id X\): properties\.kind: /,
    ],
    [
      'a missing field',
      'assets.geojson',
      collection([{ id: 'X', kind: 'water_meter' }]),
      /^assets\.geojson: features\[0\] \(id X\): properties\.gateway: /,
    ],
    [
      'an id used twice',
      'assets.geojson',
      collection([
        { id: 'X', kind: 'dma' },
        { id: 'X', kind: 'dma' },
      ]),
      /features\[1\] \(id X\): properties\.id: already used by features\[0\]/,
    ],
    ['a reserved id', 'assets.geojson', collection([{ id: 'network', kind: 'dma' }]), /reserved/],
    ['no collection', 'assets.geojson', '{}', /^assets\.geojson: features: expected an array/],
    ['half a file', 'assets.geojson', '{"features":[', /^assets\.geojson: not JSON/],
    ['an unknown segment', 'accounts.csv', 'account,segment\nA,gold\n', /^accounts\.csv: line 2: segment: /],
    ['an account twice', 'accounts.csv', 'account,segment\nA,large\nA,large\n', /^accounts\.csv: line 3: account: A stands there twice/],
    [
      'a local time',
      'operations.csv',
      'known_at,kind,scope_type,scope,start,end,note\n2026-03-02T00:00:00,hydrant,dma,D,2026-03-03T08:00:00Z,2026-03-03T10:00:00Z,\n',
      /^operations\.csv: line 2: known_at: not an ISO 8601 time/,
    ],
    [
      'an end before the start',
      'operations.csv',
      'known_at,kind,scope_type,scope,start,end,note\n2026-03-02T00:00:00Z,hydrant,dma,D,2026-03-03T08:00:00Z,2026-03-02T10:00:00Z,\n',
      /line 2: end: before start/,
    ],
    ['a time zone that is none', 'meta.json', '{"timezone":"Mars/Olympus"}', /^meta\.json: timezone: not an IANA time zone/],
    ['a warm-up that is no time', 'meta.json', '{"timezone":"UTC","warmupUntil":"soon"}', /^meta\.json: warmupUntil: not an ISO 8601 time/],
  ])('%s is named with file, entry and field', async (_name, file, text, message) => {
    await put(file, text)
    await expect(readRegistryFiles(dir)).rejects.toThrow(message)
  })

  test('a folder that is none says which files it lacks', async () => {
    await expect(readRegistryFiles('/nowhere')).rejects.toThrow('meta.json: not in /nowhere\nassets.geojson: not in /nowhere')
  })
})

describe('rows', () => {
  test('of several files come in order of arrival, on a tie in the order of the files, events last', async () => {
    await put('readings-a.csv.gz', `${HEADER}${at(1)},G,a1,flow_m3h,${at(0)},1\n${at(5)},G,a2,flow_m3h,${at(0)},2\n`)
    await put(
      'readings-b.csv.gz',
      `${HEADER}${at(1)},G,b1,flow_m3h,${at(0)},3\n${at(3)},G,b2,flow_m3h,${at(0)},4\n${at(5)},G,b3,flow_m3h,${at(0)},5\n`,
    )
    await put('events.csv.gz', `${EVENTS}${at(5)},G,e1,tamper,${at(0)},\n`)
    const batches = await Array.fromAsync((await readDataSet(dir)).rows())
    expect(batches.flat().map((r) => (r.kind === 'refused' ? 'refused' : r.device))).toEqual(['a1', 'b1', 'b2', 'a2', 'b3', 'e1'])
  })

  test('that are none are refused with file and line, and disturb nothing', async () => {
    await put(
      'readings.csv.gz',
      `${HEADER}rubbish\n${at(1)},G,W,flow_m3h,${at(0)},1\nyesterday,G,W,flow_m3h,${at(0)},2\n${at(2)},"G,W,flow_m3h,${at(0)},3\n\n${at(3)},G,W,flow_m3h,${at(0)},4`,
    )
    await put('events.csv.gz', `${EVENTS}${at(2)},G,W,tamper,${at(1)},{broken\n${at(4)},G,W,tamper,${at(1)},"{""n"": 1}"\n`)
    const rows = await read('readings.csv.gz', 'events.csv.gz')
    const bad = rows.filter((r) => r.kind === 'refused')
    expect(bad.map((r) => [r.file, r.line, r.field])).toEqual([
      ['readings.csv.gz', 2, ''],
      ['readings.csv.gz', 4, 'received_at'],
      ['readings.csv.gz', 5, ''],
      ['events.csv.gz', 2, 'detail'],
    ])
    expect(rows.filter((r) => r.kind === 'reading').map((r) => r.value)).toEqual([1, 4])
    expect(rows.filter((r) => r.kind === 'event').map((r) => r.detail)).toEqual([{ n: 1 }])
  })

  test('with a bad quantity, time or value are passed on: ingest refuses them, as it would a gateway', async () => {
    await put('readings.csv.gz', `${HEADER}${at(1)},G,W,wind,when,a lot\n`)
    const [message] = await sent()
    expect(JSON.parse(nativePayload(message as DataSetMessage)).readings).toEqual([
      { device: 'W', quantity: 'wind', ts: 'when', value: 'a lot' },
    ])
  })

  test('may have their columns in any order, a byte order mark and CRLF', async () => {
    await put('readings.csv.gz', `\uFEFFvalue,ts,quantity,device,gateway,received_at\r\n1.5,${at(0)},flow_m3h,W,G,${at(1)}\r\n`)
    expect(await read('readings.csv.gz')).toMatchObject([{ device: 'W', value: 1.5, ts: at(0), gateway: 'G' }])
  })

  test('of a file without a wanted column cannot be read at all', async () => {
    await put('readings.csv.gz', `received_at,device\n${at(0)},W\n`)
    await expect(read('readings.csv.gz')).rejects.toThrow('readings.csv.gz: line 1: no column gateway')
  })

  test('of a file cut short end in an error that names the file', async () => {
    await writeFile(join(dir, 'readings.csv.gz'), gzipSync(`${HEADER}${`${at(1)},G,W,flow_m3h,${at(0)},1\n`.repeat(50)}`).subarray(0, 60))
    await expect(read('readings.csv.gz')).rejects.toThrow(/readings\.csv\.gz: /)
  })

  test('keep a steady clock when a file is not in order', async () => {
    await put('readings.csv.gz', `${HEADER}${at(9)},G,a,flow_m3h,${at(0)},1\n${at(5)},G,b,flow_m3h,${at(0)},2\n`)
    expect((await read('readings.csv.gz')).map((r) => r.receivedAtMs)).toEqual([Date.parse(at(9)), Date.parse(at(9))])
  })
})

test('a CSV line written by the rules is read back', () => {
  const field = fc.string().filter((s) => !/[\r\n]/.test(s))
  fc.assert(
    fc.property(fc.array(field, { minLength: 1 }), (fields) => {
      const line = fields.map((f) => (/[",]/.test(f) ? `"${f.replaceAll('"', '""')}"` : f)).join(',')
      expect(splitLine(line)).toEqual(fields)
    }),
  )
})

describe('messages', () => {
  test('group a window of 10 s by gateway, take the receipt time of the last row and come in order of it', async () => {
    const row = (s: number, gateway: string, device: string) => `${at(s)},${gateway},${device},flow_m3h,${at(0)},1\n`
    await put(
      'readings.csv.gz',
      HEADER + row(1, 'B', '1') + row(2, 'A', '2') + row(4, 'C', '3') + row(4, 'A', '4') + row(9, 'B', '5') + row(10, 'B', '6'),
    )
    await put('events.csv.gz', `${EVENTS}${at(3)},A,e,tamper,${at(0)},\n`)
    expect(
      (await sent()).map((m) => [
        m.gateway,
        m.seq,
        (m.receivedAtMs - Date.parse(at(0))) / 1000,
        m.readings.map((r) => r.device).join(),
        m.events.length,
      ]),
    ).toEqual([
      ['A', 1, 4, '2,4', 1],
      ['C', 1, 4, '3', 0],
      ['B', 1, 9, '1,5', 0],
      ['B', 2, 10, '6', 0],
    ])
  })

  test('hold at most 5,000 entries and stay below 1 MiB', async () => {
    await put(
      'readings.csv.gz',
      HEADER + `${at(1)},G,W,flow_m3h,${at(0)},1\n`.repeat(12_000) + `${at(2)},H,${'x'.repeat(200)},flow_m3h,${at(0)},1\n`.repeat(5000),
    )
    const all = await sent()
    expect(all.map((m) => m.readings.length)).toEqual([5000, 5000, 2000, expect.any(Number), expect.any(Number)])
    expect(Math.max(...all.map((m) => Buffer.byteLength(nativePayload(m))))).toBeLessThan(1_048_576)
    expect(all.map((m) => m.seq)).toEqual([1, 2, 3, 1, 2])
  })

  test('never lose, double or reorder a row of a gateway, and their times never go back', async () => {
    const row = fc.record({ step: fc.integer({ min: 0, max: 12 }), gateway: fc.constantFrom('A', 'B', 'C') })
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 60 }), async (list) => {
        let s = 0
        const line = (r: { step: number; gateway: string }, i: number) => {
          s += r.step
          return `${at(s)},${r.gateway},d${i},flow_m3h,${at(0)},${i}\n`
        }
        await put('readings.csv.gz', HEADER + list.map(line).join(''))
        const all = await sent()
        for (const g of ['A', 'B', 'C']) {
          const values = all.filter((m) => m.gateway === g).flatMap((m) => m.readings.map((r) => r.value))
          expect(values).toEqual(list.flatMap((r, i) => (r.gateway === g ? [i] : [])))
        }
        expect(all.map((m) => m.receivedAtMs)).toEqual(all.map((m) => m.receivedAtMs).sort((a, b) => a - b))
      }),
      { numRuns: 40 },
    )
  })
})

const shared = (name: string) => fileURLToPath(new URL(`../../shared/data/${name}`, import.meta.url))

describe.each([
  ['water', 530_941, 0],
  ['power', 546_752, 148],
])('the data set %s', (name, readings, events) => {
  test.skipIf(!existsSync(shared(name)))('is read to its last row', async () => {
    const set = await readDataSet(shared(name))
    expect(set.warnings).toEqual([])
    const count = { message: 0, refused: 0, readings: 0, events: 0 }
    for await (const m of set.messages()) {
      count[m.kind] += 1
      if (m.kind === 'message') {
        count.readings += m.readings.length
        count.events += m.events.length
      }
    }
    expect(count).toMatchObject({ refused: 0, readings, events })
  })
})
