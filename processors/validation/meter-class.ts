// Classes of meters: settings can differ by them, and firings of rules are counted by them.
import type { ZoneDevice } from '#model/asset.ts'
import type { MeterClass } from '#model/validation-rules.ts'
import { settingsOfClass, type ValidationSettings } from './settings.ts'

/** Large: what the registry calls a large customer, or one measured through transformers (a multiplier above 1). */
export function classOf(info: ZoneDevice): MeterClass {
  const a = info.asset as { kind: string; role?: string; multiplier?: number; customer_type?: string }
  if (a.kind === 'electric_meter') {
    if (a.role !== 'customer') return 'power_check'
    return info.segment === 'large' || (a.multiplier ?? 1) > 1 ? 'power_large' : 'power_household'
  }
  if (a.kind === 'water_meter') {
    const household = a.customer_type === undefined || a.customer_type === 'residential' || a.customer_type === 'household'
    return info.segment === 'large' || !household ? 'water_large' : 'water_household'
  }
  return a.kind.endsWith('_sensor') || a.kind === 'flow_meter' ? 'sensor' : 'other'
}

// Derived from the settings, the same for everyone: not part of any state.
const resolved = new WeakMap<ValidationSettings, Map<MeterClass, ValidationSettings>>()
let lastSettings: ValidationSettings | undefined
let lastClass: MeterClass | undefined
let lastResolved: ValidationSettings | undefined

/** What is set for a class: its own settings over the common ones. */
export function settingsFor(s: ValidationSettings, cls: MeterClass): ValidationSettings {
  if (s === lastSettings && cls === lastClass) return lastResolved as ValidationSettings
  let byClass = resolved.get(s)
  if (byClass === undefined) {
    byClass = new Map()
    resolved.set(s, byClass)
  }
  let own = byClass.get(cls)
  if (own === undefined) {
    own = settingsOfClass(s, cls)
    byClass.set(cls, own)
  }
  lastSettings = s
  lastClass = cls
  lastResolved = own
  return own
}
