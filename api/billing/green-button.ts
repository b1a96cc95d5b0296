// Green Button (NAESB REQ.21 ESPI 4.0): an account's validated intervals and closed bills as an Atom feed. Pure: the same data gives the
// same bytes, ids included. Values are whole numbers of the unit's small form (Wh, litres), quality codes those of the standard.
import { createHash } from 'node:crypto'
import type { IntervalStatus } from '#model/interval.ts'
import { localDate, offsetMs, toIso } from '#model/time.ts'
import { timeRules } from './dst-rule.ts'

export interface GreenButtonReading {
  startMs: number
  endMs: number
  /** Null when missing: such a reading is left out, a hole is a hole. */
  value: number | null
  status: IntervalStatus
  /** Rules and estimation method. */
  reasons: readonly string[]
}

export interface GreenButtonSeries {
  quantity: string
  channel: string
  /** In order of time. */
  readings: readonly GreenButtonReading[]
}

export interface GreenButtonBill {
  commodity: 'water' | 'power' | 'gas' | 'heat'
  startMs: number
  endMs: number
  consumption: number
  /** Of the period with its adjustments; null without a price. */
  total: { minor: number; minorDigits: number; currency: string } | null
  tariff: string
  closedMs: number
}

export interface GreenButtonInput {
  account: string
  timezone: string
  fromMs: number
  toMs: number
  meters: readonly { meter: string; series: readonly GreenButtonSeries[] }[]
  bills: readonly GreenButtonBill[]
}

/** ServiceKind, CommodityKind, MeasurementKind, UnitSymbolKind, UnitMultiplierKind of a quantity, and how many of the unit one of ours is. */
interface Kind {
  service: 0 | 1 | 2
  commodity: 1 | 7 | 9
  flow: 1 | 19
  kind: 12 | 58
  uom: 72 | 73 | 42
  power: 0 | -3
}
const POWER = { service: 0, commodity: 1, kind: 12, power: 0 } as const
/** Quantities that the standard has a code for and a customer asks for. */
const KINDS: Record<string, Kind> = {
  active_energy_import_kwh: { ...POWER, flow: 1, uom: 72 },
  active_energy_export_kwh: { ...POWER, flow: 19, uom: 72 },
  reactive_energy_import_kvarh: { ...POWER, flow: 1, uom: 73 },
  reactive_energy_export_kvarh: { ...POWER, flow: 19, uom: 73 },
  water_volume_m3: { service: 2, commodity: 9, flow: 1, kind: 58, uom: 42, power: -3 },
  gas_volume_m3: { service: 1, commodity: 7, flow: 1, kind: 58, uom: 42, power: -3 },
}
export const GREEN_BUTTON_QUANTITIES = Object.keys(KINDS)

/** PhaseCodeKind of a channel that begins with a phase; the total has 0, not applicable. */
const PHASES: Record<string, number> = { L1: 128, L2: 64, L3: 32 }

const BILL_KINDS = { power: POWER.commodity, gas: 7, water: 9, heat: undefined } as const
/** ISO 4217 numeric codes of the currencies that a summary can name. */
const CURRENCIES: Record<string, number> = {
  ...{ AUD: 36, CAD: 124, CHF: 756, CNY: 156, DKK: 208, EUR: 978, GBP: 826, HKD: 344, INR: 356, JPY: 392, KRW: 410, MXN: 484 },
  ...{ NOK: 578, NZD: 554, PLN: 985, SEK: 752, SGD: 702, THB: 764, USD: 840, ZAR: 710 },
}

/** Whatever has the usual quality says nothing of it: 17, validated. */
const USUAL_QUALITY = 17

/**
 * QualityOfReading: actual 17 (validated), estimated 9 by a straight line and 8 otherwise, a refused read 10 (failed checks) beside
 * the code of the estimate in its place, edited by a person 7.
 */
export function qualitiesOf(r: Pick<GreenButtonReading, 'status' | 'reasons'>): number[] {
  const estimate = r.reasons.includes('linear') ? 9 : 8
  if (r.status === 'edited') return [7]
  if (r.status === 'estimated') return [estimate]
  return r.status === 'rejected' ? [10, estimate] : [USUAL_QUALITY]
}

const xml = (text: string) =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 has no form for them
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '')
    .replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' })[c] as string)

