// Which view is shown. It lives in the address, so that it can be linked, reloaded and left with the back button:
// #/map?at=2026-03-01T02:00:00Z&sel=P-1&c=8.55,47.37,13
import { signal } from '@preact/signals'

export const VIEWS = ['map', 'desk', 'boards', 'report', 'tuning', 'billing'] as const
export type View = (typeof VIEWS)[number]

export interface Route {
  view: View
  params: URLSearchParams
}

export function parseRoute(hash: string): Route {
  const [, name = '', query = ''] = /^#\/?([\w-]*)\??(.*)$/.exec(hash) ?? []
  const view = VIEWS.find((v) => v === name) ?? 'map'
  return { view, params: new URLSearchParams(query) }
}

export const route = signal<Route>(parseRoute(location.hash))

addEventListener('hashchange', () => {
  route.value = parseRoute(location.hash)
})

export function hrefOf(view: View, params: Record<string, string> = {}): string {
  const query = new URLSearchParams(params).toString()
  return `#/${view}${query === '' ? '' : `?${query}`}`
}

export function go(view: View, params: Record<string, string> = {}): void {
  location.hash = hrefOf(view, params)
}
