// Quarantine entries for what the fold itself refuses.

import { hashText } from '#model/hash.ts'
import type { QuarantineEntry, Refusal } from '#model/outcome.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import { toIso } from '#model/time.ts'

type Why = { reason: Refusal; field: string; message: string }

function entry(
  what: { gateway: string; device: string; receivedAtMs: number; redelivered: boolean },
  why: Why,
  body: object,
): QuarantineEntry {
  const payload = JSON.stringify(body)
  return {
    id: `fold-${hashText(`${why.reason}|${what.gateway}|${what.receivedAtMs}|${payload}`).toString(36)}`,
    reason: why.reason,
    field: why.field,
    message: why.message,
    gateway: what.gateway,
    device: what.device,
    topic: '',
    format: 'native',
    receivedAtMs: what.receivedAtMs,
    entries: 1,
    payload,
    encoding: 'utf8',
    truncated: false,
    redelivered: what.redelivered,
  }
}

/** The payload is the reading as an entry of a native message, so that it can be mended and sent again. */
export function refusedReading(r: Reading, why: Why): QuarantineEntry {
  return entry(r, why, {
    device: r.device,
    quantity: r.quantity,
    ts: Number.isFinite(r.tsMs) ? toIso(r.tsMs) : null,
    value: r.value,
    ...(r.phase === '' ? {} : { phase: r.phase }),
    ...(r.tariff === 0 ? {} : { tariff: r.tariff }),
    ...(r.channel === '' ? {} : { channel: r.channel }),
    ...(r.flags === undefined ? {} : { flags: r.flags }),
  })
}

export function refusedEvent(e: MeterEvent, why: Why): QuarantineEntry {
  return entry({ ...e, redelivered: false }, why, {
    device: e.device,
    event: e.event,
    ts: Number.isFinite(e.tsMs) ? toIso(e.tsMs) : null,
    ...(e.detail === undefined ? {} : { detail: e.detail }),
  })
}
