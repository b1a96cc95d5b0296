// Numbers, units, times and ages as people read them.
import { language, sizeWord } from './i18n.ts'

const DIGITS: Record<string, number> = { pressure_bar: 2, flow_m3h: 1, level_m: 2, power_kw: 1, voltage_v: 0, current_a: 1 }
const UNITS: Record<string, string> = {
  pressure_bar: 'bar',
  flow_m3h: 'm³/h',
  level_m: 'm',
  power_kw: 'kW',
  voltage_v: 'V',
  current_a: 'A',
  water_volume_m3: 'm³',
  gas_volume_m3: 'm³',
  active_energy_import_kwh: 'kWh',
  active_energy_export_kwh: 'kWh',
  temperature_c: '°C',
  battery_v: 'V',
  battery_pct: '%',
}

export function unitOf(quantity: string): string {
  return UNITS[quantity] ?? ''
}

export function formatValue(quantity: string, value: number): string {
  if (quantity === 'pump_running') return value > 0 ? '●' : '○'
  return `${value.toFixed(DIGITS[quantity] ?? 2)} ${unitOf(quantity)}`.trim()
}

const SIZE_UNITS: Record<string, string> = {
  M3h: 'm³/h',
  M3: 'm³',
  Kwh: 'kWh',
  Kw: 'kW',
  Bar: 'bar',
  Lph: 'l/h',
  Pct: '%',
  Minutes: 'min',
  Hours: 'h',
}

/** `size` of a finding, whose keys end in their unit; a time is shown as one. */
export function formatSize(size: Record<string, number>, timezone: string): string {
  return Object.entries(size)
    .map(([key, v]) => {
      const [, name = key, unit = ''] = /^(.*?)(M3h|M3|Kwh|Kw|Bar|Lph|Pct|Minutes|Hours|Ms)$/.exec(key) ?? []
      const word = sizeWord(key) ?? name.replace(/([A-Z])/g, ' $1').toLowerCase()
      if (unit === 'Ms') return `${word} ${formatTime(v, timezone)}`
      return `${word} ${Number(v.toPrecision(3))} ${SIZE_UNITS[unit] ?? ''}`.trim()
    })
    .join(' · ')
}

function locale(): string {
  return language.value === 'zh' ? 'zh-CN' : 'en-GB'
}

export function formatTime(ms: number, timezone: string): string {
  return new Intl.DateTimeFormat(locale(), {
    timeZone: timezone,
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(ms)
}

export function formatClock(ms: number, timezone: string): string {
  return new Intl.DateTimeFormat(locale(), {
    timeZone: timezone,
    weekday: 'short',
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  }).format(ms)
}

/** 45 s, 12 min, 3.5 h, 2 d. */
export function formatAge(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000))
  if (s < 90) return `${s} s`
  if (s < 5400) return `${Math.round(s / 60)} min`
  if (s < 172_800) return `${(s / 3600).toFixed(1)} h`
  return `${Math.round(s / 86_400)} d`
}
