// Ways out: a webhook, a text message by webhook, e-mail, the staff's webhook, TMF621 listeners. Each sends one message and says how it
// went; none retries. A channel without an address in the environment does not exist.
import { createHash } from 'node:crypto'
import nodemailer from 'nodemailer'
import type { Config } from '#runtime/config.ts'
import { createKeyring } from '#runtime/personal.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { personalOf } from '../../queries/personal.ts'
import { retryAfterMs } from './backoff.ts'
import { secretOf, sign } from './signature.ts'
import type { Message } from './store.ts'

export type Sent = { ok: true } | { ok: false; error: string; askedMs?: number; gone?: boolean; cannot?: boolean }

export interface Channels {
  /** Customer channels that have an address, of those there are. */
  readonly customer: readonly ('webhook' | 'sms' | 'email')[]
  readonly staff: boolean
  send(message: Message): Promise<Sent>
  close(): void
}

export type ChannelConfig = Pick<
  Config,
  | 'NOTICE_WEBHOOK_URL'
  | 'NOTICE_WEBHOOK_SECRET'
  | 'SMS_WEBHOOK_URL'
  | 'SMS_WEBHOOK_SECRET'
  | 'STAFF_WEBHOOK_URL'
  | 'STAFF_WEBHOOK_SECRET'
  | 'HUB_SECRET'
  | 'SMTP_URL'
  | 'SMTP_FROM'
  | 'PERSONAL_DATA_KEYS'
>

/** A receiver gets this long to answer. */
export const TIMEOUT_MS = 10_000
const SOURCE = '/meterstream/desk'

/** @throws Error that names a variable that is wrong. */
export function createChannels(config: ChannelConfig, db: Queryable): Channels {
  const hook = (name: string, url: string, secret: string) => {
    if (url === '') return undefined
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw new Error(`${name}_URL: must be an http or https address`)
    try {
      return { url, secret: secret === '' ? undefined : secretOf(secret) }
    } catch (error) {
      throw new Error(`${name}_SECRET: ${(error as Error).message}`)
    }
  }
  const webhook = hook('NOTICE_WEBHOOK', config.NOTICE_WEBHOOK_URL, config.NOTICE_WEBHOOK_SECRET)
  const sms = hook('SMS_WEBHOOK', config.SMS_WEBHOOK_URL, config.SMS_WEBHOOK_SECRET)
  const staff = hook('STAFF_WEBHOOK', config.STAFF_WEBHOOK_URL, config.STAFF_WEBHOOK_SECRET)
  const hubSecret = config.HUB_SECRET === '' ? undefined : secretOf(config.HUB_SECRET)
  const mail =
    config.SMTP_URL === ''
      ? undefined
      : nodemailer.createTransport(config.SMTP_URL, {
          from: config.SMTP_FROM,
          connectionTimeout: TIMEOUT_MS,
          greetingTimeout: TIMEOUT_MS,
          socketTimeout: TIMEOUT_MS,
        } as object)
  const keyring = createKeyring(config.PERSONAL_DATA_KEYS)
  const contact = async (m: Message) => (await personalOf(db, keyring, m.account)) ?? { phone: '', email: '' }

  async function send(m: Message): Promise<Sent> {
    switch (m.lane) {
      case 'webhook':
        return webhook === undefined ? gone('no webhook is configured') : post(webhook, m, JSON.stringify(cloudEvent(m)))
      case 'staff':
        return staff === undefined ? gone('no webhook for staff is configured') : post(staff, m, JSON.stringify(cloudEvent(m)))
      case 'sms': {
        if (sms === undefined) return gone('no SMS gateway is configured')
        const { phone } = await contact(m)
        return phone === ''
          ? gone('the account has no phone number')
          : post(sms, m, JSON.stringify({ to: phone, text: m.body.text, reference: m.body.ticket }))
      }
      case 'email': {
        if (mail === undefined) return gone('no SMTP server is configured')
        const { email } = await contact(m)
        if (email === '') return gone('the account has no e-mail address')
        const id = `${messageId(m.key)}@meterstream`
        await mail.sendMail({
          to: email,
          subject: m.body.subject,
          text: m.body.text,
          messageId: `<${id}>`,
          headers: { 'Auto-Submitted': 'auto-generated' },
        })
        return { ok: true }
      }
      default: {
        const listener = (
          await db.query<{ callback: string }>('SELECT callback FROM hub_listeners WHERE id = $1', [m.lane.slice('hub:'.length)])
        ).rows[0]
        return listener === undefined
          ? gone('the listener was removed')
          : post({ url: listener.callback, secret: hubSecret }, m, JSON.stringify(m.body), 'application/json')
      }
    }
  }

  return {
    customer: [
      ...(sms === undefined ? [] : ['sms' as const]),
      ...(mail === undefined ? [] : ['email' as const]),
      ...(webhook === undefined ? [] : ['webhook' as const]),
    ],
    staff: staff !== undefined,
    async send(m) {
      try {
        return await send(m)
      } catch (error) {
        return { ok: false, error: wordsOf(error) }
      }
    },
    close: () => mail?.close(),
  }
}

const gone = (error: string): Sent => ({ ok: false, error, cannot: true })

function wordsOf(error: unknown): string {
  const e = error as Error & { cause?: Error }
  return e.name === 'TimeoutError' ? `no answer within ${TIMEOUT_MS / 1000} s` : (e.cause?.message ?? e.message)
}

/** Same message, same id, without full stops or anything that a header could stumble over. */
export function messageId(key: string): string {
  return `msg_${createHash('sha256').update(key).digest('base64url').slice(0, 32)}`
}

/** A CloudEvent 1.0 in structured form. */
export function cloudEvent(m: Message): Record<string, unknown> {
  const { type, time, subject: _, ...data } = m.body as { type: string; time: string; subject?: string }
  return {
    specversion: '1.0',
    id: messageId(m.key),
    source: SOURCE,
    type,
    subject: m.ticket_no === null ? m.account : `T-${m.ticket_no}`,
    time,
    datacontenttype: 'application/json',
    data: { ...data, ...(m.account === '' ? {} : { account: m.account }), ...(m.language === '' ? {} : { language: m.language }) },
  }
}

async function post(
  to: { url: string; secret: Buffer | undefined },
  m: Message,
  body: string,
  contentType = m.lane === 'sms' ? 'application/json' : 'application/cloudevents+json',
): Promise<Sent> {
  const id = messageId(m.key)
  const atS = Math.floor(Date.now() / 1000)
  const unsigned = { 'webhook-id': id, 'webhook-timestamp': String(atS) }
  const response = await fetch(to.url, {
    method: 'POST',
    body,
    // A redirect could lead anywhere; it counts as a failure.
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: {
      'content-type': contentType,
      'user-agent': 'Meterstream',
      'idempotency-key': id,
      ...(to.secret === undefined ? unsigned : sign(to.secret, id, atS, body)),
    },
  })
  // The answer's words are not needed; unread they would hold the connection.
  await response.body?.cancel()
  if (response.ok) return { ok: true }
  const askedMs = retryAfterMs(response.headers.get('retry-after'), Date.now())
  return { ok: false, error: `answered ${response.status}`, askedMs, gone: response.status === 410 }
}
