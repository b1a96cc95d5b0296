// The list of scenarios. A new one is a file and a line here.
import { burst } from './burst.ts'
import { customerLeak } from './customer-leak.ts'
import { feederOutage } from './feeder-outage.ts'
import { fireHydrant } from './fire-hydrant.ts'
import { gatewayFailure } from './gateway-failure.ts'
import { gatewaySilence } from './gateway-silence.ts'
import { hiddenSolar } from './hidden-solar.ts'
import { highUsage } from './high-usage.ts'
import { meterBypass } from './meter-bypass.ts'
import { poolFilling } from './pool-filling.ts'
import { premiseOutage } from './premise-outage.ts'
import type { Scenario } from './scenario.ts'
import { sensorStuck } from './sensor-stuck.ts'
import { shortInterruption } from './short-interruption.ts'
import { slowLeak } from './slow-leak.ts'
import { transformerOutage } from './transformer-outage.ts'

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
