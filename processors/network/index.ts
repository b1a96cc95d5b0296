// Every detector of the second stage, which sees the summaries of all zones. One file each beside this one, one line each here.
import type { AnyNetworkDetector } from '../fold.ts'
import { districtLeak } from './district-leak.ts'
import { powerSilence } from './power-silence.ts'
import { substationOutage } from './substation-outage.ts'

export const NETWORK_DETECTORS: readonly AnyNetworkDetector[] = [districtLeak, powerSilence, substationOutage]
