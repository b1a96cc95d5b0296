// Personal data at rest: AES-256-GCM by field, with the key's id in front, so that keys can be rotated. `ms1.KEY.BASE64URL(nonce|tag|text)`.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

export interface Keyring {
  /** '' stays ''. Without keys the text stays as it is. `field` binds the value to its column and row: moved elsewhere it does not open. */
  seal(text: string, field: string): string
  /** Text that was never sealed comes back as it is. @throws Error when its key is missing, or the value was changed or moved. */
  open(stored: string, field: string): string
  /** True when `seal` would write it otherwise: not sealed, or with an older key. */
  isStale(stored: string): boolean
  readonly active: boolean
}

const NONCE_BYTES = 12
const TAG_BYTES = 16
const SEALED = /^ms1\.([a-z0-9-]{1,20})\.([\w-]+)$/

/** What a field is bound to. */
export const personalField = (account: string, column: string): string => `accounts/${account}/${column}`

/**
 * `ID:BASE64,ID:BASE64`: 32 bytes each, the first one seals, all of them open. '' for no encryption.
 * @throws Error naming what is wrong, never the key
 */
export function createKeyring(keys: string): Keyring {
  const byId = new Map<string, Buffer>()
  for (const [i, part] of keys.split(',').entries()) {
    if (part.trim() === '') continue
    const [id = '', text = ''] = part.trim().split(':')
    const key = Buffer.from(text, 'base64')
    if (!/^[a-z0-9-]{1,20}$/.test(id))
      throw new Error(`PERSONAL_DATA_KEYS: key ${i + 1} needs an id of a-z, 0-9 and hyphens in front: id:base64`)
    if (key.length !== 32) throw new Error(`PERSONAL_DATA_KEYS: key ${id} has ${key.length} bytes, not 32 in base64`)
    if (byId.has(id)) throw new Error(`PERSONAL_DATA_KEYS: ${id} is there twice`)
    byId.set(id, key)
  }
  const [current] = byId
  return {
    active: current !== undefined,
    seal(text, field) {
      if (text === '' || current === undefined) return text
      const [id, key] = current
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(field))
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return `ms1.${id}.${Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')}`
    },
    open(stored, field) {
      const [, id, body] = SEALED.exec(stored) ?? []
      if (id === undefined || body === undefined) return stored
      const key = byId.get(id)
      if (key === undefined) throw new Error(`personal data: the key ${id} is not among PERSONAL_DATA_KEYS`)
      const bytes = Buffer.from(body, 'base64url')
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES)).setAAD(Buffer.from(field))
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
      try {
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8')
      } catch {
        throw new Error(`personal data: ${field} does not open: it was changed, or belongs elsewhere`)
      }
    },
    isStale: (stored) => stored !== '' && current !== undefined && SEALED.exec(stored)?.[1] !== current[0],
  }
}

/** Keeps text as it is; what others have sealed does not open. */
export const NO_KEYS = createKeyring('')
