// Which faults and look-alikes a labelled data set holds: leaks of three kinds in every district, customers' leaks, and confounders, all
// drawn from a seed, none before the warm-up ends.
import { DAY_MS, HOUR_MS, localDate, localHour, MINUTE_MS, startOfLocalDate } from '#model/time.ts'
import { makeRandom, type Random } from '../random.ts'
import type { Effect, GatewayDown, Leak } from '../scenarios/effect.ts'
import { coefficientFor, leakPlaces } from '../scenarios/scenario.ts'
import { dmaId } from '../town/features.ts'
import type { Town } from '../town/types.ts'
import type { OperationRow } from '../town.ts'

export interface FaultOptions {
  seed: number
  timezone: string
  startMs: number
  warmupUntilMs: number
  endMs: number
  /** Network leaks per district and 30 days; 0: none. */
  leaksPerMonth: number
  customerLeaks: number
  confounders: boolean
}

/** A look-alike as labels name it. */
export interface Confounder {
  kind: string
  scope: string
  startMs: number
  endMs: number
  announced: boolean
  detail: string
  node?: string
  sizeM3h?: number
}

export interface Faults {
  effects: Effect[]
  confounders: Confounder[]
  operations: OperationRow[]
}

interface Draft extends Faults {
  o: FaultOptions
  town: Town
  r: Random
  n: number
}

const STEP = 5 * MINUTE_MS
const toStep = (ms: number): number => Math.round(ms / STEP) * STEP
const logUniform = (r: Random, low: number, high: number): number => Math.exp(r.between(Math.log(low), Math.log(high)))

/** Sizes as shares of the district's mean demand. */
const SIZES: Record<Leak['kind'], readonly [number, number]> = { burst: [0.06, 0.4], incipient: [0.05, 0.22], background: [0.02, 0.07] }
/** A district rests at least this long between two leaks. */
const BETWEEN_LEAKS_MS = 1.5 * DAY_MS

export function drawFaults(town: Town, o: FaultOptions): Faults {
  const draft: Draft = { o, town, r: makeRandom(o.seed * 15_731 + town.plan.seed), effects: [], confounders: [], operations: [], n: 0 }
  networkLeaks(draft)
  customerLeaks(draft)
  if (o.confounders) {
    networkConfounders(draft)
    demandConfounders(draft)
    meterConfounders(draft)
    sensorConfounders(draft)
    transportConfounders(draft)
  }
  const { effects, confounders, operations } = draft
  return { effects, confounders, operations }
}

function networkLeaks(d: Draft): void {
  const { o, r, town } = d
  const rate = o.leaksPerMonth / (30 * DAY_MS)
  if (rate <= 0) return
  town.plan.districts.forEach((_, district) => {
    let atMs = o.warmupUntilMs + r.between(0.1, 1) / rate / 2
    while (atMs < o.endMs - DAY_MS) {
      const leak = oneLeak(d, district, toStep(atMs))
      d.effects.push(leak)
      atMs = leak.endMs + BETWEEN_LEAKS_MS + (r.between(0.2, 1) / rate) * 0.5
    }
  })
}

function oneLeak(d: Draft, district: number, startMs: number): Leak {
  const { r, town } = d
  const kind = r.weighted([
    ['burst', 4],
    ['incipient', 3.5],
    ['background', 2.5],
  ] as const)
  const flowM3h = (town.water.meanDemandM3h[district] as number) * logUniform(r, ...SIZES[kind])
  const grow = { burst: STEP, incipient: r.between(4, 9) * DAY_MS, background: 6 * HOUR_MS }[kind]
  const after = { burst: r.between(30, 96) * HOUR_MS, incipient: r.between(1, 4) * DAY_MS, background: r.between(7, 11) * DAY_MS }[kind]
  const fullMs = toStep(startMs + grow)
  return {
    type: 'leak',
    id: `L${String(++d.n).padStart(2, '0')}`,
    kind,
    ...r.pick(leakPlaces(town, district)),
    coefficient: coefficientFor(flowM3h),
    startMs,
    fullMs,
    endMs: toStep(fullMs + after),
  }
}

