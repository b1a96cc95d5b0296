// Every detector of a zone, in the order in which they see a record. One file each beside this one, one line each here.
import type { AnyDetector } from '../fold.ts'
import { abnormalUsage } from './abnormal-usage.ts'
import { customerLeak } from './customer-leak.ts'
import { outage } from './outage.ts'

export const DETECTORS: readonly AnyDetector[] = [outage, abnormalUsage, customerLeak]
