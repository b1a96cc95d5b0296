// Leaks of the network, decided where all districts are in view: what the districts do in common is taken out, then each district's
// inflow and, where registers cover it, its water balance are tested for a lasting step of any age. One finding per leak.
import { HOUR_MS, MINUTE_MS } from '#model/time.ts'
import type { NetworkContext, NetworkDetector } from '../fold.ts'
import { advance } from '../statistics/step-filter.ts'
import { createCalendar, learn } from './leak/baseline.ts'
import { noticeHoliday } from './leak/calendar.ts'
import { balance, balanced, type Channel, inflow, LOOKBACK_DAYS, observeInflow, rerun, rerunAll, thin } from './leak/channel.ts'
import { commonFactors } from './leak/common.ts'
import {
  BIN_MS,
  BINS_PER_DAY,
  BINS_PER_HOUR,
  createDistrict,
  type District,
  localBin,
  MASK,
  maskBins,
  putHour,
  putNet,
} from './leak/district.ts'
import { maskAnnounced } from './leak/draws.ts'
import { follow, open } from './leak/life.ts'
import { createPressure, learnPressure, preparePressure, putResiduals } from './leak/pressure-evidence.ts'
import { type Announced, known, LeakSettings, type Town, type View, viewOf } from './leak/town.ts'
import { findSteps, judge } from './leak/verdict.ts'

const ANNOUNCED_MAX = 500
const HOLIDAY_DAYS_MAX = 14
/** Zones send a bin two and a half minutes after its end, registers of an hour twelve minutes after. */
const GRACE_MS = 3 * MINUTE_MS
const METERED_GRACE_MS = 13 * MINUTE_MS

function districtOf(town: Town, zone: string): District {
  let d = town.districts.get(zone)
  if (d === undefined) {
    d = createDistrict(zone)
    town.districts.set(zone, d)
  }
  return d
}

function onDistrict(d: District, data: Record<string, unknown>): void {
  d.meters = data.meters as string[]
  d.signs = data.signs as number[]
  d.fullyMetered = data.fullyMetered as boolean
  d.warmupUntilMs = data.warmupUntilMs as number
  d.timezone = data.timezone as string
}

function onPlaces(d: District, data: Record<string, unknown>): void {
  const { sensors, at, pipes, x, y, fall } = data as {
    sensors: string[]
    at: number[]
    pipes: string[]
    x: number[]
    y: number[]
    fall: number[]
  }
  if (d.pressure === undefined || d.pressure.sensors.join() !== sensors.join() || d.pressure.used.join() !== at.join()) {
    d.pressure = createPressure(sensors, at)
  }
  d.pressure.places = { sensors: at.length, pipes, x: Float32Array.from(x), y: Float32Array.from(y), fall: Float32Array.from(fall) }
  preparePressure(d.pressure)
}

function onAnnounced(town: Town, d: District, o: Announced): void {
  if (o.kind === 'holiday') {
    const first = localBin(d.timezone, Math.floor(o.startMs / BIN_MS)).day
    const last = localBin(d.timezone, Math.floor((o.endMs - 1) / BIN_MS)).day
    for (let day = first; day <= Math.min(last, first + HOLIDAY_DAYS_MAX); day++) town.calendar.special.set(day, 2)
  }
  town.announced.push(o)
  if (town.announced.length > ANNOUNCED_MAX) town.announced.shift()
}

/** Baselines are learnt at the end of the warm-up, and anew every so many days. */
function due(v: View, bin: number): boolean {
  const { town, settings } = v
  if (town.learntBin >= 0) return bin - town.learntBin >= settings.relearnDays * BINS_PER_DAY
  const seen = v.all.filter((d) => d.firstBin >= 0)
  return (
    seen.length > 0 &&
    seen.every((d) => {
      const warm = d.warmupUntilMs > 0 ? Math.ceil(d.warmupUntilMs / BIN_MS) : d.firstBin + settings.warmupDays * BINS_PER_DAY
      return bin >= Math.max(warm, d.firstBin + 4 * BINS_PER_DAY)
    })
  )
}

function learnAll(v: View, bin: number): void {
  const first = v.all.every((d) => d.typical <= 0)
  learn(v.all, first ? bin : bin - v.settings.learnLagDays * BINS_PER_DAY, v.town.calendar)
  v.town.learntBin = bin
  for (const d of v.all) {
    // Pressure is learnt while nothing leaks: the noise of a district with an open leak stays what it was.
    if (d.pressure !== undefined && (d.leaks.length === 0 || d.pressure.covariance.length === 0)) {
      learnPressure(d.pressure)
      preparePressure(d.pressure)
    }
    if (d.typical <= 0) continue
    d.nextBin = bin
    if (d.fullyMetered && d.nextHour < 0) d.nextHour = Math.floor(bin / BINS_PER_HOUR) - 1
    rerunAll(v, d)
  }
}

