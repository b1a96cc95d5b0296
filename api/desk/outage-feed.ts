// Outages as other systems exchange them: the CIM's Outage (IEC 61968-3) in the flat JSON of the Outage Data Initiative Nationwide, with
// GeoJSON geometry. Pure.
import type { Finding } from '#model/finding.ts'
import { toIso } from '#model/time.ts'
import { type Ticket, ticketId } from './ticket.ts'

export interface Place {
  geometry: unknown
  name: string
}

/** Words of the CIM's OutageStatusKind as ODIN uses them. */
export function statusKind(t: Pick<Ticket, 'state' | 'telemetryClosedMs'>): string {
  if (t.telemetryClosedMs !== null) return 'restored'
  switch (t.state) {
    case 'received':
      return 'received'
    case 'reviewed':
      return 'assessing'
    case 'dispatched':
      return 'crewAssigned'
    case 'in_progress':
    case 'verify':
      return 'crewOnsite'
    case 'cancelled':
      return 'cancelled'
    default:
      return 'restored'
  }
}

/** What brought the supply down, as far as it is known: planned, from the finding's own evidence, else unknown. */
export function causeKind(findings: readonly Finding[]): { causeKind: string; cause: string; reasons: string[] } {
  const reasons = [...new Set(findings.map((f) => f.reason))]
  const planned = findings.some((f) => f.subtype === 'planned' || f.evidence.some((e) => e.what === 'planned-operation'))
  const power = findings.some((f) => f.cause === 'power')
  return {
    causeKind: planned ? 'plannedOutage' : 'unknown',
    cause: planned ? 'planned work' : power ? 'loss of supply' : 'not known yet',
    reasons,
  }
}

/** The estimate of a finding, where its detector makes one: `size.etrMs`, or evidence with an ISO time as `restoreAt` or `at` under `restoration-estimate`. */
export function estimateOf(findings: readonly Finding[]): number | null {
  let last: number | null = null
  for (const f of findings) {
    const said = f.evidence.find((e) => e.what === 'restoration-estimate')
    const text = said?.restoreAt ?? said?.at
    const ms = f.size?.etrMs ?? (typeof text === 'string' ? Date.parse(text) : Number.NaN)
    if (Number.isFinite(ms) && (last === null || ms > last)) last = ms
  }
  return last
}

export function outageOf(t: Ticket, findings: readonly Finding[], place: Place | undefined, utility: string) {
  const etrMs = t.etrMs ?? (t.telemetryClosedMs === null ? estimateOf(findings) : null)
  const original = Math.max(t.affected.length, ...findings.map((f) => f.affected?.length ?? 0))
  const point = t.at === null ? null : { type: 'Point', coordinates: t.at }
  return {
    mRID: t.key,
    ticket: ticketId(t.no),
    utilityName: utility,
    communityDescriptor: t.zone,
    outageKind: findings.some((f) => f.subtype === 'planned') ? 'planned' : 'unplanned',
    statusKind: statusKind(t),
    ...causeKind(findings),
    reportedStartTime: toIso(t.startedMs),
    detectedTime: toIso(t.openedMs),
    estimatedRestorationTime: etrMs === null ? null : toIso(etrMs),
    estimatedRestorationBy: t.etrMs !== null ? t.etrBy : etrMs === null ? '' : 'telemetry',
    actualRestorationTime: t.telemetryClosedMs === null ? null : toIso(t.telemetryClosedMs),
    metersAffected: t.telemetryClosedMs === null ? t.affected.length : 0,
    originalMetersAffected: original,
    customersAffected: t.telemetryClosedMs === null ? t.impact.customers : 0,
    outageArea: { equipmentKind: t.scope.type, equipment: t.scope.id, name: place?.name ?? '', geometry: place?.geometry ?? point },
    location: point,
    updatedTime: toIso(t.updatedMs),
  }
}
