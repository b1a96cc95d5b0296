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
import { pressure } from './pressure.ts'
import { reverseFlow } from './reverse-flow.ts'
import { stuckRegister } from './stuck-register.ts'

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
]
