// What became of a message, as `npm run decode` prints it. Pure.
import { toIso } from '#model/time.ts'
import type { DecodedMessage } from './decode.ts'
import { readingText } from './quarantine.ts'
import { OLDEST_MS, wrongTime } from './route.ts'

/** One line of output, as the contract has it; `refusals` say what could not be used and why. */
export function outcomeLine(name: string, { format, gateway, decoded }: DecodedMessage): Record<string, unknown> {
  const time = (ms: number | undefined) => (ms === undefined ? null : toIso(ms))
  return {
    type: 'outcome',
    message: name,
    format,
    gateway,
    disposition: decoded.disposition,
    reason: decoded.reason,
    readings: decoded.readings.map(({ tsMs, device, quantity, value, ...rest }) => ({ device, quantity, value, ts: time(tsMs), ...rest })),
    events: decoded.events.map(({ tsMs, device, event, ...rest }) => ({ device, event, ts: time(tsMs), ...rest })),
    flags: decoded.flags,
    ...(decoded.refusals.length === 0
      ? {}
      : { refusals: decoded.refusals.map(({ reason, field, message, device }) => ({ reason, field, message, device })) }),
    ...(decoded.position === undefined ? {} : { position: positionOf(decoded.position) }),
  }
}

function positionOf({ tsMs, ...rest }: NonNullable<DecodedMessage['decoded']['position']>): object {
  return { ...rest, ts: toIso(tsMs) }
}

/**
 * Times that no device can mean become refusals, as they do in the running system. How old a reading may be is left out: a dry run is
 * mostly made with messages of long ago.
 */
export function refuseTimes({ decoded }: DecodedMessage, receivedAtMs: number): void {
  const kept = decoded.readings.filter((r, i) => {
    const wrong = r.tsMs === undefined ? undefined : wrongTime(r.tsMs, receivedAtMs, OLDEST_MS)
    if (wrong !== undefined)
      decoded.refusals.push({
        reason: 'impossible_time',
        field: `readings[${i}].ts`,
        message: wrong,
        device: r.device,
        payload: readingText(r),
      })
    return wrong === undefined
  })
  if (kept.length === decoded.readings.length) return
  decoded.readings = kept
  decoded.disposition = kept.length > 0 || decoded.events.length > 0 ? 'accept_partial' : 'quarantine'
  if (decoded.reason === '') decoded.reason = 'impossible_time'
}