/** A name-based id: the same resource has the same one in every download. */
function uuid(name: string): string {
  const h = createHash('sha256').update(`meterstream green button ${name}`).digest('hex')
  return `urn:uuid:${h.slice(0, 8)}-${h.slice(8, 12)}-5${h.slice(13, 16)}-8${h.slice(17, 20)}-${h.slice(20, 32)}`
}

interface Entry {
  self: string
  up: string
  related?: readonly string[]
  title: string
  content: string
}

function entryText(e: Entry, updated: string): string {
  const link = (rel: string, href: string) => `<link rel="${rel}" href="${xml(href)}"/>`
  const links = [link('self', e.self), link('up', e.up), ...(e.related ?? []).map((r) => link('related', r))]
  return `<entry><id>${uuid(e.self)}</id>${links.join('')}<title>${xml(e.title)}</title><content>${e.content}</content><published>${updated}</published><updated>${updated}</updated></entry>\n`
}

const element = (name: string, content: string) => `<${name} xmlns="http://naesb.org/espi">${content}</${name}>`
const seconds = (ms: number) => Math.round(ms / 1000)
const period = (name: string, startMs: number, endMs: number) =>
  `<${name}><duration>${seconds(endMs - startMs)}</duration><start>${seconds(startMs)}</start></${name}>`

const ROOT = '/espi/1_1/resource'

/** The document in pieces: entry by entry, so that a year of a large account needs no memory of its own. */
export function* greenButton(input: GreenButtonInput): Generator<string> {
  const customer = `${ROOT}/RetailCustomer/${encodeURIComponent(input.account)}`
  const updated = toIso(input.toMs)
  const time = `${ROOT}/LocalTimeParameters/01`
  yield `<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n`
  yield `<id>${uuid(`${customer} ${input.fromMs} ${input.toMs}`)}</id><title>Green Button Usage Feed</title><updated>${updated}</updated>`
  yield `<link rel="self" href="${xml(`${customer}/UsagePoint`)}"/>\n`
  yield entryText({ self: time, up: `${ROOT}/LocalTimeParameters`, title: input.timezone, content: timeParameters(input) }, updated)
  const billed = new Set<string>()
  for (const m of input.meters) {
    const byService = new Map<number, GreenButtonSeries[]>()
    for (const s of m.series) {
      const kind = KINDS[s.quantity]
      if (kind !== undefined) byService.set(kind.service, [...(byService.get(kind.service) ?? []), s])
    }
    for (const [service, series] of byService) {
      const point = `${customer}/UsagePoint/${encodeURIComponent(byService.size > 1 ? `${m.meter}-${service}` : m.meter)}`
      const commodity = KINDS[(series[0] as GreenButtonSeries).quantity]?.commodity
      // A bill is an account's: it stands at the first point of its commodity.
      const bills = input.bills.filter((b) => BILL_KINDS[b.commodity] === commodity && !billed.has(b.commodity))
      for (const b of bills) billed.add(b.commodity)
      yield* usagePoint({ point, service, series, bills, time, meter: m.meter, timezone: input.timezone }, updated)
    }
  }
  yield '</feed>\n'
}

interface Point {
  point: string
  service: number
  meter: string
  series: readonly GreenButtonSeries[]
  bills: readonly GreenButtonBill[]
  time: string
  timezone: string
}

function* usagePoint(p: Point, updated: string): Generator<string> {
  const readings = `${p.point}/MeterReading`
  const summaries = `${p.point}/UsageSummary`
  const content = element('UsagePoint', `<ServiceCategory><kind>${p.service}</kind></ServiceCategory>`)
  const up = p.point.slice(0, p.point.lastIndexOf('/'))
  yield entryText(
    { self: p.point, up, related: [readings, ...(p.bills.length > 0 ? [summaries] : []), p.time], title: p.meter, content },
    updated,
  )
  for (const [k, s] of p.series.entries()) {
    const self = `${readings}/${k + 1}`
    const type = `${ROOT}/ReadingType/${uuid(`${self} type`).slice(9)}`
    const title = s.channel === '' ? s.quantity : `${s.quantity} ${s.channel}`
    yield entryText({ self, up: readings, related: [`${self}/IntervalBlock`, type], title, content: element('MeterReading', '') }, updated)
    yield entryText({ self: type, up: `${ROOT}/ReadingType`, title, content: readingType(s) }, updated)
    yield* blocks(s, `${self}/IntervalBlock`, p.timezone, updated)
  }
  for (const b of p.bills) {
    yield entryText({ self: `${summaries}/${seconds(b.startMs)}`, up: summaries, title: 'Bill', content: summary(b) }, updated)
  }
}

