import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseSettings } from '../../ingest/settings.ts'
import { writersOf } from '../mqtt-users-cli.ts'
import { accessList, gatewayPassword, passwordLine, SERVICE_USER, userProblem } from './mqtt-access.ts'

test('a line of the password file is as mosquitto_passwd writes it', () => {
  // user, $7$, rounds, salt of 12 bytes and hash of 64 in base64
  expect(passwordLine('G-1', 'secret')).toMatch(/^G-1:\$7\$101\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==$/)
  const salt = Buffer.alloc(12, 7)
  expect(passwordLine('G-1', 'a', salt)).toBe(passwordLine('G-1', 'a', salt))
  expect(passwordLine('G-1', 'a', salt)).not.toBe(passwordLine('G-1', 'b', salt))
})

test('passwords follow from the secret and differ by gateway and secret', () => {
  expect(gatewayPassword('s', 'G-1')).toBe(gatewayPassword('s', 'G-1'))
  expect(new Set([gatewayPassword('s', 'G-1'), gatewayPassword('s', 'G-2'), gatewayPassword('t', 'G-1')]).size).toBe(3)
  expect(gatewayPassword('s', 'G-1')).toHaveLength(32)
})

test('names that would open other topics, or break the files, are no users', () => {
  for (const id of ['a/b', '+', '#', 'a:b', 'a\nuser x', ' a', SERVICE_USER]) expect(userProblem(id)).toBeTypeOf('string')
  fc.assert(
    fc.property(fc.string(), (id) => {
      if (userProblem(id) !== undefined) return
      expect(passwordLine(id, 'x', Buffer.alloc(12)).split('\n')).toHaveLength(1)
      expect(accessList({ gateways: [{ id, topics: ['x/1'] }] }).split('\n')).toContain(`user ${id}`)
    }),
    { numRuns: 50 },
  )
})

test('gateways of other formats may write the topics that the settings give them', () => {
  const settings = parseSettings(
    JSON.stringify({ sources: [{ topic: 'meters/a/#', format: 'auto', gateway: 'G-1' }, { topic: 'dsmr/#' }] }),
  )
  const { writers, problems } = writersOf(['G-2', 'G/3'], settings)
  expect(writers).toEqual([
    { id: 'G-1', topics: ['meters/a/#'] },
    { id: 'G-2', topics: [] },
  ])
  expect(problems.map((p) => p.id)).toEqual(['G/3'])
  expect(accessList({ gateways: writers })).toContain('user G-1\ntopic write meters/a/#\n')
})
