// A person's right to see and to have erased what is kept of them.
import { z } from 'zod'
import { NO_KEYS } from '#runtime/personal.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { Id } from '../queries/params.ts'
import { erasePersonal, personalOf } from '../queries/personal.ts'
import { PROBLEMS } from './schemas.ts'

export function personalRoutes(app: App, { pool, keyring = NO_KEYS }: ApiDeps): void {
  const params = z.object({ id: Id })
  const unknown = (id: string) => new Problem(404, 'unknown_account', `there is no account ${id}`)
  app.get(
    '/v1/accounts/:id/personal',
    {
      schema: {
        tags: ['account'],
        summary: 'All personal data of an account, to be handed out to the person',
        params,
        response: { 200: z.object({ account: z.string(), name: z.string(), phone: z.string(), email: z.string() }), ...PROBLEMS },
      },
    },
    async ({ params: { id } }, reply) => {
      const found = await personalOf(pool, keyring, id)
      if (found === undefined) throw unknown(id)
      reply.header('cache-control', 'no-store')
      return { account: id, ...found }
    },
  )
  app.delete(
    '/v1/accounts/:id/personal',
    {
      schema: {
        tags: ['account'],
        summary: 'Erases name, phone and e-mail of an account',
        description:
          'The account, its meters, consumption and bills stay: the law asks for them, and they name nobody. An import brings the data again if its files still have it.',
        params,
        response: { 204: z.null(), ...PROBLEMS },
      },
    },
    async ({ params: { id } }, reply) => {
      if (!(await erasePersonal(pool, id))) throw unknown(id)
      return reply.code(204).send(null)
    },
  )
}
