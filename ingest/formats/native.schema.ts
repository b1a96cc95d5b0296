// The native format as a schema: documentation (AsyncAPI) is generated from it, and the hand-written checks of the hot path in
// native.ts are tested to agree with it.
import { z } from 'zod'
import { EVENTS, QUANTITIES, type Quantity } from '#model/quantity.ts'
import { parseIso } from '#model/time.ts'
import { inRange } from '../ranges.ts'

export const MESSAGE_BYTES_MAX = 1_048_576
export const ENTRIES_MAX = 5_000
export const ID_LENGTH_MAX = 200
export const CHANNEL_LENGTH_MAX = 64
export const FLAGS_MAX = 16
export const FLAG_LENGTH_MAX = 64
/** An event's detail as JSON text, and how deep it may be nested. */
export const DETAIL_LENGTH_MAX = 4_096
export const DETAIL_DEPTH_MAX = 8

const id = z.string().min(1).max(ID_LENGTH_MAX)
const iso = z.string().refine((t) => !Number.isNaN(parseIso(t)), 'ISO 8601 with a zone')
// A flag or channel is a label: no control characters, which would also break what joins labels.
const label = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((t) => !/\p{Cc}/u.test(t.replace(/[\u0080-\u009f]/g, '')), 'no control characters')

export const NativeReading = z
  .object({
    device: id.describe('Id of the device in the registry'),
    quantity: z.enum(QUANTITIES),
    ts: iso.nullish().describe('When it was measured, by the device; without it the time of receipt is filled in and flagged'),
    value: z.number().describe("In the quantity's unit"),
    phase: z.enum(['L1', 'L2', 'L3']).nullish(),
    tariff: z.number().int().min(1).max(4).nullish().describe('Without it the total'),
    channel: label(CHANNEL_LENGTH_MAX).nullish(),
    flags: z.array(label(FLAG_LENGTH_MAX)).max(FLAGS_MAX).nullish(),
    raw: z.unknown().optional().describe('As the device gave it; kept by the gateway, not used here'),
  })
  .refine((r) => inRange(r.quantity as Quantity, r.value), { path: ['value'], message: 'outside the physical range of the quantity' })

export const NativeEvent = z.object({
  device: id,
  event: z.enum(EVENTS),
  ts: iso.nullish(),
  detail: z
    .record(z.string(), z.unknown())
    .refine(
      (d) => depthOf(d, DETAIL_DEPTH_MAX) <= DETAIL_DEPTH_MAX && JSON.stringify(d).length <= DETAIL_LENGTH_MAX,
      'too large or too deep',
    )
    .nullish(),
})

/** Payload of `telemetry/v1/{gatewayId}/readings`. */
export const NativeMessage = z.object({
  seq: z
    .number()
    .int()
    .nonnegative()
    .max(Number.MAX_SAFE_INTEGER)
    .nullish()
    .describe("Counts the gateway's messages, so that a hole is visible"),
  sentAt: iso.nullish(),
  receivedAt: iso.nullish().describe('Simulation and replay only: when the utility received it'),
  readings: z.array(NativeReading).nullish(),
  events: z.array(NativeEvent).nullish(),
})

/** Payload of `telemetry/v1/{gatewayId}/status`; retained, and the last will. */
export const NativeStatus = z.object({ online: z.boolean(), ts: iso.nullish(), receivedAt: iso.nullish() })

/** Payload of `telemetry/v1/{gatewayId}/clock`; simulation and replay only: time goes on without data. */
export const NativeClock = z.object({ now: iso })

/** Depth of nested objects and arrays, counted up to `max` + 1 only, so that no input can exhaust the stack. */
export function depthOf(value: unknown, max: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (max < 0) return 1
  let deepest = 0
  for (const v of Object.values(value)) deepest = Math.max(deepest, depthOf(v, max - 1))
  return 1 + deepest
}

/** True when an event's detail may enter the log. */
export function isSmallDetail(detail: Record<string, unknown>): boolean {
  return depthOf(detail, DETAIL_DEPTH_MAX) <= DETAIL_DEPTH_MAX && JSON.stringify(detail).length <= DETAIL_LENGTH_MAX
}
