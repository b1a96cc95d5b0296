// Ground level of the town: a plain that falls towards the river, and a hill under every pumped district.
import type { TownPlan } from '../town/plan.ts'

/** Metres above sea level at a point. */
export function elevationM(plan: TownPlan, x: number, y: number): number {
  let z = 22 + 0.0042 * (y * 0.8 - x * 0.6)
  for (const p of plan.districts) {
    if (p.supply !== 'pumped') continue
    const away = Math.hypot(p.cx, p.cy) || 1
    const hx = p.cx + (0.3 * p.radius * p.cx) / away
    const hy = p.cy + (0.3 * p.radius * p.cy) / away
    const d2 = ((x - hx) ** 2 + (y - hy) ** 2) / (0.85 * p.radius) ** 2
    z += 42 * Math.exp(-0.5 * d2)
  }
  z += 1.6 * Math.sin(x / 210 + plan.seed) + 1.3 * Math.cos(y / 170 - plan.seed)
  return Math.round(Math.max(4, z) * 10) / 10
}
