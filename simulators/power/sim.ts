// One quarter hour of the electric side: load of every customer, what its meter registers of it, totals at transformers and feeders.
// Interruptions cut energy by the second; a meter without supply takes no read and shows on return what it showed before.
import { DAY_MS, localHour, offsetMs } from '#model/time.ts'
import type { RawReading } from '../gateways/entry.ts'
import { during, type Effect, type Outage, supplyEndMs } from '../scenarios/effect.ts'
import type { ElectricMeter, Town } from '../town/types.ts'
import { isAway } from '../water/demand.ts'
import { drawKwh, type Quarter, solarKwhPerKwp } from './load.ts'

export const QUARTER_MS = 900_000

/** Losses between a transformer's totalising meter and its customers: a share of the load and the iron loss, kW. */
const COPPER_LOSS = 0.02
const IRON_LOSS_KW_PER_KVA = 0.0018
const FEEDER_LOSS = 0.015

/** Energy since the start as registers count it, kWh per meter. Plain data, saved with the simulation. */
export interface PowerState {
  importKwh: Float64Array
  exportKwh: Float64Array
}

export interface PowerStep {
  readings: RawReading[]
  /** Energy that flowed at each meter's place, registered or not, kWh: import and export. */
  importKwh: Float64Array
  exportKwh: Float64Array
  /** Registered energy, kWh. */
  registeredKwh: Float64Array
}

export interface PowerSim {
  initial(): PowerState
  /** Simulates the quarter hour that ends at `endMs`. */
  step(state: PowerState, endMs: number, effects: readonly Effect[]): PowerStep
}

/** `intervalMs`: meters read at whole multiples of it. */
export function makePowerSim(town: Town, timezone: string, intervalMs = QUARTER_MS): PowerSim {
  const { meters } = town.power
  const exporting = meters.map((m) => m.solarKwp > 0 || m.role !== 'customer')
  return {
    initial: () => ({ importKwh: Float64Array.from(meters, (m) => m.startKwh * m.multiplier), exportKwh: new Float64Array(meters.length) }),
    step: (state, endMs, effects) => {
      const energy = quarter(town, timezone, endMs, effects)
      const readings: RawReading[] = []
      const dark = withoutSupply(effects, endMs)
      meters.forEach((m, i) => {
        state.importKwh[i] = (state.importKwh[i] as number) + (energy.registeredKwh[i] as number)
        state.exportKwh[i] = (state.exportKwh[i] as number) + (energy.exportKwh[i] as number)
        if (dark.has(i) || endMs % intervalMs !== 0) return
        readings.push({ device: m.id, quantity: 'active_energy_import_kwh', tsMs: endMs, value: face(m, state.importKwh[i] as number) })
        if (exporting[i] || (state.exportKwh[i] as number) > 0) {
          readings.push({ device: m.id, quantity: 'active_energy_export_kwh', tsMs: endMs, value: face(m, state.exportKwh[i] as number) })
        }
      })
      return { readings, ...energy }
    },
  }
}

/** What the face shows: energy over the multiplier, cut to two decimals, rolling over after its digits. */
export function face(m: { digits: number; multiplier: number }, kwh: number): number {
  const shown = Math.floor((kwh / m.multiplier) * 100 + 1e-6)
  return (shown % (10 ** m.digits * 100)) / 100
}

/** Meters without supply at an instant. */
function withoutSupply(effects: readonly Effect[], atMs: number): Set<number> {
  return new Set(during(effects, 'outage', atMs, atMs + 1).flatMap((o) => o.meters.filter((m) => atMs < supplyEndMs(o, m))))
}

