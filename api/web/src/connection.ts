// The stream from the api and plain requests. A silence of three seconds is shown as a lost connection: the server sends its
// clock every two seconds whatever happens. EventSource reconnects by itself and names the last event it saw.
import type { AssetFeature } from '#model/asset.ts'
import type { LiveEventName, LiveEvents } from '#model/live-events.ts'
import {
  alarms,
  assets,
  connection,
  crews,
  findings,
  lostSinceMs,
  mergeAlarm,
  mergeFinding,
  mergeTicket,
  mergeValues,
  nowMs,
  speed,
  status,
  tickets,
  timezone,
} from './store.ts'

const SILENCE_MS = 3000
const RECONNECT_MS = 2000

let lastHeardAt = 0
let source: EventSource | null = null

export class ApiError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** GET of JSON; a problem document becomes its detail. */
export async function get<T>(path: string): Promise<T> {
  const response = await fetch(path, { credentials: 'same-origin', headers: { accept: 'application/json' } })
  if (response.status === 401) connection.value = 'signed_out'
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as { detail?: string; title?: string }
    throw new ApiError(response.status, problem.detail ?? problem.title ?? `HTTP ${response.status}`)
  }
  return (await response.json()) as T
}

/** Exchanges the access token for a session cookie. */
export async function signIn(token: string): Promise<boolean> {
  const response = await fetch('/v1/session', {
    method: 'POST',
    credentials: 'same-origin',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  })
  return response.ok
}

const handlers: { [K in LiveEventName]: (data: LiveEvents[K]) => void } = {
  snapshot(s) {
    nowMs.value = s.nowMs
    mergeValues(s.values, true)
    findings.value = new Map(s.findings.map((f) => [f.id, f]))
    tickets.value = new Map(s.tickets.map((ticket) => [ticket.id, ticket]))
    alarms.value = new Map(s.alarms.map((a) => [a.key, a]))
    crews.value = new Map(s.crews.map((c) => [c.crew, c]))
    status.value = s.status
    speed.value = s.status.speed
  },
  values(v) {
    nowMs.value = Math.max(nowMs.value, v.nowMs)
    mergeValues(v.values, false)
  },
  finding: mergeFinding,
  ticket: mergeTicket,
  alarm: mergeAlarm,
  crew(c) {
    crews.value = new Map(crews.value).set(c.crew, c)
  },
  status(s) {
    status.value = s
    speed.value = s.speed
    nowMs.value = Math.max(nowMs.value, s.nowMs)
  },
  clock(c) {
    speed.value = c.speed
    nowMs.value = Math.max(nowMs.value, c.nowMs)
  },
  bye(b) {
    if (b.reason === 'token_expired') connection.value = 'signed_out'
  },
}

function heard(): void {
  lastHeardAt = performance.now()
  if (connection.value !== 'live') connection.value = 'live'
}

function open(): void {
  source?.close()
  source = new EventSource('/v1/live', { withCredentials: true })
  for (const name of Object.keys(handlers) as LiveEventName[]) {
    source.addEventListener(name, (event) => {
      heard()
      ;(handlers[name] as (data: unknown) => void)(JSON.parse((event as MessageEvent<string>).data))
    })
  }
  source.onerror = () => {
    // CLOSED: the server refused (signed out, or it is starting): EventSource gives up then, so we try again ourselves.
    if (source?.readyState === EventSource.CLOSED && connection.value !== 'signed_out') setTimeout(open, RECONNECT_MS)
  }
}

let registryLoaded = false

async function loadRegistry(): Promise<void> {
  const collection = await get<{ features: AssetFeature[]; timezone?: string }>('/v1/assets')
  assets.value = new Map(collection.features.map((f) => [f.properties.id, f]))
  if (collection.timezone !== undefined) timezone.value = collection.timezone
  registryLoaded = true
}

/** Loads the registry and follows the stream until the page closes. */
export async function start(): Promise<void> {
  const token = /token=([^&]+)/.exec(location.hash)?.[1]
  if (token !== undefined) {
    history.replaceState(null, '', location.pathname)
    await signIn(decodeURIComponent(token))
  }
  setInterval(() => {
    if (connection.value === 'signed_out' || lastHeardAt === 0) return
    const silent = performance.now() - lastHeardAt
    if (silent > SILENCE_MS) {
      connection.value = 'lost'
      lostSinceMs.value = silent
    }
  }, 500)
  await resume()
}

/** Also called after signing in. */
export async function resume(): Promise<void> {
  connection.value = 'connecting'
  while (!registryLoaded) {
    try {
      await loadRegistry()
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return
      console.warn('registry not loaded, trying again:', error)
      await new Promise((done) => setTimeout(done, RECONNECT_MS))
    }
  }
  open()
}
