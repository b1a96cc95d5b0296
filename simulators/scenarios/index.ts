// The list of scenarios. A new one is a file and a line here.
import { burst } from './burst.ts'
import { customerLeak } from './customer-leak.ts'
import { gatewayFailure, gatewaySilence } from './gateways.ts'
import { meterBypass } from './meter-bypass.ts'
import { feederOutage, premiseOutage, shortInterruption, transformerOutage } from './outages.ts'
import type { Scenario } from './scenario.ts'
import { slowLeak } from './slow-leak.ts'
import { fireHydrant, hiddenSolar, highUsage, poolFilling, sensorStuck } from './usage.ts'

export const SCENARIOS: readonly Scenario[] = [
  burst,
  slowLeak,
  customerLeak,
  meterBypass,
  transformerOutage,
  feederOutage,
  premiseOutage,
  shortInterruption,
  gatewayFailure,
  gatewaySilence,
  highUsage,
  hiddenSolar,
  fireHydrant,
  poolFilling,
  sensorStuck,
]

/** Short names for the command line. */
export const ALIASES: Record<string, string> = { outage: 'transformer-outage', gateway: 'gateway-failure' }

/** @throws RangeError that lists the known names. */
export function scenarioNamed(name: string): Scenario {
  const wanted = ALIASES[name] ?? name
  const found = SCENARIOS.find((s) => s.name === wanted)
  if (found === undefined)
    throw new RangeError(`no scenario is named ${name}; known: ${[...SCENARIOS.map((s) => s.name), ...Object.keys(ALIASES)].join(', ')}`)
  return found
}
