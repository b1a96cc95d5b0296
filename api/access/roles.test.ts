import { expect, test } from 'vitest'
import { hasRule, mayUse, ROLES, type Role, seesCustomers } from './roles.ts'

test('a route without a rule is the administrator alone', () => {
  expect(hasRule('GET', '/v1/access/keys')).toBe(false)
  for (const role of ROLES) expect(mayUse([role], 'GET', '/v1/access/keys')).toBe(role === 'admin')
  expect(mayUse([], 'GET', '/v1/session')).toBe(false)
})

test('a rule with a star covers what is below it, not what begins alike', () => {
  expect(mayUse(['agent'], 'GET', '/v1/tickets/:id')).toBe(true)
  expect(mayUse(['agent'], 'GET', '/v1/ticketsecrets')).toBe(false)
  expect(mayUse(['agent'], 'HEAD', '/v1/tickets')).toBe(true)
})

test.each<[Role, string, string, boolean]>([
  ['auditor', 'POST', '/v1/tickets', false],
  ['auditor', 'GET', '/v1/audit', true],
  ['control_room', 'GET', '/v1/audit', false],
  ['control_room', 'POST', '/v1/alarms/:key/:action', true],
  ['agent', 'POST', '/v1/alarms/:key/:action', false],
  ['engineer', 'PUT', '/v1/assets/:id', true],
  ['billing', 'PUT', '/v1/assets/:id', false],
  ['dispatcher', 'GET', '/v1/billing/consumption', false],
  ['gateway', 'GET', '/v1/readings', false],
])('%s %s %s: %s', (role, method, pattern, may) => {
  expect(mayUse([role], method, pattern)).toBe(may)
})

test('who works with customers sees their names', () => {
  expect(ROLES.filter((r) => seesCustomers([r]))).toEqual(['agent', 'billing', 'admin'])
})
