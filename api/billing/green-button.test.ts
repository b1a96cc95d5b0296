import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { XmlBufferInputProvider, XmlDocument, type XmlElement, XsdValidator, xmlRegisterInputProvider } from 'libxml2-wasm'
import { beforeAll, describe, expect, it } from 'vitest'
import { HOUR_MS, offsetMs, startOfLocalDate } from '#model/time.ts'
import { timeRules } from './dst-rule.ts'
import { type GreenButtonInput, type GreenButtonReading, greenButton, qualitiesOf } from './green-button.ts'

const STANDARDS = new URL('../../../shared/data/standards/espi/', import.meta.url)
const NAMES = { atom: 'http://www.w3.org/2005/Atom', espi: 'http://naesb.org/espi' }
const ZONE = 'Europe/Zurich'

function hours(date: string, n: number, of: (i: number) => Partial<GreenButtonReading> = () => ({})): GreenButtonReading[] {
  const startMs = startOfLocalDate(ZONE, date)
  return Array.from({ length: n }, (_, i) => ({
    ...{ startMs: startMs + i * HOUR_MS, endMs: startMs + (i + 1) * HOUR_MS, value: i / 1000, status: 'actual' as const, reasons: [] },
    ...of(i),
  }))
}
const INPUT: GreenButtonInput = {
  account: 'C & "1"',
  timezone: ZONE,
  fromMs: Date.parse('2026-03-27T23:00:00Z'),
  toMs: Date.parse('2026-04-01T22:00:00Z'),
  meters: [
    {
      meter: 'E<1>',
      series: [
        {
          quantity: 'active_energy_import_kwh',
          channel: '',
          readings: [
            ...hours('2026-03-28', 24, (i) =>
              i === 3 ? { status: 'estimated', reasons: ['gap', 'like_day'] } : i === 4 ? { value: null, status: 'missing' } : {},
            ),
            ...hours('2026-03-29', 23, (i) => (i === 0 ? { status: 'rejected', reasons: ['transient_spike', 'linear'] } : {})),
          ],
        },
        { quantity: 'active_energy_export_kwh', channel: 't1', readings: hours('2026-03-28', 2, () => ({ status: 'edited' })) },
        { quantity: 'reactive_energy_import_kvarh', channel: '', readings: [] },
      ],
    },
    { meter: 'W1', series: [{ quantity: 'water_volume_m3', channel: '', readings: hours('2026-03-28', 24) }] },
  ],
  bills: [
    {
      ...{ commodity: 'power', startMs: Date.parse('2026-02-28T23:00:00Z'), endMs: Date.parse('2026-03-31T22:00:00Z'), consumption: 743 },
      ...{ total: { minor: 17955, minorDigits: 2, currency: 'CHF' }, tariff: 'P1', closedMs: Date.parse('2026-04-04T00:00:00Z') },
    },
    {
      ...{
        commodity: 'water',
        startMs: Date.parse('2026-02-28T23:00:00Z'),
        endMs: Date.parse('2026-03-31T22:00:00Z'),
        consumption: 12.345,
      },
      ...{ total: null, tariff: '', closedMs: Date.parse('2026-04-04T00:00:00Z') },
    },
  ],
}
const text = (input = INPUT) => [...greenButton(input)].join('')
const all = (doc: XmlDocument, path: string) => doc.find(path, NAMES)
const texts = (doc: XmlDocument, path: string) => all(doc, path).map((n) => n.content)

