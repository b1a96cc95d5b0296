// Every detector of a zone, in the order in which they see a record. One file each beside this one, one line each here.
import type { AnyDetector } from '../fold.ts'
import { bypass } from './bypass.ts'
import { clockFault } from './clock-fault.ts'
import { customerLeak } from './customer/leak.ts'
import { districtFlow } from './district-flow.ts'
import { highUsage } from './high-usage.ts'
import { lineLoss } from './line-loss.ts'
import { load } from './load.ts'
import { outage } from './outage.ts'
import { phaseVoltage } from './phase-voltage.ts'
import { pressure } from './pressure.ts'
import { reverseFlow } from './reverse-flow.ts'
import { risingBase } from './rising-base.ts'
import { sensorHealth } from './sensor-health.ts'
import { stuckRegister } from './stuck-register.ts'
import { tamper } from './tamper.ts'
import { usageOnInactive } from './usage-on-inactive.ts'
import { waterHighUsage } from './water-high-usage.ts'
import { waterSupply } from './water-supply.ts'
import { zeroUsage } from './zero-usage.ts'

export const DETECTORS: readonly AnyDetector[] = [
  outage,
  load,
  lineLoss,
  bypass,
  stuckRegister,
  highUsage,
  reverseFlow,
  clockFault,
  customerLeak,
  districtFlow,
  pressure,
  waterSupply,
  sensorHealth,
  zeroUsage,
  usageOnInactive,
  tamper,
  risingBase,
  phaseVoltage,
  waterHighUsage,
]