function customerLeaks(d: Draft): void {
  const { o, r, town } = d
  const homes = town.premises.map((p, i) => ({ p, i })).filter(({ p }) => p.type === 'house' || p.type === 'flats' || p.type === 'shop')
  const chosen = r.shuffled(homes).slice(0, o.customerLeaks)
  chosen.forEach(({ i }, k) => {
    const subtype = r.weighted([
      ['constant', 3],
      ['cistern', 2.5],
      ['growing', 2],
      ['pipe_burst', 2],
    ] as const)
    const m3h = {
      constant: logUniform(r, 0.004, 0.05),
      cistern: logUniform(r, 0.008, 0.03),
      growing: logUniform(r, 0.02, 0.06),
      pipe_burst: r.between(0.15, 0.8),
    }[subtype]
    const startMs = toStep(o.warmupUntilMs + r.between(0.02, 0.75) * (o.endMs - o.warmupUntilMs))
    const endMs = toStep(startMs + (subtype === 'pipe_burst' ? r.between(2, 4) : r.between(4, 14)) * DAY_MS)
    d.effects.push({ type: 'customer_leak', id: `C${String(k + 1).padStart(2, '0')}`, subtype, meter: i, m3h, startMs, endMs })
  })
}

/** A time between warm-up and end, with room for what follows. */
function sometime(d: Draft, roomMs: number): number {
  return toStep(d.r.between(d.o.warmupUntilMs, Math.max(d.o.warmupUntilMs + STEP, d.o.endMs - roomMs)))
}

function add(d: Draft, c: Confounder, effect: Effect, operation?: Omit<OperationRow, 'startMs' | 'endMs' | 'note'>): void {
  d.confounders.push(c)
  d.effects.push(effect)
  if (operation !== undefined) d.operations.push({ ...operation, startMs: c.startMs, endMs: c.endMs, note: c.detail })
}

const effectId = (d: Draft): string => `K${String(d.confounders.length + 1).padStart(2, '0')}`

function networkConfounders(d: Draft): void {
  const { r, town } = d
  for (let k = 0; k < 2 * town.plan.districts.length; k++) {
    const district = k % town.plan.districts.length
    const announced = r.next() < 0.5
    const startMs = sometime(d, DAY_MS)
    const endMs = startMs + Math.round(r.between(6, 15)) * STEP
    const place = r.pick(leakPlaces(town, district))
    const m3h = r.between(15, 32)
    const detail = announced ? 'authorised hydrant flushing' : 'fire brigade draw, not announced'
    add(
      d,
      {
        kind: 'hydrant',
        scope: dmaId(district),
        startMs,
        endMs,
        announced,
        detail,
        node: town.water.nodes[place.node]?.id as string,
        sizeM3h: m3h,
      },
      { type: 'node_use', id: effectId(d), kind: 'hydrant', node: place.node, m3h, announced, startMs, endMs },
      announced ? { knownAtMs: startMs - DAY_MS, kind: 'hydrant', scopeType: 'dma', scope: dmaId(district) } : undefined,
    )
  }
  const valve = r.pick(town.water.links.map((l, i) => ({ l, i })).filter(({ l }) => l.kind === 'valve'))
  const startMs = toStep(sometime(d, 6 * DAY_MS))
  const endMs = startMs + Math.round(r.between(3, 5)) * DAY_MS
  const shiftM = r.next() < 0.5 ? 6 : -4
  const scope = dmaId(valve.l.district)
  add(
    d,
    {
      kind: 'prv_setpoint_change',
      scope,
      startMs,
      endMs,
      announced: true,
      detail: `${valve.l.id} set ${shiftM > 0 ? '+' : ''}${shiftM} m, then back`,
    },
    { type: 'prv', id: effectId(d), link: valve.i, shiftM, startMs, endMs },
    { knownAtMs: startMs - 6 * HOUR_MS, kind: 'prv', scopeType: 'dma', scope },
  )
  const pumpMs = sometime(d, 4 * DAY_MS)
  const until = pumpMs + 3 * DAY_MS
  add(
    d,
    {
      kind: 'pump_schedule_change',
      scope: 'all',
      startMs: pumpMs,
      endMs: until,
      announced: true,
      detail: 'tank refill level lowered: the pump starts later',
    },
    { type: 'pump', id: effectId(d), shiftM: -0.9, startMs: pumpMs, endMs: until },
    { knownAtMs: pumpMs - 12 * HOUR_MS, kind: 'pump', scopeType: 'network', scope: '' },
  )
}