/** Judges what stands out in a channel at a step of time. */
function judgeStep(v: View, ch: Channel, d: District, at: number, emit: NetworkContext['emit']): void {
  const steps = findSteps(v, ch, d, at)
  if (steps.length === 0) d.hold = ''
  if (steps.length === 0 || at < d.weighAgain[ch.name]) return
  for (const found of steps) {
    const verdict = judge(v, ch, d, found, at)
    if ('said' in verdict) {
      d.hold = ''
      open(v, ch, d, found, at, verdict.said, emit)
      return
    }
    d.hold = verdict.hold
    if (verdict.hold === 'draw-ended' && verdict.draw !== undefined) {
      maskBins(d, verdict.draw.from, verdict.draw.to, MASK.draw)
      rerunAll(v, d)
      return
    }
    // Weighing whole explanations is dear, and an hour changes little.
    if (verdict.weighed) d.weighAgain[ch.name] = at + ch.perHour
  }
}

function judgeBin(v: View, bin: number, ctx: NetworkContext<LeakSettings>): void {
  if (due(v, bin)) learnAll(v, bin)
  if (v.town.learntBin < 0) return
  const lastOfHour = bin % BINS_PER_HOUR === BINS_PER_HOUR - 1
  for (const d of v.all) maskAnnounced(v, d, bin)
  if (noticeHoliday(v, bin)) for (const d of v.all) d.stale = true
  const common = commonFactors(v.all, bin, v.town.calendar, known)
  for (const [i, d] of v.all.entries()) {
    if (d.typical <= 0) continue
    if (d.stale && lastOfHour) {
      d.stale = false
      rerun(v, inflow, d)
    }
    advance(d.filter, inflow.model(d), observeInflow(v, d, bin, common[i] as { value: number; added: number }), true)
    if (bin % BINS_PER_HOUR === 0) thin(d.filter, bin, BINS_PER_HOUR)
    d.nextBin = bin + 1
    if (bin * BIN_MS < d.warmupUntilMs) continue
    if (lastOfHour) follow(v, d, bin, ctx.emit)
    if (!balanced(d)) judgeStep(v, inflow, d, bin, ctx.emit)
  }
}

function judgeHours(v: View, ctx: NetworkContext<LeakSettings>): void {
  if (v.town.learntBin < 0) return
  const until = Math.floor((ctx.nowMs - METERED_GRACE_MS) / HOUR_MS)
  for (const d of v.all) {
    if (!balanced(d)) continue
    while (d.nextHour < until) {
      const hour = d.nextHour
      if (d.staleBalance) {
        d.staleBalance = false
        rerun(v, balance, d)
      }
      advance(d.balance, balance.model(d), balance.observe(v, d, hour), true)
      thin(d.balance, hour, 1)
      d.nextHour = hour + 1
      if (hour * HOUR_MS >= d.warmupUntilMs) judgeStep(v, balance, d, hour, ctx.emit)
    }
  }
}

export const districtLeak: NetworkDetector<Town, LeakSettings> = {
  name: 'district-leak',
  version: 2,
  kinds: ['burst', 'leak'],
  topics: ['district', 'district_places', 'district_pressure', 'district_flow', 'district_metered', 'district_operation'],
  settings: LeakSettings,
  create: () => ({ districts: new Map(), calendar: createCalendar(), announced: [], learntBin: -1, nextBin: -1 }),
  onSummary(town, s) {
    const d = districtOf(town, s.zone)
    switch (s.topic) {
      case 'district':
        return onDistrict(d, s.data)
      case 'district_places':
        return onPlaces(d, s.data)
      case 'district_operation':
        return onAnnounced(town, d, { zone: s.zone, ...(s.data as Omit<Announced, 'zone'>) })
      case 'district_pressure': {
        const { bin, residualMbar } = s.data as { bin: number; residualMbar: (number | null)[] }
        if (d.pressure !== undefined) putResiduals(d.pressure, bin, residualMbar)
        return
      }
      case 'district_flow': {
        const { bins, netM3h } = s.data as { bins: number[]; netM3h: number[] }
        for (const [i, bin] of bins.entries()) putNet(d, bin, netM3h[i] as number)
        return
      }
      default: {
        const { hours, meteredM3, excessM3 } = s.data as { hours: number[]; meteredM3: (number | null)[]; excessM3: number[] }
        for (const [i, hour] of hours.entries()) putHour(d, hour, meteredM3[i] ?? Number.NaN, excessM3[i] as number)
      }
    }
  },
  onTick(town, nowMs, ctx) {
    const until = Math.floor((nowMs - GRACE_MS) / BIN_MS)
    if (town.nextBin < 0) town.nextBin = until
    // A gap in time is not judged bin by bin for ever: at most the look-back.
    town.nextBin = Math.max(town.nextBin, until - LOOKBACK_DAYS * BINS_PER_DAY)
    const hourly = nowMs % (5 * MINUTE_MS) === 0
    if (town.nextBin >= until && !hourly) return
    const v = viewOf(town, ctx.settings)
    while (town.nextBin < until) judgeBin(v, town.nextBin++, ctx)
    if (hourly) judgeHours(v, ctx)
  },
}
