// Roles, and what each may ask. Deny by default: a route without a line here is the administrator's alone.
export const ROLES = ['gateway', 'control_room', 'dispatcher', 'agent', 'billing', 'engineer', 'auditor', 'admin'] as const
export type Role = (typeof ROLES)[number]

export interface Principal {
  /** Shown in histories: a user's name, `key:NAME`, `administrator`. */
  name: string
  roles: readonly Role[]
}

/** Everybody who works here: people of all roles, not machines at the edge. */
const STAFF = ['control_room', 'dispatcher', 'agent', 'billing', 'engineer', 'auditor'] as const
const NETWORK = ['control_room', 'dispatcher', 'engineer', 'auditor'] as const
const DESK = ['control_room', 'dispatcher', 'agent'] as const
const DISPATCH = ['control_room', 'dispatcher'] as const
const MONEY = ['billing', 'auditor'] as const

/** `METHOD /pattern` -> who may, beside the administrator. A pattern that ends with `*` covers all below it. The first that fits decides. */
const RULES: readonly (readonly [string, readonly Role[]])[] = [
  // Whoever is signed in.
  ['GET /v1/session', ROLES],
  ['GET /v1/status', STAFF],
  ['GET /v1/live', STAFF],
  ['GET /docs*', STAFF],
  // Registry
  ['GET /v1/assets*', STAFF],
  ['PUT /v1/assets/:id', ['engineer']],
  ['GET /v1/devices*', NETWORK],
  ['POST /v1/devices*', ['engineer']],
  // Data
  ['GET /v1/readings', STAFF],
  ['GET /v1/intervals*', STAFF],
  ['POST /v1/intervals*', ['billing']],
  ['GET /v1/validation*', STAFF],
  ['GET /v1/findings*', STAFF],
  ['GET /v1/trends', STAFF],
  ['GET /v1/search', STAFF],
  ['GET /v1/boards*', STAFF],
  ['GET /v1/playback', NETWORK],
  ['GET /v1/analytics', STAFF],
  ['GET /v1/data-quality', STAFF],
  // The shift
  ['GET /v1/alarms*', NETWORK],
  ['PUT /v1/alarms/policy', ['engineer']],
  ['POST /v1/alarms/policy/replay', ['engineer', 'control_room']],
  ['POST /v1/alarms*', ['control_room']],
  // The desk
  ['GET /v1/tickets*', STAFF],
  ['POST /v1/tickets*', DESK],
  ['GET /tmf-api*', STAFF],
  ['POST /tmf-api*', DESK],
  ['PATCH /tmf-api*', DESK],
  ['DELETE /tmf-api*', ['dispatcher']],
  ['GET /v1/reports', STAFF],
  ['POST /v1/reports', DESK],
  ['GET /v1/notices*', STAFF],
  ['POST /v1/notices*', DESK],
  ['GET /v1/outages', STAFF],
  ['GET /v1/kpis', STAFF],
  ['GET /v1/reliability*', STAFF],
  ['GET /v1/scorecard*', STAFF],
  ['GET /v1/decisions', STAFF],
  ['GET /v1/desk*', STAFF],
  ['GET /v1/callbacks', STAFF],
  ['POST /v1/callbacks*', DESK],
  ['GET /v1/crews*', NETWORK],
  ['POST /v1/crews*', DISPATCH],
  ['PUT /v1/crews*', DISPATCH],
  // Money
  ['GET /v1/billing*', MONEY],
  ['POST /v1/billing*', ['billing']],
  ['PUT /v1/billing*', ['billing']],
  ['DELETE /v1/billing*', ['billing']],
  ['GET /v1/tariffs*', STAFF],
  ['POST /v1/tariffs/price', STAFF],
  ['PUT /v1/tariffs*', ['billing']],
  ['DELETE /v1/accounts/:id/personal', []],
  ['GET /v1/accounts/:id/personal', ['agent']],
  ['GET /v1/accounts*', ['agent', 'billing', 'auditor']],
  ['POST /v1/accounts/:id/link', ['agent', 'billing']],
  ['PUT /v1/accounts*', ['agent', 'billing']],
  // The administrator alone, said so that the test knows that it is meant.
  ['PUT /v1/desk/settings', []],
  ['PUT /v1/scorecard/model', []],
  // Proof
  ['GET /v1/ledger', STAFF],
  ['GET /v1/quarantine*', NETWORK],
  ['POST /v1/quarantine*', ['engineer']],
  ['GET /v1/audit', ['auditor']],
]

/** Rules of a route: `GET /v1/tickets/:id`. HEAD is GET. */
function ruleOf(method: string, pattern: string): readonly Role[] | undefined {
  const route = `${method === 'HEAD' ? 'GET' : method} ${pattern}`
  for (const [rule, roles] of RULES) {
    if (rule === route || (rule.endsWith('*') && below(route, rule.slice(0, -1)))) return roles
  }
  return undefined
}

/** `GET /v1/assets*` covers /v1/assets and /v1/assets/x, not /v1/assetsecrets. */
const below = (route: string, prefix: string): boolean =>
  route.startsWith(prefix) && ['', '/'].includes(route.slice(prefix.length, prefix.length + 1))

export const hasRule = (method: string, pattern: string): boolean => ruleOf(method, pattern) !== undefined

export function mayUse(roles: readonly Role[], method: string, pattern: string): boolean {
  if (roles.includes('admin')) return true
  const allowed = ruleOf(method, pattern)
  return allowed?.some((r) => roles.includes(r)) === true
}

/** Names and addresses of customers: shown to who works with customers, masked for the others. */
export const seesCustomers = (roles: readonly Role[]): boolean => roles.some((r) => r === 'agent' || r === 'billing' || r === 'admin')