function demandConfounders(d: Draft): void {
  const { o, r, town } = d
  let holiday = startOfLocalDate(o.timezone, localDate(o.timezone, sometime(d, 3 * DAY_MS) + DAY_MS))
  // Sunday's habit on a Sunday would be none.
  while ([0, 6].includes(localHour(o.timezone, holiday).weekday)) holiday -= DAY_MS
  if (holiday > o.warmupUntilMs) {
    add(
      d,
      {
        kind: 'holiday',
        scope: 'all',
        startMs: holiday,
        endMs: holiday + DAY_MS,
        announced: true,
        detail: 'public holiday on a weekday: Sunday habits',
      },
      { type: 'demand', id: effectId(d), kind: 'holiday', factor: 1, startMs: holiday, endMs: holiday + DAY_MS },
      { knownAtMs: o.startMs, kind: 'holiday', scopeType: 'network', scope: '' },
    )
  }
  const startMs = startOfLocalDate(o.timezone, localDate(o.timezone, sometime(d, 6 * DAY_MS) + DAY_MS))
  const factor = r.between(1.07, 1.13)
  const endMs = startMs + Math.round(r.between(3, 5)) * DAY_MS
  const percent = Math.round((factor - 1) * 100)
  add(
    d,
    {
      kind: 'hot_spell',
      scope: 'all',
      startMs,
      endMs,
      announced: false,
      detail: `hot dry days: ${percent}% more demand everywhere, nights too`,
    },
    { type: 'demand', id: effectId(d), kind: 'hot_spell', factor, startMs, endMs },
  )
  const district = r.int(town.plan.districts.length)
  const place = r.pick(leakPlaces(town, district))
  const m3h = (town.water.meanDemandM3h[district] as number) * r.between(0.02, 0.06)
  const from = sometime(d, 7 * DAY_MS)
  const to = from + Math.round(r.between(4, 6)) * DAY_MS
  add(
    d,
    {
      kind: 'night_shift',
      scope: dmaId(district),
      startMs: from,
      endMs: to,
      announced: false,
      node: town.water.nodes[place.node]?.id as string,
      sizeM3h: m3h,
      detail: 'a factory without smart meter works 22:00-06:00 for some nights',
    },
    {
      type: 'node_use',
      id: effectId(d),
      kind: 'night_shift',
      node: place.node,
      m3h,
      hours: [22, 6],
      announced: false,
      startMs: from,
      endMs: to,
    },
  )
}

function meterConfounders(d: Draft): void {
  const { r, town } = d
  const taken = new Set(d.effects.flatMap((e) => (e.type === 'customer_leak' ? [e.meter] : [])))
  const free = r.shuffled(town.premises.map((_, i) => i).filter((i) => !taken.has(i) && town.premises[i]?.type === 'house'))
  const next = (): number => free.pop() as number
  for (let k = 0; k < 6; k++) {
    const meter = next()
    const scope = town.waterMeters[meter]?.id as string
    const announced = k % 2 === 0
    const startMs = sometime(d, DAY_MS)
    const endMs = startMs + HOUR_MS
    add(
      d,
      { kind: 'meter_swap', scope, startMs, endMs, announced, detail: 'meter exchanged: register restarts near 0' },
      { type: 'meter_swap', id: effectId(d), meter, announced, startMs, endMs },
      announced ? { knownAtMs: startMs - DAY_MS, kind: 'meter_exchange', scopeType: 'meter', scope } : undefined,
    )
  }
  for (let k = 0; k < 8; k++) {
    const meter = next()
    const scope = town.waterMeters[meter]?.id as string
    const pool = k % 2 === 0
    const startMs = sometime(d, 10 * DAY_MS)
    const hours = Math.round(r.between(12, 24))
    const endMs = startMs + (pool ? hours * HOUR_MS : Math.round(r.between(6, 9)) * DAY_MS)
    const m3h = pool ? r.between(0.5, 1) : r.between(0.2, 0.5)
    const detail = pool
      ? `pool or tank filling, ${m3h.toFixed(2)} m3/h for ${hours} h`
      : `night irrigation, ${m3h.toFixed(2)} m3/h for 95 min each night`
    add(
      d,
      { kind: 'legit_night_use', scope, startMs, endMs, announced: false, detail },
      { type: 'customer_use', id: effectId(d), meter, m3h, startMs, endMs, ...(pool ? {} : { minutes: [130, 225] as const }) },
    )
  }
}

