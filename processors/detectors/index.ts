// Every detector of a zone, in the order in which they see a record. One file each beside this one, one line each here.
import type { AnyDetector } from '../fold.ts'
import { outage } from './outage.ts'

// abnormal usage (bypass, reverse flow, high usage, stuck register) is being written in abnormal-usage.ts and usage/, 11:50.
export const DETECTORS: readonly AnyDetector[] = [outage]
