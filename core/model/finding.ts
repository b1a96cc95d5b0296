// Findings: what a detector says, as it is printed, stored, sent and shown.
import type { ZoneDef } from './asset.ts'
import { toIso } from './time.ts'

export const FINDING_KINDS = [
  'burst',
  'leak',
  'customer_leak',
  'outage',
  'comms_failure',
  'low_pressure',
  'abnormal_usage',
  'overload',
  'line_loss',
  'sensor_fault',
  'clock_fault',
] as const
export type FindingKind = (typeof FINDING_KINDS)[number]

export const SCOPE_TYPES = ['dma', 'feeder', 'transformer', 'premise', 'meter', 'sensor', 'gateway', 'substation', 'network'] as const
export type ScopeType = (typeof SCOPE_TYPES)[number]

export const SEVERITIES = ['critical', 'major', 'minor', 'warning'] as const
export type Severity = (typeof SEVERITIES)[number]

export interface Scope {
  type: ScopeType
  id: string
}

export interface Candidate {
  id: string
  type: 'pipe' | 'junction' | 'pressure_sensor' | 'transformer' | 'meter' | 'valve'
  score: number
}

/** One numbered piece of evidence that a person can check. */
export interface Evidence {
  what: string
  [key: string]: string | number | boolean | null | string[] | number[]
}

/**
 * A finding at one moment of its life. The same `id` is emitted again, with a higher `rev`, whenever it changes: grown, moved,
 * cleared (`clearedAt` set) or withdrawn (it never was one). `detectedAt` stays what it was at the first emission.
 */
export interface Finding {
  type: 'finding'
  id: string
  rev: number
  kind: FindingKind
  subtype?: string
  scope: Scope
  zone: string
  startedAt: string
  detectedAt: string
  /** Log time of this revision. */
  updatedAt: string
  clearedAt: string | null
  severity: Severity
  /** 0 to 1. */
  confidence: number
  size?: Record<string, number>
  candidates?: Candidate[]
  cause?: 'power' | 'comms' | 'unknown'
  momentary?: boolean
  /** Ids of the meters concerned. */
  affected?: string[]
  withdrawn?: boolean
  /** The named reason of this revision, from the detector's closed list. */
  reason: string
  evidence: Evidence[]
  detector: string
  /** The finding this one is a child or a repeat of. */
  parent?: string
}

/** What a detector hands in; the fold adds id, rev, zone, detector and the log times. */
export interface FindingDraft {
  kind: FindingKind
  subtype?: string
  scope: Scope
  /** Identity together with kind, subtype and scope: the onset as first thought. Keep it when the onset is revised. */
  onsetMs: number
  /** The onset as thought now; onsetMs when left out. */
  startedAtMs?: number
  clearedAtMs?: number | null
  severity: Severity
  confidence: number
  size?: Record<string, number>
  candidates?: Candidate[]
  cause?: 'power' | 'comms' | 'unknown'
  momentary?: boolean
  affected?: string[]
  withdrawn?: boolean
  reason: string
  evidence: Evidence[]
  parent?: string
}

/** A finding's id is its kind, scope and first onset: the same log always gives the same ids. */
export function findingId(f: { kind: FindingKind; subtype?: string | undefined; scope: Scope; onsetMs: number }): string {
  return `${f.kind}${f.subtype === undefined ? '' : `.${f.subtype}`}:${f.scope.type}:${f.scope.id}:${toIso(f.onsetMs)}`
}

/** A zone's contribution to the second stage: a fact or a candidate finding that only means something across zones. */
export interface Summary {
  type: 'summary'
  zone: string
  zoneKind: ZoneDef['kind']
  /** Counts up within the zone; with it a repeated summary is dropped. */
  seq: number
  /** Log time. */
  atMs: number
  /** What it is, named by the detector that sends it: `night_flow`, `gateway_silent`. */
  topic: string
  data: Record<string, unknown>
}

/** A zone's finding on its way to the incidents, which see the findings of all zones in log-time order. `seq` counts with the summaries'. */
export interface FindingNotice {
  type: 'notice'
  zone: string
  seq: number
  /** Log time. */
  atMs: number
  finding: Finding
}

/** All that a partition of the log says up to this log time has been sent; from now on it only speaks of this time or later ones. */
export interface Watermark {
  type: 'watermark'
  partition: number
  nowMs: number
}
