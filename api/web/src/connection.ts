// The stream from the api and plain requests. A silence of three seconds is shown as a lost connection: the server sends its
// clock every two seconds whatever happens. EventSource reconnects by itself and names the last event it saw.
import type { AssetFeature } from '#model/asset.ts'
import type { LiveEventName, LiveEvents } from '#model/live-events.ts'
import {
  added,
  alarms,
  assets,
  badValues,
  clockOffMs,
  connection,
  crews,
  findings,
  logStillMs,
  lostSinceMs,
  mergeAlarm,
  mergeFinding,
  mergeTicket,
  mergeValues,
  nowMs,
  registryProblems,
  resumed,
  speed,
  status,
  tickets,
  timezone,
} from './store.ts'

const SILENCE_MS = 3000
const RECONNECT_MS = 2000
const WATCH_MS = 500

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
  return answer<T>(response)
}

async function answer<T>(response: Response): Promise<T> {
  if (response.status === 401) connection.value = 'signed_out'
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as { detail?: string; title?: string }
    throw new ApiError(response.status, problem.detail ?? problem.title ?? `HTTP ${response.status}`)
  }
  return (await response.json()) as T
}

/** randomUUID exists only on https and localhost; a control room may be neither. */
function requestKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('')
}

/** A request that changes something; the answer's JSON. @throws ApiError with the reason of a refusal. */
export async function send<T = unknown>(method: 'POST' | 'PUT', path: string, body: object): Promise<T> {
  const response = await fetch(path, {
    method,
    credentials: 'same-origin',
    headers: { accept: 'application/json', 'content-type': 'application/json', 'idempotency-key': requestKey() },
    body: JSON.stringify(body),
  })
  return answer<T>(response)
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

/** The newest log time heard. It is shown twice a second at most: every age on the page is drawn anew with it. */
let heardMs = 0
function heardTime(ms: number): void {
  heardMs = Math.max(heardMs, ms)
  if (nowMs.peek() === 0) nowMs.value = heardMs
}

const handlers: { [K in LiveEventName]: (data: LiveEvents[K]) => void } = {
  snapshot(s) {
    if (wasLost) say('conn.resumedAnew')
    heardMs = s.nowMs
    nowMs.value = s.nowMs
    badValues.value = 0
    mergeValues(s.values, true)
    findings.value = new Map(s.findings.map((f) => [f.id, f]))
    tickets.value = new Map(s.tickets.map((ticket) => [ticket.id, ticket]))
    alarms.value = new Map(s.alarms.map((a) => [a.key, a]))
    crews.value = new Map(s.crews.map((c) => [c.crew, c]))
    status.value = s.status
    speed.value = s.status.speed
  },
  values(v) {
    heardTime(v.nowMs)
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
    heardTime(s.nowMs)
  },
  clock(c) {
    speed.value = c.speed
    heardTime(c.nowMs)
  },
  bye(b) {
    if (b.reason === 'token_expired') connection.value = 'signed_out'
  },
}

/** The stream was away; the next event says whether it goes on or begins anew. */
let wasLost = false
const SAID_MS = 10_000

function say(key: 'conn.resumed' | 'conn.resumedAnew'): void {
  wasLost = false
  resumed.value = key
  setTimeout(() => {
    resumed.value = ''
  }, SAID_MS)
}

function heard(name: LiveEventName): void {
  lastHeardAt = performance.now()
  if (connection.value !== 'live') connection.value = 'live'
  // An event that is no snapshot follows the last one we saw: the server had kept what we missed.
  if (wasLost && name !== 'snapshot' && name !== 'bye') say('conn.resumed')
}

let logMovedAt = 0
let logSeenMs = 0

/** Once a half second: is the stream silent, does the log stand still, does our own clock agree. */
function watch(): void {
  if (connection.value === 'signed_out' || lastHeardAt === 0) return
  const now = performance.now()
  const silent = now - lastHeardAt
  if (silent > SILENCE_MS) {
    connection.value = 'lost'
    wasLost = true
    lostSinceMs.value = silent
    return
  }
  if (heardMs > nowMs.peek()) nowMs.value = heardMs
  if (nowMs.peek() !== logSeenMs) {
    logSeenMs = nowMs.peek()
    logMovedAt = now
  }
  logStillMs.value = logMovedAt === 0 ? 0 : Math.floor((now - logMovedAt) / 1000) * 1000
  const atPaceOfLife = speed.peek() > 0.5 && speed.peek() < 1.5
  clockOffMs.value = atPaceOfLife ? Math.floor(Math.abs(Date.now() - nowMs.peek()) / 60_000) * 60_000 : 0
}

function open(): void {
  source?.close()
  source = new EventSource('/v1/live', { withCredentials: true })
  for (const name of Object.keys(handlers) as LiveEventName[]) {
    source.addEventListener(name, (event) => {
      heard(name)
      ;(handlers[name] as (data: unknown) => void)(JSON.parse((event as MessageEvent<string>).data))
    })
  }
  source.onerror = () => {
    // CLOSED: the server refused (signed out, or it is starting): EventSource gives up then, so we try again ourselves.
    if (source?.readyState === EventSource.CLOSED && connection.value !== 'signed_out') setTimeout(open, RECONNECT_MS)
  }
}

/** Kinds that are nothing on a map without a place; districts, feeders and crews may have none. */
const DRAWN = new Set(['pressure_sensor', 'level_sensor', 'pump_sensor', 'flow_meter', 'transformer', 'water_meter', 'electric_meter'])

let registryLoaded = false

/** The network first: with it the map means something. Then what measures; meters and junctions follow in parts. */
const FIRST_KINDS = 'dma,pipe,valve,pump,tank,reservoir,substation,feeder'
const NEXT_KINDS = 'pressure_sensor,level_sensor,pump_sensor,flow_meter,transformer,gateway,crew'
const LATER_KINDS = 'water_meter,electric_meter,junction'
/** Small enough to be read in less time than anybody notices. */
const PART = 5_000

interface RegistryPart {
  features: AssetFeature[]
  timezone?: string
  next: string | null
}

async function loadRegistry(): Promise<void> {
  const byId = new Map<string, AssetFeature>()
  const take = async (kinds: string): Promise<{ noPlace: number; twice: number }> => {
    const problems = { noPlace: 0, twice: 0 }
    const seen = new Set<string>()
    let cursor: string | null = null
    do {
      const query = new URLSearchParams({ kind: kinds, limit: String(PART), ...(cursor === null ? {} : { cursor }) })
      const part: RegistryPart = await get<RegistryPart>(`/v1/assets?${query}`)
      for (const f of part.features) {
        if (seen.has(f.properties.id)) problems.twice += 1
        seen.add(f.properties.id)
        if (!byId.has(f.properties.id)) byId.set(f.properties.id, f)
        if (f.geometry === null && DRAWN.has(f.properties.kind)) problems.noPlace += 1
      }
      if (part.timezone !== undefined) timezone.value = part.timezone
      cursor = part.next
      assets.value = byId
      added.value = part.features
      await new Promise((done) => setTimeout(done, 0))
    } while (cursor !== null)
    return problems
  }
  const first = await take(FIRST_KINDS)
  registryLoaded = true
  const later = async (): Promise<void> => {
    try {
      const next = await take(NEXT_KINDS)
      const more = await take(LATER_KINDS)
      registryProblems.value = {
        noPlace: first.noPlace + next.noPlace + more.noPlace,
        twice: first.twice + next.twice + more.twice,
      }
    } catch (error) {
      console.warn('a part of the registry not loaded, trying again:', error)
      setTimeout(() => void later(), RECONNECT_MS)
    }
  }
  void later()
}

/** Loads the registry and follows the stream until the page closes. */
export async function start(): Promise<void> {
  const token = /token=([^&]+)/.exec(location.hash)?.[1]
  if (token !== undefined) {
    history.replaceState(null, '', location.pathname)
    await signIn(decodeURIComponent(token))
  }
  setInterval(watch, WATCH_MS)
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
