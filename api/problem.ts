// Errors as RFC 9457 problem details, for every client and every cause. Nothing of our insides goes out: no stack, no SQL.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors, isResponseSerializationError } from 'fastify-type-provider-zod'
import { z } from 'zod'

export const ProblemSchema = z
  .object({
    type: z.string().describe('Stable name of the kind of problem: urn:meterstream:problem:illegal_transition'),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional().describe('One sentence that a person can act on'),
    instance: z.string().optional().describe('Path of the request'),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  })
  .describe('RFC 9457 problem details')

const TITLES: Record<number, string> = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  412: 'Precondition failed',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'Not acceptable in content',
  429: 'Too many requests',
  500: 'Internal error',
  502: 'Bad gateway',
  503: 'Not available',
  504: 'Took too long',
}

/** Thrown by handlers; becomes the answer. */
export class Problem extends Error {
  readonly status: number
  /** Stable kind: `illegal_transition`. */
  readonly kind: string
  readonly errors: { field: string; message: string }[] | undefined
  readonly headers: Record<string, string>
  constructor(
    status: number,
    kind: string,
    detail: string,
    more: { errors?: { field: string; message: string }[]; headers?: Record<string, string> } = {},
  ) {
    super(detail)
    this.status = status
    this.kind = kind
    this.errors = more.errors
    this.headers = more.headers ?? {}
  }
}

function send(request: FastifyRequest, reply: FastifyReply, p: Problem): FastifyReply {
  for (const [name, value] of Object.entries(p.headers)) reply.header(name, value)
  return reply
    .code(p.status)
    .header('content-type', 'application/problem+json')
    .header('cache-control', 'no-store')
    .serializer((body: unknown) => JSON.stringify(body))
    .send({
      type: `urn:meterstream:problem:${p.kind}`,
      title: TITLES[p.status] ?? 'Error',
      status: p.status,
      detail: p.message,
      instance: request.url.split('?')[0],
      ...(p.errors === undefined ? {} : { errors: p.errors }),
    })
}

/** Errors of PostgreSQL and of sockets that mean: a server is away, try again. */
const AWAY =
  /ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|timeout exceeded when trying to connect|terminating connection|Connection terminated|the database system is/

function toProblem(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error
  if (hasZodFastifySchemaValidationErrors(error)) {
    const errors = error.validation.map((v) => ({
      field: `${error.validationContext ?? 'request'}${(v.instancePath ?? '').replaceAll('/', '.')}`,
      message: v.message ?? 'not valid',
    }))
    return new Problem(
      400,
      'not_valid',
      errors
        .map((e) => `${e.field}: ${e.message}`)
        .join('; ')
        .slice(0, 1000),
      { errors },
    )
  }
  const e = error as FastifyError & { code?: string }
  if (e.code === '57014') return new Problem(504, 'took_too_long', 'the query took too long; ask for a shorter time or fewer things')
  if (AWAY.test(`${e.code ?? ''} ${e.message ?? ''}`) || /^(08|57P)/.test(e.code ?? '')) {
    return new Problem(503, 'store_away', 'a store does not answer at present; try again shortly', { headers: { 'retry-after': '5' } })
  }
  const status = e.statusCode ?? 500
  return status >= 400 && status < 500
    ? new Problem(status, (e.code ?? 'bad_request').replace(/^FST_(ERR_)?/, '').toLowerCase(), e.message)
    : undefined
}

export function installProblems(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    const where = { route: request.routeOptions.url, method: request.method }
    // A store that is away comes back and the client asks again; anything else of ours needs a person.
    if (problem === undefined) {
      const cause = isResponseSerializationError(error) ? error.cause : undefined
      request.log.error({ err: error, cause, ...where }, 'request failed')
    } else if (problem.status >= 500) request.log.warn({ error: (error as Error).message, ...where }, 'request refused')
    return send(request, reply, problem ?? new Problem(500, 'internal', 'something went wrong here; the log of the api says what'))
  })
  app.setNotFoundHandler((request, reply) =>
    send(request, reply, new Problem(404, 'no_such_path', `there is nothing at ${request.method} ${request.url.split('?')[0]}`)),
  )
}
