// Broadcast radio: one telegram heard by several receivers is one reading. A copy gets the time of the first hearing, so that the
// folds recognise it as a duplicate and count it as one. Which receivers hear a meter how well is in `rssi_dbm`, a series for each. Pure.
import type { DecodedReading } from './format.ts'

/**
 * Hearings of one telegram lie this far apart at most: receivers are synchronised to a second, and brokers deliver within some. Meters
 * send again after 8 s at the earliest (EN 13757-4, modes T and C), and ERT modules with another count or after 30 s.
 */
export const HEARING_MS = 6_000
/** Series remembered; the one heard longest ago is forgotten for a new one. */
const SERIES_MAX = 200_000

interface Hearing {
  gateway: string
  value: number
  tsMs: number
  heardMs: number
}

export class Hearings {
  readonly #last = new Map<string, Hearing>()

  /** Gives readings that another gateway brought just before the time they had there. */
  align(gateway: string, readings: readonly DecodedReading[], receivedAtMs: number): void {
    for (const r of readings) {
      if (r.quantity === 'rssi_dbm') continue
      const key = `${r.device}\n${r.quantity}\n${r.phase ?? ''}\n${r.tariff ?? ''}\n${r.channel ?? ''}`
      const tsMs = r.tsMs ?? receivedAtMs
      const before = this.#last.get(key)
      const copy =
        before !== undefined &&
        before.gateway !== gateway &&
        before.value === r.value &&
        Math.abs(tsMs - before.tsMs) <= HEARING_MS &&
        Math.abs(receivedAtMs - before.heardMs) <= HEARING_MS
      if (copy) {
        r.tsMs = before.tsMs
        continue
      }
      this.#last.delete(key)
      if (this.#last.size >= SERIES_MAX) this.#last.delete(this.#last.keys().next().value as string)
      this.#last.set(key, { gateway, value: r.value, tsMs, heardMs: receivedAtMs })
    }
  }
}
