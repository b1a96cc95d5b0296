// Keeps the history from running far ahead of ingest: MQTT has no back-pressure to publishers, the broker would queue it all. Ingest's
// own counter of received messages tells how far it is; where it cannot be read, the broker's queue is trusted.

/** Messages that may lie in the broker. */
const AHEAD_MAX = 4_000
const POLL_MS = 200
/** Ingest may be away for a while; after this long without an answer the history goes on and the broker keeps it. */
const PATIENCE_MS = 30_000
const METRIC = /^meterstream_ingest_messages_total(?:\{[^}]*\})? ([0-9.e+]+)$/gm

export interface ThrottleOptions {
  /** `http://127.0.0.1:8081/metrics` */
  url: string
  clock: () => number
  sleep: (ms: number) => Promise<void>
}

/** Messages that ingest has received since it started; undefined when it does not say. */
export async function messagesReceived(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    if (!response.ok) return undefined
    const values = [...(await response.text()).matchAll(METRIC)].map((m) => Number(m[1]))
    return values.length === 0 ? undefined : values.reduce((s, v) => s + v, 0)
  } catch {
    // Not running, or not yet: the same as no answer.
    return undefined
  }
}

/** A function that waits while more than AHEAD_MAX messages of those sent are not yet received by ingest. */
export function makeThrottle(o: ThrottleOptions): (sent: number) => Promise<void> {
  let base: number | undefined
  let last = 0
  return async (sent) => {
    const until = o.clock() + PATIENCE_MS
    for (;;) {
      const received = await messagesReceived(o.url)
      if (received === undefined) return
      // Its first answer, or it was restarted and counts anew: what was sent so far counts as received then.
      if (base === undefined || received < last) base = received - sent
      last = received
      if (sent - (received - base) < AHEAD_MAX || o.clock() > until) return
      await o.sleep(POLL_MS)
    }
  }
}
