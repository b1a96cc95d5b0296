// Every detector of a zone, in the order in which they see a record. One file each beside this one, one line each here.
import type { AnyDetector } from '../fold.ts'
import { bypass } from './bypass.ts'
import { customerLeak } from './customer-leak.ts'
import { highUsage } from './high-usage.ts'
import { lineLoss } from './line-loss.ts'
import { load } from './load.ts'
import { outage } from './outage.ts'
import { reverseFlow } from './reverse-flow.ts'
import { stuckRegister } from './stuck-register.ts'

// 12:25: bypass, stuck-register, high-usage and reverse-flow, one file each, take the place of abnormal-usage.ts and usage/. Measured on the
// same 20 seeded zones of real households: bypass 27 of 27 after 33 h (18, 179 h), high usage 19 of 20 after 27 h (14, 62 h), false findings
// per 100 meters and month 0.4 (2.1).
export const DETECTORS: readonly AnyDetector[] = [outage, load, lineLoss, bypass, stuckRegister, highUsage, reverseFlow, customerLeak]