function readingType(s: GreenButtonSeries): string {
  const k = KINDS[s.quantity] as Kind
  const first = s.readings[0]
  const phase = k.commodity === 1 ? `<phase>${PHASES[s.channel.split('/')[0] ?? ''] ?? 0}</phase>` : ''
  const length = first === undefined ? 3600 : seconds(first.endMs - first.startMs)
  // In the order of the schema. dataQualifier 12: normal; timeAttribute 0: none.
  return element(
    'ReadingType',
    `<accumulationBehaviour>4</accumulationBehaviour><commodity>${k.commodity}</commodity><dataQualifier>12</dataQualifier><defaultQuality>${USUAL_QUALITY}</defaultQuality><flowDirection>${k.flow}</flowDirection><intervalLength>${length}</intervalLength><kind>${k.kind}</kind>${phase}<powerOfTenMultiplier>${k.power}</powerOfTenMultiplier><timeAttribute>0</timeAttribute><uom>${k.uom}</uom>`,
  )
}

/** One block a local day. */
function* blocks(s: GreenButtonSeries, up: string, timezone: string, updated: string): Generator<string> {
  let day: GreenButtonReading[] = []
  let date = ''
  for (const r of s.readings) {
    if (r.value === null) continue
    const here = localDate(timezone, r.startMs)
    if (here !== date && day.length > 0) {
      yield entryText({ self: `${up}/${date}`, up, title: date, content: block(day) }, updated)
      day = []
    }
    date = here
    day.push(r)
  }
  if (day.length > 0) yield entryText({ self: `${up}/${date}`, up, title: date, content: block(day) }, updated)
}

function block(readings: readonly GreenButtonReading[]): string {
  const first = readings[0] as GreenButtonReading
  const last = readings.at(-1) as GreenButtonReading
  return element('IntervalBlock', period('interval', first.startMs, last.endMs) + readings.map(reading).join(''))
}

function reading(r: GreenButtonReading): string {
  const codes = qualitiesOf(r).filter((q) => q !== USUAL_QUALITY)
  const qualities = codes.map((q) => `<ReadingQuality><quality>${q}</quality></ReadingQuality>`).join('')
  // kWh to Wh and m3 to litres are both a thousand.
  return `<IntervalReading>${qualities}${period('timePeriod', r.startMs, r.endMs)}<value>${Math.round((r.value as number) * 1000)}</value></IntervalReading>`
}

/** Money is in hundred-thousandths of the currency. */
function summary(b: GreenButtonBill): string {
  const currency = b.total === null ? undefined : CURRENCIES[b.total.currency]
  const bill =
    b.total === null || currency === undefined ? '' : `<billLastPeriod>${b.total.minor * 10 ** (5 - b.total.minorDigits)}</billLastPeriod>`
  const unit = b.commodity === 'power' || b.commodity === 'heat' ? { uom: 72, power: 0 } : { uom: 42, power: -3 }
  const used = `<overallConsumptionLastPeriod><powerOfTenMultiplier>${unit.power}</powerOfTenMultiplier><uom>${unit.uom}</uom><value>${Math.round(b.consumption * 1000)}</value></overallConsumptionLastPeriod>`
  const commodity = BILL_KINDS[b.commodity]
  return element(
    'UsageSummary',
    `${period('billingPeriod', b.startMs, b.endMs)}${bill}${bill === '' ? '' : `<currency>${currency}</currency>`}${used}<qualityOfReading>19</qualityOfReading><statusTimeStamp>${seconds(b.closedMs)}</statusTimeStamp>${commodity === undefined ? '' : `<commodity>${commodity}</commodity>`}${b.tariff === '' ? '' : `<tariffProfile>${xml(b.tariff.slice(0, 256))}</tariffProfile>`}`,
  )
}

function timeParameters(input: GreenButtonInput): string {
  const r = timeRules(new Date(input.toMs).getUTCFullYear(), (ms) => offsetMs(input.timezone, ms))
  return element(
    'LocalTimeParameters',
    `<dstEndRule>${r.endRule}</dstEndRule><dstOffset>${r.dstOffsetS}</dstOffset><dstStartRule>${r.startRule}</dstStartRule><tzOffset>${r.offsetS}</tzOffset>`,
  )
}
