// Signed links: whoever has one sees one account until it expires, and nothing else. Nothing is stored; raising the account's serial
// ends all links given out so far.
import { createHmac, timingSafeEqual } from 'node:crypto'

export interface AccountLinks {
  /** A token for the account until `untilMs`. */
  sign(account: string, serial: number, untilMs: number): string
  /** What a token claims, when its signature holds and it has not expired. The caller compares the serial. */
  check(token: string, nowMs: number): { account: string; serial: number; untilMs: number } | undefined
}

const LENGTH_MAX = 1200

/** @throws Error when the secret is shorter than 16 characters: it could be guessed. */
export function createAccountLinks(secret: string): AccountLinks {
  if (secret.length < 16) throw new Error('ACCOUNT_LINK_SECRET: must have at least 16 characters')
  const key = createHmac('sha256', secret).update('account-link').digest()
  const mac = (text: string) => createHmac('sha256', key).update(text).digest()
  return {
    sign(account, serial, untilMs) {
      const claim = `a1.${Buffer.from(account).toString('base64url')}.${serial}.${untilMs}`
      return `${claim}.${mac(claim).toString('base64url')}`
    },
    check(token, nowMs) {
      if (token.length > LENGTH_MAX) return undefined
      const m = /^(a1\.([\w-]+)\.(\d{1,9})\.(\d{13}))\.([\w-]{43})$/.exec(token)
      if (m === null) return undefined
      const given = Buffer.from(m[5] as string, 'base64url')
      const expected = mac(m[1] as string)
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
      const untilMs = Number(m[4])
      if (untilMs <= nowMs) return undefined
      return { account: Buffer.from(m[2] as string, 'base64url').toString(), serial: Number(m[3]), untilMs }
    },
  }
}
