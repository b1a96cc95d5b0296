// A data set folder sent to the running system in order of arrival: the messages that its gateways would have sent, over one connection,
// then the clock of its end.
import { parseIso, toIso } from '#model/time.ts'
import { type MessageOrRefusal, nativePayload } from '../deploy/dataset.ts'
import { livePace } from './pace.ts'
import type { Publisher } from './publisher.ts'

export interface ReplayOptions {
  messages: AsyncIterable<MessageOrRefusal>
  publisher: Publisher
  /** Data seconds per real second; Infinity: as fast as ingest takes it. */
  speed: number
  /** Messages that an earlier run has sent and got acknowledged: they are passed over. */
  skip: number
  /** After everything, the log's clock is moved here; undefined: it stays at the last message. */
  end: { gateway: string; atMs: number } | undefined
  throttle: (sentMessages: number) => Promise<void>
  onProgress: (totals: ReplayTotals) => void
  stopping: () => boolean
  clock: () => number
  sleep: (ms: number) => Promise<void>
}

export interface ReplayTotals {
  /** Messages of the folder so far, those of earlier runs included. */
  messages: number
  readings: number
  events: number
  /** Rows that are no rows: nothing can be sent for them. */
  unreadableRows: number
  nowMs: number
  acknowledged: number
}

export interface ReplayResult extends ReplayTotals {
  /** Everything of the folder was sent and acknowledged. */
  complete: boolean
}

const THROTTLE_EVERY = 200
const DRAIN_MS_MAX = 120_000

/** Sends everything; resolves when all is acknowledged, or when it was told to stop. */
export async function replay(o: ReplayOptions): Promise<ReplayResult> {
  const totals: ReplayTotals = { messages: 0, readings: 0, events: 0, unreadableRows: 0, nowMs: 0, acknowledged: o.skip }
  let pace: ReturnType<typeof livePace> | undefined
  let sent = 0
  let broken = false
  for await (const m of o.messages) {
    if (o.stopping()) {
      broken = true
      break
    }
    if (m.kind === 'refused') {
      totals.unreadableRows++
      continue
    }
    totals.messages++
    totals.nowMs = m.receivedAtMs
    totals.readings += m.readings.length
    totals.events += m.events.length
    if (totals.messages <= o.skip) continue
    if (Number.isFinite(o.speed)) {
      pace ??= livePace(m.receivedAtMs, o.speed, o.clock)
      for (let wait = pace.waitFor(m.receivedAtMs); wait > 1 && !o.stopping(); wait = pace.waitFor(m.receivedAtMs))
        await o.sleep(Math.min(wait, 500))
    } else if (sent % THROTTLE_EVERY === 0) await o.throttle(sent)
    sent++
    await o.publisher.send({ topic: `telemetry/v1/${m.gateway}/readings`, payload: nativePayload(m), retain: false }, () => {
      totals.acknowledged++
    })
    o.onProgress(totals)
  }
  if (!broken && o.end !== undefined && o.end.atMs > totals.nowMs) {
    const now = toIso(o.end.atMs)
    await o.publisher.send({ topic: `telemetry/v1/${o.end.gateway}/clock`, payload: JSON.stringify({ now }), retain: false })
    totals.nowMs = parseIso(now)
  }
  const drained = await o.publisher.drained(broken ? 5_000 : DRAIN_MS_MAX)
  return { ...totals, complete: !broken && drained && o.publisher.refused === 0 }
}
