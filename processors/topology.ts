// What runs: the validator, the detectors of a zone, those across zones, and the incidents that follow. The same for the live system,
// a replay and a backtest.
import type { IncidentDecision, TicketIntent } from '#model/ticket.ts'
import { DETECTORS } from './detectors/index.ts'
import type { AnyDetector, AnyNetworkDetector } from './fold.ts'
import { createIncidentFold, type IncidentState } from './incidents/fold.ts'
import { NETWORK_DETECTORS } from './network/index.ts'
import type { StageFollower } from './network-fold.ts'
import { validation } from './validation/index.ts'
import type { AnyValidator } from './validation/validator.ts'

export interface Topology {
  validator: AnyValidator
  detectors: readonly AnyDetector[]
  networkDetectors: readonly AnyNetworkDetector[]
}

export const TOPOLOGY: Topology = { validator: validation, detectors: DETECTORS, networkDetectors: NETWORK_DETECTORS }

/** Incidents follow the second stage: findings of all zones in log-time order, so that tickets are as exact as findings. */
export function incidentFollower(
  onTicket: (ticket: TicketIntent) => void,
  onDecision?: (decision: IncidentDecision) => void,
): StageFollower<IncidentState> {
  const incidents = createIncidentFold()
  const send = (tickets: readonly TicketIntent[]) => {
    for (const t of tickets) onTicket(t)
  }
  return {
    create: () => incidents.create(),
    onFinding: (state, finding) => send(incidents.apply(state, finding, onDecision)),
    onTick: (state, nowMs) => send(incidents.tick(state, nowMs, onDecision)),
  }
}
