// Water that does not come any more: pressure gone at several sensors of a district, or at one while the meters around it stand still
// that usually would not. Said as an outage, in the same form as one of power, so that the map and the desk treat it alike.
import { z } from 'zod'
import type { Evidence } from '#model/finding.ts'
import type { Interval } from '#model/interval.ts'
import { DAY_MS, MINUTE_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext, ValidatedRead, ZoneContext } from '../fold.ts'

export const WaterSupplySettings = z.object({
  /** Nothing comes out of a tap on the first floor below this, bar ... */
  goneBar: z.number().nonnegative().default(0.3),
  /** ... and below this share of what the sensor usually shows. */
  goneShare: z.number().min(0).max(1).default(0.3),
  /** Back above this share of it. */
  backShare: z.number().min(0).max(1).default(0.5),
  /** For so many readings in a row: one is a surge. */
  readings: z.number().int().min(1).default(3),
  /** The whole district when so many of its sensors lost pressure. */
  districtShare: z.number().min(0).max(1).default(0.5),
  /** Meters standing still are telling when fewer than one in twenty times all of them would. */
  chanceMax: z.number().min(0).max(1).default(0.05),
  /** IEEE 1366 has no word on water; the same five minutes. */
  momentaryMaxS: z.number().positive().default(300),
})
type Settings = z.infer<typeof WaterSupplySettings>
type Ctx = DetectorContext<Settings>

interface SensorState {
  usualBar: number
  run: number
  /** First reading of the run. */
  runMs: number
  /** Since when pressure is gone; 0 there is some. */
  goneMs: number
  backMs: number
}

interface State {
  sensors: Map<string, SensorState>
  /** Meter -> share of its intervals with use. */
  used: Map<string, number>
  /** Meters that stood still, and those that did not, over intervals since pressure went. */
  still: Map<string, boolean>
  onsetMs: number
  sense: string
}

const USED_MEMORY = 200
const NAMED_MAX = 20

export const waterSupply: Detector<State, Settings> = {
  name: 'water-supply',
  zoneKinds: ['dma'],
  kinds: ['outage'],
  version: 1,
  settings: WaterSupplySettings,
  create: () => ({ sensors: new Map(), used: new Map(), still: new Map(), onsetMs: 0, sense: '' }),
  onZone(s, ctx) {
    for (const part of [s.sensors, s.used, s.still] as Map<string, unknown>[])
      for (const id of part.keys()) if (ctx.zone.device(id) === undefined) part.delete(id)
  },
  onRead,
  onInterval,
  onTick(s, _tick, ctx) {
    if (goneSensors(s).length > 0 || s.onsetMs > 0) judge(s, ctx)
  },
}

function onRead(s: State, read: ValidatedRead, ctx: Ctx): void {
  if (read.quantity !== 'pressure_bar' || read.quality === 'late' || read.info.asset.kind !== 'pressure_sensor') return
  const { settings: cfg } = ctx
  let p = s.sensors.get(read.device)
  if (p === undefined) {
    p = { usualBar: read.value, run: 0, runMs: 0, goneMs: 0, backMs: 0 }
    s.sensors.set(read.device, p)
  }
  const gone = read.value < cfg.goneBar && read.value < cfg.goneShare * p.usualBar
  const turns = p.goneMs === 0 ? gone : read.value > cfg.backShare * p.usualBar
  if (!turns) {
    p.run = 0
    if (p.goneMs === 0) p.usualBar += (read.value - p.usualBar) / USED_MEMORY
    return
  }
  if (p.run === 0) p.runMs = read.tsMs
  p.run += 1
  if (p.run < cfg.readings) return
  p.run = 0
  if (p.goneMs === 0) {
    p.goneMs = p.runMs
    p.backMs = 0
  } else {
    p.goneMs = 0
    p.backMs = p.runMs
  }
}

function onInterval(s: State, interval: Interval, _info: unknown, ctx: Ctx): void {
  if (interval.quantity !== 'water_volume_m3' || interval.channel !== '' || interval.rev > 1 || interval.status !== 'actual') return
  const some = (interval.value ?? 0) > 0
  const gone = goneSensors(s)
  const sinceMs = Math.min(...gone.map(([, p]) => p.goneMs))
  if (gone.length > 0 && interval.endMs > sinceMs) {
    // Only intervals wholly without pressure say anything.
    if (interval.startMs >= sinceMs) s.still.set(interval.meter, !some && s.still.get(interval.meter) !== false)
    return
  }
  if (ctx.nowMs - interval.endMs > DAY_MS) return
  const was = s.used.get(interval.meter) ?? (some ? 1 : 0)
  s.used.set(interval.meter, was + ((some ? 1 : 0) - was) / USED_MEMORY)
}

function goneSensors(s: State): [string, SensorState][] {
  return [...s.sensors].filter(([, p]) => p.goneMs > 0).sort(([a], [b]) => (a < b ? -1 : 1))
}

interface Nearest {
  /** Meter -> the pressure sensor nearest to it. */
  sensor: Map<string, string>
}
const nearestOf = new WeakMap<ZoneContext, Nearest>()

