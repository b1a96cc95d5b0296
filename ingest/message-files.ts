// Message files: one MQTT message with its exact payload as JSON, as samples of formats are kept.
import { z } from 'zod'
import { parseIso } from '#model/time.ts'
import type { RawMessage } from './decode.ts'

const File = z.looseObject({
  topic: z.string(),
  retain: z.boolean().default(false),
  payload_utf8: z.string().optional(),
  payload_hex: z
    .string()
    .regex(/^([0-9a-fA-F]{2})*$/, 'must be pairs of hexadecimal digits')
    .optional(),
  payload_base64: z.base64().optional(),
  received_at: z.string().optional(),
  send_after: z.array(z.string()).default([]),
})

export interface MessageFile extends RawMessage {
  name: string
  /** Names of messages that must be sent before. */
  sendAfter: readonly string[]
}

/**
 * Reads one file's text; undefined when it is JSON but no message (an index of the folder).
 * @throws Error when it is no JSON, has not exactly one payload, or has a wrong time.
 */
export function readMessageFile(name: string, text: string): MessageFile | undefined {
  const json: unknown = JSON.parse(text)
  if (typeof json !== 'object' || json === null || Array.isArray(json) || !('topic' in json)) return undefined
  const parsed = File.safeParse(json)
  if (!parsed.success) throw new Error(parsed.error.issues.map((i) => `${i.path.join('.')}: ${i.message}`).join('; '))
  const f = parsed.data
  const payloads = [f.payload_utf8, f.payload_hex, f.payload_base64].filter((p) => p !== undefined)
  if (payloads.length !== 1) throw new Error('exactly one of payload_utf8, payload_hex and payload_base64 must be there')
  const encoding = f.payload_utf8 !== undefined ? 'utf8' : f.payload_hex !== undefined ? 'hex' : 'base64'
  const receivedAtMs = f.received_at === undefined ? Date.now() : parseIso(f.received_at)
  if (Number.isNaN(receivedAtMs)) throw new Error('received_at must be an ISO 8601 time with a zone')
  return {
    name,
    topic: f.topic,
    payload: Buffer.from(payloads[0] as string, encoding),
    receivedAtMs,
    retained: f.retain,
    sendAfter: f.send_after.map((n) => n.replace(/\.json$/, '')),
  }
}

/** Files by name, each after those it must follow; a circle is cut where it closes. */
export function sendOrder(files: readonly MessageFile[]): MessageFile[] {
  const byName = new Map(files.map((f) => [f.name, f]))
  const done = new Set<string>()
  const ordered: MessageFile[] = []
  const visit = (file: MessageFile): void => {
    if (done.has(file.name)) return
    done.add(file.name)
    for (const before of file.sendAfter) {
      const other = byName.get(before)
      if (other !== undefined) visit(other)
    }
    ordered.push(file)
  }
  for (const file of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) visit(file)
  return ordered
}