function quarter(town: Town, timezone: string, endMs: number, effects: readonly Effect[]): Omit<PowerStep, 'readings'> {
  const { meters, transformers } = town.power
  const { seed } = town.plan
  const startMs = endMs - QUARTER_MS
  const { minuteOfDay, weekday } = localHour(timezone, startMs)
  const q: Quarter = {
    index: Math.floor(startMs / QUARTER_MS),
    minuteOfDay,
    localDay: Math.floor((startMs + offsetMs(timezone, startMs)) / DAY_MS),
    restDay: weekday === 0 || weekday === 6 || during(effects, 'demand', startMs, startMs + 1).some((e) => e.kind === 'holiday'),
    solarKwhPerKwp: solarKwhPerKwp(seed, endMs, town.plan.lon, town.plan.lat),
  }
  const waterStep = Math.floor(startMs / 300_000)
  const supplied = suppliedShare(effects, startMs, endMs)
  const bypass = new Map(during(effects, 'bypass', startMs, endMs).map((e) => [e.meter, e.share]))
  const high = new Map(during(effects, 'high_usage', startMs, endMs).map((e) => [e.meter, e.kw]))
  const hidden = new Map(during(effects, 'hidden_solar', startMs, endMs).map((e) => [e.meter, e.kwp]))
  const importKwh = new Float64Array(meters.length)
  const exportKwh = new Float64Array(meters.length)
  const registeredKwh = new Float64Array(meters.length)
  const below = new Float64Array(transformers.length)
  meters.forEach((m, i) => {
    if (m.role !== 'customer') return
    const on = supplied.get(i) ?? 1
    const used = drawKwh(seed, i, m, q, m.type === 'house' && isAway(seed, m.premise, waterStep)) + (high.get(i) ?? 0) / 4
    const made = (m.solarKwp + (hidden.get(i) ?? 0)) * q.solarKwhPerKwp
    const past = used * (bypass.get(i) ?? 0)
    const net = (used - past - made) * on
    importKwh[i] = Math.max(0, net) + past * on
    exportKwh[i] = Math.max(0, -net)
    registeredKwh[i] = Math.max(0, net)
    below[m.transformer] = (below[m.transformer] as number) + (importKwh[i] as number) - (exportKwh[i] as number)
  })
  const atFeeder = new Float64Array(town.power.feeders.length)
  const through = transformers.map((t, k) => {
    const on = transformerShare(town, k, supplied)
    const flow = (below[k] as number) * (1 + COPPER_LOSS) + (on * IRON_LOSS_KW_PER_KVA * t.ratingKva) / 4
    atFeeder[t.feeder] = (atFeeder[t.feeder] as number) + flow
    return flow
  })
  meters.forEach((m, i) => {
    if (m.role === 'customer') return
    const flow = m.role === 'transformer' ? (through[m.transformer] as number) : (atFeeder[m.feeder] as number) * (1 + FEEDER_LOSS)
    importKwh[i] = Math.max(0, flow)
    exportKwh[i] = Math.max(0, -flow)
    registeredKwh[i] = importKwh[i] as number
  })
  return { importKwh, exportKwh, registeredKwh }
}

/** Share of a span in which each meter had supply, for those that lost it. */
function suppliedShare(effects: readonly Effect[], startMs: number, endMs: number): Map<number, number> {
  const out = new Map<number, number>()
  for (const o of during(effects, 'outage', startMs, endMs)) {
    for (const m of o.meters) {
      const lost = (Math.min(supplyEndMs(o, m), endMs) - Math.max(o.startMs, startMs)) / (endMs - startMs)
      if (lost > 0) out.set(m, Math.max(0, (out.get(m) ?? 1) - lost))
    }
  }
  return out
}

/** A transformer is without supply when all of its customers are. */
function transformerShare(town: Town, transformer: number, supplied: ReadonlyMap<number, number>): number {
  let most = 0
  for (const [i, m] of town.power.meters.entries()) {
    if (m.role !== 'customer' || m.transformer !== transformer) continue
    most = Math.max(most, supplied.get(i) ?? 1)
    if (most === 1) return 1
  }
  return most
}

/** Indices of all meters that lose supply with a feeder, a transformer or at one premise. */
export function metersWithout(town: Town, level: Outage['level'], node: string): number[] {
  const out: number[] = []
  town.power.meters.forEach((m: ElectricMeter, i) => {
    const hit =
      level === 'premise'
        ? m.id === node
        : m.role !== 'feeder' &&
          (level === 'transformer' ? town.power.transformers[m.transformer]?.id === node : town.power.feeders[m.feeder]?.id === node)
    if (hit) out.push(i)
  })
  return out
}
