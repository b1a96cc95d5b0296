// What a class of ticket that telemetry opens is: for which incidents, how urgent, in which words. One file each, listed in index.ts.
import type { TicketClass } from '#model/ticket.ts'
import { toIso } from '#model/time.ts'
import type { Facts } from '../incident.ts'

export interface TicketType {
  /** File name and class. */
  readonly name: TicketClass
  /** Something is left to do although the incident was over when it was found: a bill to correct. */
  readonly opensWhenOver: boolean
  opensFor(f: Facts): boolean
  render(f: Facts): { title: string; description: string; priority: 1 | 2 | 3 | 4 }
}

export function clampPriority(n: number): 1 | 2 | 3 | 4 {
  return n <= 1 ? 1 : n === 2 ? 2 : n === 3 ? 3 : 4
}

/** `dma A`, `transformer T-7` */
export function place(f: Facts): string {
  return f.lead === undefined ? f.incident.zone : `${f.lead.scope.type} ${f.lead.scope.id}`
}

/** `since 2026-03-01T10:15:00Z` of the onset as thought now. */
export function since(f: Facts): string {
  return `since ${toIso(f.startedMs)}`
}

/** Rounded as a person would say it, so that a size revised by little does not change the words. */
export function about(value: number | undefined, unit: string): string {
  if (value === undefined || !Number.isFinite(value)) return ''
  const digits = Math.abs(value) >= 10 ? 0 : 1
  return `about ${value.toFixed(digits)} ${unit}`
}

/** Joins what is there: `a, b`. */
export function words(...parts: (string | undefined)[]): string {
  return parts.filter((p) => p !== undefined && p !== '').join(', ')
}
