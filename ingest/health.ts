// Whether our own collection was in order: a tick says so, because silence of the meters means nothing when we could not hear them.
import { TICK_MS } from '#model/clock.ts'

/** Remembers when collection was last in trouble; what came before the start is not known to have been in order. */
export class CollectionHealth {
  #troubleMs: number

  constructor(startMs: number) {
    this.#troubleMs = startMs
  }

  /** Something is wrong at this time. */
  trouble(nowMs: number): void {
    if (nowMs > this.#troubleMs) this.#troubleMs = nowMs
  }

  /** True when nothing was wrong since the tick before. */
  atTick(tickMs: number): boolean {
    return this.#troubleMs <= tickMs - TICK_MS
  }
}
