// What a utility can set about outages, with units in the names and the reason of each default.
import { z } from 'zod'

const seconds = z.number().positive()
const minutes = z.number().positive()
const share = z.number().min(0).max(1)

export const OutageSettings = z.object({
  /** IEEE 1366: an interruption of at most five minutes is momentary. */
  momentaryMaxS: seconds.default(300),
  /** One meter that comes back within a minute had a loose contact or a motor start, not an interruption worth a word. */
  nuisanceMaxS: seconds.default(60),
  /** From the first gasp's arrival to the decision. Radios send over some tens of seconds; ticks come every ten, so 50 keeps it within 60. */
  holdS: seconds.default(50),
  /** Transformers that go dark within two minutes of each other have one cause. */
  joinS: seconds.default(120),
  /** One lonely gasp belongs to another transformer's outage when it is this close: one fault is one instant, clocks are some seconds off. */
  coincideS: seconds.default(20),
  /** Gasps of this share of a transformer's meters, at least two, are an outage: 30 to 90 % are sent, and a storm loses more. */
  gaspShareMin: share.default(0.1),
  /** Of the meters whose state is known, this share must be dark. */
  darkShareMin: share.default(0.5),
  /** Of the transformers of a feeder, this share must be known to be dark, and none known to be lit. */
  feederShareMin: share.default(0.6),
  /** Verdicts from silence wait until at most this share of a transformer's meters is still undecided. */
  undecidedShareMax: share.default(0.2),
  /** Fewer silent meters than this could be late by chance: a second read must be missed. */
  fewMeters: z.number().int().min(2).default(4),
  /** A single silent meter is reported after this many of its own intervals, at least meterSilentMinS. */
  meterSilentIntervals: z.number().int().min(2).default(8),
  meterSilentMinS: seconds.default(7200),
  /** A gateway that reconnects within this time was never gone. */
  gatewayOfflineS: seconds.default(300),
  /** Delay of reads of a meter without history. */
  delayS: seconds.default(120),
  /** On top of the usual age at arrival: this share of the interval, at least graceMinS. */
  graceShare: share.default(0.05),
  graceMinS: seconds.default(30),
  /** A meter's clock counts as right within this (customary tolerance 3 min; gasps are delivered within 2). */
  clockToleranceS: seconds.default(120),
  /** A constant lag up to this is a wrong clock; a longer one is a slow collection. */
  clockOffsetMaxS: seconds.default(4 * 3600),
  /** Over a gap of this many reads, less than this share of the meter's own base load says: there was no supply. */
  flatReadsMin: z.number().int().min(2).default(3),
  flatShareMax: share.default(0.5),
  /** ... when that base load is at least this many steps of the register. */
  flatStepsMin: z.number().positive().default(5),
  /** Usual minutes to restoration before there is a history. CAIDI of distribution utilities is about two hours (IEEE 1366 benchmarks). */
  priorFeederMin: minutes.default(90),
  priorTransformerMin: minutes.default(120),
  priorPremiseMin: minutes.default(120),
  /** How long an ended interruption can still be revised by late data. */
  rememberS: seconds.default(48 * 3600),
})
export type OutageSettings = z.infer<typeof OutageSettings>
