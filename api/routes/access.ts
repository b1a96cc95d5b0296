// Users, API keys and the audit trail: the administrator's and the auditor's.
import { z } from 'zod'
import { listAudit } from '../access/audit.ts'
import type { Directory } from '../access/directory.ts'
import { ROLES } from '../access/roles.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { PROBLEMS } from './schemas.ts'

const Roles = z.array(z.enum(ROLES)).max(ROLES.length)
const UserName = z.string().regex(/^[a-z0-9][a-z0-9._-]{1,63}$/, 'lower-case letters, digits, dot, hyphen, underscore; 2 to 64')
const KeyId = z.string().regex(/^[a-z0-9]{12}$/)
const time = z.date().transform((d) => d.toISOString())
const UserOut = z.object({
  ...{ name: z.string(), roles: Roles, disabled: z.boolean() },
  ...{ lockedUntil: time.nullable(), createdAt: time, lastUsed: time.nullable() },
})
const KeyOut = z.object({
  ...{ id: z.string(), name: z.string(), roles: Roles },
  ...{ createdAt: time, expiresAt: time.nullable(), revokedAt: time.nullable(), lastUsed: time.nullable() },
})
const PASSWORD_MIN = 12

export function accessRoutes(app: App, { pool }: ApiDeps, directory: Directory): void {
  usersRoutes(app, directory)
  keysRoutes(app, directory)
  app.get(
    '/v1/audit',
    {
      schema: {
        tags: ['access'],
        summary: 'Who did what, newest first',
        description:
          'Every request that changes something, every sign-in and every refusal to somebody who is signed in. `npm run audit` verifies the chain of hashes.',
        querystring: z.object({
          before: z.coerce.number().int().positive().optional().describe('Sequence number: entries before it'),
          who: z.string().max(200).optional(),
          limit: z.coerce.number().int().min(1).max(1000).default(100),
        }),
        response: {
          200: z.object({
            entries: z.array(
              z.object({
                ...{ seq: z.int(), at: z.string(), who: z.string(), action: z.string(), target: z.string(), outcome: z.int() },
                ...{ detail: z.record(z.string(), z.unknown()), hash: z.string() },
              }),
            ),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query }) => {
      const rows = await listAudit(pool, { before: query.before, who: query.who, limit: query.limit })
      return { entries: rows.map(({ atMs, ...row }) => ({ ...row, at: new Date(atMs).toISOString() })) }
    },
  )
}

function usersRoutes(app: App, directory: Directory): void {
  app.get(
    '/v1/access/users',
    { schema: { tags: ['access'], summary: 'Users', response: { 200: z.object({ users: z.array(UserOut) }), ...PROBLEMS } } },
    async () => ({ users: (await directory.users()) as never }),
  )
  app.put(
    '/v1/access/users/:name',
    {
      schema: {
        tags: ['access'],
        summary: 'Creates a user, or changes password, roles or state; open sessions end',
        params: z.object({ name: UserName }),
        body: z.strictObject({
          password: z.string().min(PASSWORD_MIN).max(1000).optional(),
          roles: Roles.optional(),
          disabled: z.boolean().optional(),
        }),
        response: { 204: z.null(), ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const done = await directory.putUser(request.params.name, request.body)
      if (!done) throw new Problem(404, 'unknown_user', `there is no user ${request.params.name}; give a password to create one`)
      return reply.code(204).send(null)
    },
  )
}

function keysRoutes(app: App, directory: Directory): void {
  const params = z.object({ id: KeyId })
  const Token = z.object({ id: z.string(), token: z.string().describe('Shown this once') })
  const unknown = (id: string) => new Problem(404, 'unknown_key', `there is no API key ${id} that works`)
  app.get(
    '/v1/access/keys',
    { schema: { tags: ['access'], summary: 'API keys', response: { 200: z.object({ keys: z.array(KeyOut) }), ...PROBLEMS } } },
    async () => ({ keys: (await directory.keys()) as never }),
  )
  app.post(
    '/v1/access/keys',
    {
      schema: {
        tags: ['access'],
        summary: 'Creates an API key for a machine',
        body: z.strictObject({
          name: z.string().min(1).max(100),
          roles: Roles.min(1),
          expiresAt: z.iso.datetime({ offset: true }).optional(),
        }),
        response: { 201: Token, ...PROBLEMS },
      },
    },
    async ({ body }, reply) => {
      const expiresMs = body.expiresAt === undefined ? undefined : Date.parse(body.expiresAt)
      if (expiresMs !== undefined && expiresMs <= Date.now()) throw new Problem(400, 'not_valid', 'body.expiresAt: is over')
      return reply
        .code(201)
        .header('cache-control', 'no-store')
        .send(await directory.createKey(body.name, body.roles, expiresMs))
    },
  )
  app.post(
    '/v1/access/keys/:id/rotate',
    {
      schema: { tags: ['access'], summary: 'A new secret; the old one ends', params, response: { 200: Token, ...PROBLEMS } },
    },
    async ({ params: { id } }, reply) => {
      const token = await directory.rotateKey(id)
      if (token === undefined) throw unknown(id)
      reply.header('cache-control', 'no-store')
      return { id, token }
    },
  )
  app.delete(
    '/v1/access/keys/:id',
    { schema: { tags: ['access'], summary: 'Revokes an API key', params, response: { 204: z.null(), ...PROBLEMS } } },
    async ({ params: { id } }, reply) => {
      if (!(await directory.revokeKey(id))) throw unknown(id)
      return reply.code(204).send(null)
    },
  )
}
