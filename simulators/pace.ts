// How fast simulated time passes: as fast as ingest takes it during the history, `factor` simulated seconds per real second after it.

/** Real time must not run after simulated time by more: after a standstill the simulation goes on from where it was. */
const BEHIND_MS_MAX = 3_000

export interface LivePace {
  /** Real milliseconds to wait until a simulated instant; 0 or less when it is due. */
  waitFor(simMs: number): number
  /** Simulated time now. */
  now(): number
}

/** Simulated time that stands at `simMs` now and goes on at `factor`. */
export function livePace(simMs: number, factor: number, clock: () => number): LivePace {
  let anchorReal = clock()
  let anchorSim = simMs
  return {
    waitFor: (target) => {
      const wait = anchorReal + (target - anchorSim) / factor - clock()
      if (wait < -BEHIND_MS_MAX) {
        anchorReal = clock()
        anchorSim = target
        return 0
      }
      return wait
    },
    now: () => anchorSim + (clock() - anchorReal) * factor,
  }
}
