// Signatures of Standard Webhooks (https://www.standardwebhooks.com, v1): HMAC-SHA256 over `id.timestamp.body`.
import { createHmac, timingSafeEqual } from 'node:crypto'

export interface SignatureHeaders {
  'webhook-id': string
  'webhook-timestamp': string
  'webhook-signature': string
}

/** The key behind `whsec_…`. @throws Error when it is none, or not of 24 to 64 bytes. */
export function secretOf(text: string): Buffer {
  const m = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)
  const key = m === null ? Buffer.alloc(0) : Buffer.from(m[1] as string, 'base64')
  if (key.length < 24 || key.length > 64) throw new Error('a webhook secret is whsec_ and base64 of 24 to 64 bytes')
  return key
}

/** `id` must hold no full stop; the same message always has the same. `atS`: seconds since 1970, of this attempt. */
export function sign(secret: Buffer, id: string, atS: number, body: string): SignatureHeaders {
  const mac = createHmac('sha256', secret).update(`${id}.${atS}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': String(atS), 'webhook-signature': `v1,${mac}` }
}

/** How a receiver checks: any of the signatures is right and the attempt is not older or newer than `toleranceS`. */
export function verify(secret: Buffer, headers: SignatureHeaders, body: string, nowS: number, toleranceS = 300): boolean {
  const atS = Number(headers['webhook-timestamp'])
  if (!Number.isInteger(atS) || Math.abs(nowS - atS) > toleranceS) return false
  const expected = Buffer.from(sign(secret, headers['webhook-id'], atS, body)['webhook-signature'])
  return headers['webhook-signature'].split(' ').some((s) => {
    const given = Buffer.from(s)
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}