function sensorConfounders(d: Draft): void {
  const { r, town } = d
  const sensors = r.shuffled(town.water.pressureSensors.filter((s) => (town.water.nodes[s.node]?.district ?? -1) >= 0))
  const one = (kind: 'drift' | 'stuck' | 'bias', device: string, amount: number, days: number, detail: string): void => {
    const startMs = sometime(d, days * DAY_MS)
    const endMs = toStep(startMs + days * DAY_MS)
    const name = kind === 'bias' ? 'flow_meter_bias' : `sensor_${kind}`
    add(
      d,
      { kind: name, scope: device, startMs, endMs, announced: false, detail },
      { type: 'sensor_fault', id: effectId(d), kind, device, amount, startMs, endMs },
    )
  }
  const drift = r.between(0.015, 0.03) * (r.next() < 0.5 ? 1 : -1)
  one('drift', sensors[0]?.id as string, drift, r.between(6, 9), `${drift.toFixed(3)} bar per day, then recalibrated`)
  one('stuck', sensors[1]?.id as string, 0, r.between(1, 3), 'constant value')
  const meter = r.pick(town.water.flowMeters)
  one('bias', meter.id, 0.03, r.between(4, 7), 'reads 3 % high')
}

function transportConfounders(d: Draft): void {
  const { r, town } = d
  const field = town.gateways.map((_, i) => i).filter((i) => town.gateways[i]?.kind !== 'power')
  const kinds = ['missing_block', 'late_upload', 'duplicate_block', 'late_upload', 'missing_block', 'duplicate_block'] as const
  kinds.forEach((kind, k) => {
    // Sensor gateways first: theirs is what network detectors see.
    const gateway = k < 4 ? r.pick(field.filter((i) => town.gateways[i]?.kind === 'sensor')) : r.pick(field)
    const startMs = sometime(d, DAY_MS)
    const endMs = startMs + toStep(r.between(4, 15) * HOUR_MS)
    const id = town.gateways[gateway]?.id as string
    const text = {
      missing_block: 'gateway down, readings lost',
      late_upload: 'uplink down, buffered readings arrive at the end, newest first',
      duplicate_block: 'block sent a second time',
    }
    const down = (backfill: GatewayDown['backfill']): Effect => ({
      type: 'gateway_down',
      id: effectId(d),
      gateway,
      will: false,
      backfill,
      startMs,
      endMs,
    })
    add(
      d,
      { kind, scope: zoneOf(town, gateway) ?? id, startMs, endMs, announced: false, detail: `${id}: ${text[kind]}` },
      kind === 'duplicate_block'
        ? { type: 'repeat_block', id: effectId(d), gateway, startMs, endMs }
        : down(kind === 'late_upload' ? 'newest_first' : 'lost'),
    )
  })
}

/** The one district of a sensor gateway's devices, so that a scorer can relate a false alarm to it. */
function zoneOf(town: Town, gateway: number): string | undefined {
  const zones = new Set(
    town.water.pressureSensors.filter((s) => town.gatewayOf[s.id] === gateway).map((s) => town.water.nodes[s.node]?.district ?? -1),
  )
  const [only] = zones
  return zones.size === 1 && only !== undefined && only >= 0 ? dmaId(only) : undefined
}
