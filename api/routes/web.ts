// The control room: files built by Vite, the same for everybody, so they need no token; the data behind them does.
import { existsSync } from 'node:fs'
import fastifyStatic from '@fastify/static'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'

/** Scripts and styles are our own files only. MapLibre makes its worker from a blob and its pictures from data; it sets styles on elements. */
export const CSP = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "worker-src 'self' blob:",
  "child-src 'self' blob:",
  "connect-src 'self'",
  "font-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

export function webRoutes(app: App, { webDir }: ApiDeps): void {
  if (webDir === undefined || !existsSync(webDir)) {
    app.get('/', { config: { public: true }, schema: { hide: true } }, async () => {
      throw new Problem(503, 'page_not_built', 'the page has not been built: npm run build')
    })
    return
  }
  app.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, public: true }
    })
    scope.get('/account', { schema: { hide: true } }, (_request, reply) => reply.sendFile('account.html'))
    await scope.register(fastifyStatic, {
      root: webDir,
      // Names of built files carry a hash of their content; index.html does not.
      setHeaders: (reply, path) => {
        reply.header('cache-control', /[/\\]assets[/\\]/.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache')
        reply.header('content-security-policy', CSP)
      },
    })
  })
}