/** Each meter's nearest sensor on the map; derived from the registry, no state. */
function nearest(zone: ZoneContext): Nearest {
  const known = nearestOf.get(zone)
  if (known !== undefined) return known
  const sensors = zone.devicesOf('pressure_sensor')
  const sensor = new Map<string, string>()
  for (const m of zone.devicesOf('water_meter')) {
    let best = ''
    let far = Number.POSITIVE_INFINITY
    for (const p of sensors) {
      const dx = ((p.lon ?? 0) - (m.lon ?? 0)) * Math.cos(((m.lat ?? 0) * Math.PI) / 180)
      const d = dx * dx + ((p.lat ?? 0) - (m.lat ?? 0)) ** 2
      if (d < far) {
        far = d
        best = p.asset.id
      }
    }
    sensor.set(m.asset.id, best)
  }
  const out = { sensor }
  nearestOf.set(zone, out)
  return out
}

function judge(s: State, ctx: Ctx): void {
  const { settings: cfg, zone } = ctx
  const gone = goneSensors(s)
  if (gone.length === 0) {
    if (s.onsetMs > 0) say(s, [], 0, ctx)
    s.still.clear()
    s.onsetMs = 0
    s.sense = ''
    return
  }
  const where = nearest(zone).sensor
  const names = new Set(gone.map(([id]) => id))
  let chance = 1
  let running = 0
  let still = 0
  for (const [meter, stands] of s.still) {
    if (!names.has(where.get(meter) ?? '')) continue
    if (stands) {
      still += 1
      chance *= 1 - (s.used.get(meter) ?? 0)
    } else running += 1
  }
  const confirmed = still >= 2 && running === 0 && chance < cfg.chanceMax
  // One sensor that lost pressure alone can be broken; meters that go on running around it say that it is.
  const enough = gone.length >= 2 ? running <= still : confirmed
  if (!enough) {
    if (s.onsetMs > 0) withdraw(s, ctx)
    return
  }
  if (s.onsetMs === 0) s.onsetMs = Math.min(...gone.map(([, p]) => p.goneMs))
  say(s, gone, still, ctx)
}

const draftOf = (s: State, ctx: Ctx) =>
  ({ kind: 'outage', subtype: 'water', scope: { type: 'dma', id: ctx.zone.def.zone }, onsetMs: s.onsetMs, cause: 'unknown' }) as const

function withdraw(s: State, ctx: Ctx): void {
  ctx.emit({ ...draftOf(s, ctx), severity: 'warning', confidence: 0, withdrawn: true, reason: 'meters-run-on', evidence: [] })
  s.onsetMs = 0
  s.sense = ''
}

function say(s: State, gone: readonly [string, SensorState][], still: number, ctx: Ctx): void {
  const { settings: cfg, zone } = ctx
  const sense = `${gone.map(([id]) => id).join()} ${still > 0}`
  if (sense === s.sense) return
  s.sense = sense
  const over = gone.length === 0
  const endMs = over ? Math.max(...[...s.sensors.values()].map((p) => p.backMs)) : 0
  const whole = gone.length >= s.sensors.size * cfg.districtShare
  const names = new Set(gone.map(([id]) => id))
  const meters = [...nearest(zone).sensor].filter(([, p]) => over || whole || names.has(p)).map(([m]) => m)
  const momentary = over && endMs - s.onsetMs <= cfg.momentaryMaxS * 1000
  const planned = ctx.operations.find(
    (o) =>
      (o.kind === 'planned_outage' || o.kind === 'valve') &&
      (o.scopeType === 'network' || o.scope === zone.def.zone) &&
      s.onsetMs >= o.startMs - 15 * MINUTE_MS &&
      s.onsetMs <= o.endMs,
  )
  const evidence: Evidence[] = []
  if (planned !== undefined)
    evidence.push({ what: 'planned-operation', note: planned.note, from: toIso(planned.startMs), to: toIso(planned.endMs) })
  if (!over)
    evidence.push({ what: 'pressure-gone', count: gone.length, of: s.sensors.size, sensors: gone.map(([id]) => id).slice(0, NAMED_MAX) })
  if (still > 0) evidence.push({ what: 'meters-stand-still', count: still })
  ctx.emit({
    ...draftOf(s, ctx),
    clearedAtMs: over ? endMs : null,
    severity: over || planned !== undefined ? 'warning' : whole ? 'critical' : 'major',
    confidence: gone.length >= 2 && still > 0 ? 0.95 : 0.8,
    size: { meters: meters.length, ...(over ? { minutes: Math.round((endMs - s.onsetMs) / MINUTE_MS) } : {}) },
    momentary,
    affected: meters,
    candidates: gone.slice(0, 5).map(([id]) => ({ id, type: 'pressure_sensor', score: 1 })),
    reason: over ? (momentary ? 'momentary' : 'restored') : whole ? 'pressure-gone' : 'pressure-gone-in-part',
    evidence,
  })
}
