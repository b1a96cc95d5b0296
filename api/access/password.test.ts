import { expect, test } from 'vitest'
import { hashPassword, isPassword } from './password.ts'

test('a password fits its own hash only, however its letters are composed', async () => {
  const hash = await hashPassword('Zürich am See 1')
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(await isPassword('Zürich am See 1', hash)).toBe(true)
  expect(await isPassword('Zürich am See 2', hash)).toBe(false)
  expect(await isPassword('x', 'plain text')).toBe(false)
  expect(await hashPassword('Zürich am See 1')).not.toBe(hash)
})
