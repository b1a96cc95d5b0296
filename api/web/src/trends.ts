// Curves from the api, and what leaves the page as a file.
import { DAY_MS, toIso } from '#model/time.ts'
import type { Curve } from './chart.tsx'
import { get } from './connection.ts'

interface TrendAnswer {
  quantity: string
  stepMs: number
  kind: 'values' | 'consumption'
  points: [number, number, number, number][]
  band: [number, number, number, number][]
}

/** What is drawn of an asset of a kind. */
export const QUANTITY_OF: Record<string, string> = {
  pressure_sensor: 'pressure_bar',
  flow_meter: 'flow_m3h',
  level_sensor: 'level_m',
  pump_sensor: 'pump_running',
  transformer: 'power_kw',
  feeder: 'power_kw',
  dma: 'flow_m3h',
  water_meter: 'water_volume_m3',
  electric_meter: 'active_energy_import_kwh',
}

export const SPANS = [
  ['detail.day', 1],
  ['detail.week', 7],
  ['detail.quarter', 90],
] as const

export async function loadCurve(asset: string, quantity: string, days: number, untilMs: number, band: boolean): Promise<Curve> {
  const query = new URLSearchParams({ asset, quantity, from: toIso(untilMs - days * DAY_MS), to: toIso(untilMs), band: String(band) })
  const a = await get<TrendAnswer>(`/v1/trends?${query}`)
  return { label: asset, quantity, points: a.points, band: a.band, stepMs: a.stepMs, bars: a.kind === 'consumption' }
}

/** Rows as CSV (RFC 4180). A cell that a spreadsheet would run as a formula is made text. */
export function csvText(rows: readonly (readonly (string | number)[])[]): string {
  const cell = (v: string | number) =>
    typeof v === 'number'
      ? String(v)
      : /^[=+\-@\t]/.test(v) || /[",\r\n]/.test(v)
        ? `"${(/^[=+\-@\t]/.test(v) ? `'${v}` : v).replaceAll('"', '""')}"`
        : v
  return rows.map((r) => `${r.map(cell).join(',')}\r\n`).join('')
}

/** One row an instant and curve: long form, which every tool reads. */
export function csvOf(curves: readonly Curve[]): string {
  const rows = curves.flatMap((c) => c.points.map(([ms, least, mean, most]) => [toIso(ms), c.label, c.quantity, least, mean, most]))
  return csvText([['time', 'asset', 'quantity', 'min', 'mean', 'max'], ...rows])
}

export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content)
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