describe('Green Button', () => {
  it('says the same bytes for the same data, with its own ids for everything', () => {
    expect(text()).toBe(text())
    using doc = XmlDocument.fromString(text())
    const ids = texts(doc, '//atom:entry/atom:id')
    expect(new Set(ids).size).toBe(ids.length)
    const selfs = texts(doc, "//atom:entry/atom:link[@rel='self']/@href")
    expect(new Set(selfs).size).toBe(selfs.length)
  })

  it('values are whole Wh and litres, qualities the codes of the standard, a missing interval is a hole', () => {
    using doc = XmlDocument.fromString(text())
    expect(texts(doc, "//atom:entry[atom:title='E<1>']//espi:kind")).toEqual(['0'])
    const blocks = all(doc, '//espi:IntervalBlock')
    expect(blocks).toHaveLength(4)
    const values = texts(doc, '(//espi:IntervalBlock)[1]//espi:value')
    expect(values).toEqual(Array.from({ length: 24 }, (_, i) => String(i)).filter((v) => v !== '4'))
    expect(texts(doc, '(//espi:IntervalBlock)[1]//espi:quality')).toEqual(['8'])
    expect(texts(doc, '(//espi:IntervalBlock)[2]//espi:quality')).toEqual(['10', '9'])
    expect(texts(doc, '(//espi:IntervalBlock)[2]/espi:interval/espi:duration')).toEqual([String(23 * 3600)])
    expect(texts(doc, '//espi:billLastPeriod')).toEqual(['17955000'])
  })

  it.each([
    ['actual', [], [17]],
    ['estimated', ['linear'], [9]],
    ['estimated', ['balance'], [8]],
    ['edited', ['manual_edit'], [7]],
    ['rejected', ['step', 'like_day'], [10, 8]],
  ] as const)('quality of %s by %j', (status, reasons, codes) => {
    expect(qualitiesOf({ status, reasons })).toEqual(codes)
  })

  it.each([
    // The rules that the standard's own samples give for North America.
    ['America/New_York', { offsetS: -18_000, dstOffsetS: 3600, startRule: '360E2000', endRule: 'B40E2000' }],
    ['Europe/Zurich', { offsetS: 3600, dstOffsetS: 3600, startRule: '3E0E2000', endRule: 'AE0E3000' }],
    ['Asia/Shanghai', { offsetS: 28_800, dstOffsetS: 0, startRule: 'FFFFFFFF', endRule: 'FFFFFFFF' }],
    ['Australia/Lord_Howe', { offsetS: 37_800, dstOffsetS: 1800, startRule: 'A40E2000', endRule: '440E2000' }],
  ])('summer time of %s', (zone, rules) => {
    expect(timeRules(2026, (ms) => offsetMs(zone, ms))).toEqual(rules)
  })
})

describe.skipIf(!existsSync(STANDARDS))('against the published schema and function blocks (skipped where the standards are absent)', () => {
  let validator: XsdValidator

  beforeAll(() => {
    const schema = (name: string) => readFileSync(new URL(`schema/${name}`, STANDARDS))
    // atom.xsd names xml.xsd by its address at the W3C.
    xmlRegisterInputProvider(
      new XmlBufferInputProvider({ 'espi:///atom.xsd': schema('atom.xsd'), 'https://www.w3.org/2001/03/xml.xsd': schema('xml.xsd') }),
    )
    validator = XsdValidator.fromDoc(XmlDocument.fromBuffer(schema('espi.xsd'), { url: 'espi:///espi.xsd' }))
  })
  const contentsOf = (doc: XmlDocument) => all(doc, '//atom:entry/atom:content/*')
  function problemsOf(doc: XmlDocument): string[] {
    return contentsOf(doc).flatMap((node) => {
      using one = XmlDocument.fromString((node as XmlElement).toString())
      try {
        validator.validate(one)
        return []
      } catch (error) {
        return [(error as Error).message]
      }
    })
  }

  it('every entry of ours is valid, and one that is made wrong is found', () => {
    using doc = XmlDocument.fromString(text())
    expect(contentsOf(doc).length).toBe(17)
    expect(problemsOf(doc)).toEqual([])
    using wrong = XmlDocument.fromString(text().replace('<uom>72</uom>', '<uom>Wh</uom>'))
    expect(problemsOf(wrong)).toHaveLength(1)
  })

  it("the standard's own sample is valid by the same check", () => {
    using doc = XmlDocument.fromBuffer(readFileSync(new URL('samples/test_usage_data_01.xml', STANDARDS)))
    expect(problemsOf(doc)).toEqual([])
  })

  /** Assertions of the certification that hold without XSLT's current(). */
  function assertionsOf(block: string): { context: string; test: string; text: string }[] {
    using doc = XmlDocument.fromBuffer(readFileSync(new URL(`function-blocks/${block}`, STANDARDS)))
    const names = { sch: 'http://purl.oclc.org/dsdl/schematron' }
    return doc.find('//sch:rule', names).flatMap((rule) =>
      (rule as XmlElement).find('sch:assert', names).map((a) => ({
        context: (rule as XmlElement).attr('context')?.value ?? '',
        test: (a as XmlElement).attr('test')?.value ?? '',
        text: a.content.trim(),
      })),
    )
  }

  it.each(['FB_01.sch', 'FB_04.sch', 'FB_05.sch', 'FB_11.sch', 'FB_15.sch'])('assertions of %s hold', (block) => {
    expect(readdirSync(new URL('function-blocks/', STANDARDS))).toContain(block)
    using doc = XmlDocument.fromString(text())
    const failed: string[] = []
    let checked = 0
    for (const { context, test, text: what } of assertionsOf(block)) {
      if (test.includes('current()')) continue
      for (const node of all(doc, context === '/' ? '/*' : context)) {
        checked += 1
        const path = context === '/' ? `boolean(/${test})` : `boolean(${test})`
        if ((node as XmlElement).eval(path, NAMES) !== true) failed.push(`${what} at ${context}`)
      }
    }
    expect(failed).toEqual([])
    expect(checked).toBeGreaterThan(0)
  })
})
