// Measures the page in a real browser with 100,000 points of which 5,000 change each second, while somebody pans and zooms:
//   node deploy/e2e/room-bench.fixture.ts [--points 100000] [--changes 5000] [--seconds 20]
// and then with a storm of 5,000 alarms within a minute's share of time. Prints one JSON line: time to a map with something on it, tasks
// of the main thread from the browser's own trace, weight of the page.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import type { Page } from 'playwright-core'
import type { AssetFeature } from '#model/asset.ts'
import type { LiveValue } from '#model/live-events.ts'
import { DEFAULT_POLICY } from '../../api/alarms/policy.ts'
import { applyFinding, tick, viewOf } from '../../api/alarms/state.ts'
import { aFinding } from '../../api/api.fixture.ts'
import { type Room, startRoom } from './room.fixture.ts'
import { openBrowser } from './system.ts'

const { values: options } = parseArgs({
  options: {
    points: { type: 'string', default: '100000' },
    changes: { type: 'string', default: '5000' },
    seconds: { type: 'string', default: '20' },
  },
})
const STORM = 5_000
const STORM_MS = 20_000
const points = Number(options.points)
const changes = Number(options.changes)
const seconds = Number(options.seconds)

const room = await startRoom({ features: registry(points), historyDays: 0 })
const browser = await openBrowser()
try {
  const page = await browser.newPage({ viewport: { width: 1366, height: 768 }, colorScheme: 'dark' })
  const opened = await open(page, room)
  const stop = change(room)
  await page.waitForFunction(
    (n) => (globalThis as { meterstreamAssets?: () => number }).meterstreamAssets?.() === n,
    room.features.length,
    {
      timeout: 60_000,
    },
  )
  await sleep(3000)
  await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline'] })
  await move(page, seconds * 1000)
  const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] }
  await browser.startTracing(page, { categories: ['toplevel', 'devtools.timeline'] })
  const shown = await storm(page, room)
  const stormTrace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] }
  await stop()
  console.log(
    JSON.stringify({
      ...{ type: 'room-bench', points, changesPerSecond: changes, ...opened, ...tasksOf(trace.traceEvents), ...weight() },
      storm: { alarms: STORM, shownInList: shown, ...tasksOf(stormTrace.traceEvents) },
    }),
  )
} finally {
  await browser.close()
  await room.stop()
}

interface TraceEvent {
  name: string
  ph: string
  pid: number
  tid: number
  ts: number
  dur?: number
  /** Processor time of the thread, microseconds: what remains when other programs take the processor. */
  tdur?: number
  args?: { name?: string }
}

/** Tasks of the page's main thread, by the browser's trace. */
function tasksOf(events: readonly TraceEvent[]) {
  const names = events.filter((e) => e.name === 'thread_name' && e.args?.name === 'CrRendererMain')
  const busiest = names
    .map((n) => events.filter((e) => e.ph === 'X' && e.pid === n.pid && e.tid === n.tid && e.name === 'ThreadControllerImpl::RunTask'))
    .sort((a, b) => b.length - a.length)[0]
  // What the longest tasks did: the longest event within each, without those that only wrap it.
  const longest = [...(busiest ?? [])].sort((a, b) => (b.dur ?? 0) - (a.dur ?? 0)).slice(0, 8)
  const inside = longest.map((task) => {
    const within = events.filter(
      (e) => e.ph === 'X' && e.tid === task.tid && e.pid === task.pid && e !== task && e.ts >= task.ts && e.ts < task.ts + (task.dur ?? 0),
    )
    const top = within.filter((e) => !/RunTask$/.test(e.name)).sort((a, b) => (b.dur ?? 0) - (a.dur ?? 0))
    return `${Math.round((task.dur ?? 0) / 1000)} ms (${Math.round((task.tdur ?? 0) / 1000)} of the processor): ${[...new Set(top.map((e) => e.name))].slice(0, 4).join(' > ')}`
  })
  const ms = (busiest ?? []).map((e) => (e.dur ?? 0) / 1000).sort((a, b) => b - a)
  const frames = events.filter((e) => e.name === 'FireAnimationFrame' && names.some((n) => n.pid === e.pid && n.tid === e.tid)).length
  return {
    longestTaskMs: Math.round(ms[0] ?? 0),
    longestTaskCpuMs: Math.round(Math.max(0, ...(busiest ?? []).map((e) => (e.tdur ?? 0) / 1000))),
    tasksAbove100MsCpu: (busiest ?? []).filter((e) => (e.tdur ?? 0) > 100_000).length,
    tasksAbove100Ms: ms.filter((x) => x > 100).length,
    tasksAbove50Ms: ms.filter((x) => x > 50).length,
    animationFramesPerSecond: Math.round(frames / seconds),
    longestTasks: inside,
  }
}

/** From the address to a map that shows the network and its values. */
async function open(page: Page, { url, api }: Room) {
  const asked = Date.now()
  await (await api.get('/v1/assets?kind=dma,pipe,valve,pump,tank,reservoir,substation,feeder&limit=5000')).text()
  const firstRequestMs = Date.now() - asked
  const started = Date.now()
  await page.goto(url)
  await page.waitForFunction(
    () => {
      const map = (globalThis as { meterstreamMap?: { loaded(): boolean; queryRenderedFeatures(o: object): unknown[] } }).meterstreamMap
      return map !== undefined && map.queryRenderedFeatures({ layers: ['pipes'] }).length > 0
    },
    undefined,
    { polling: 50, timeout: 60_000 },
  )
  const firstMapMs = Date.now() - started
  await page.waitForFunction(
    () => {
      const map = (globalThis as { meterstreamMap?: { querySourceFeatures(s: string): { properties: { label?: string } }[] } })
        .meterstreamMap
      return map?.querySourceFeatures('sensors').some((f) => f.properties.label !== '') === true
    },
    undefined,
    { polling: 50, timeout: 60_000 },
  )
  return { firstRequestMs, firstMapMs, firstValuesMs: Date.now() - started }
}

/** Pans and zooms as a hand does, without rest. */
async function move(page: Page, forMs: number): Promise<void> {
  const end = Date.now() + forMs
  for (let i = 0; Date.now() < end; i++) {
    await page.mouse.move(500, 400)
    if (i % 3 === 0) {
      await page.mouse.down()
      await page.mouse.move(500 + 120 * Math.cos(i), 400 + 120 * Math.sin(i), { steps: 12 })
      await page.mouse.up()
    } else await page.mouse.wheel(0, i % 2 === 0 ? 240 : -240)
    await sleep(150)
  }
}

/** Four records a second, straight into the api's live stream. */
function change(r: Room): () => Promise<void> {
  const moving = r.features.filter((f) => ['pressure_sensor', 'transformer'].includes(f.properties.kind)).map((f) => f.properties)
  let nowMs = r.nowMs()
  let next = 0
  const timer = setInterval(() => {
    nowMs += 250
    const values: LiveValue[] = []
    for (let i = 0; i < changes / 4; i++) {
      const a = moving[next++ % moving.length] as AssetFeature['properties']
      const pressure = a.kind === 'pressure_sensor'
      values.push([
        a.id,
        pressure ? 'pressure_bar' : 'power_kw',
        '',
        nowMs,
        pressure ? 2 + ((next * 7) % 300) / 100 : (next * 13) % 250,
        'good',
      ])
    }
    r.api.live.takeRecord({ type: 'live', zone: 'Z', partition: 0, nowMs, readings: values.length, values }, Date.now())
  }, 250)
  return async () => clearInterval(timer)
}

/** Alarms with their findings, spread over twenty seconds; returns how many the page counts in the end. */
async function storm(page: Page, r: Room): Promise<number> {
  const places = r.features.filter((f) => f.properties.kind === 'transformer')
  const slices = STORM_MS / 100
  for (let i = 0; i < slices; i++) {
    for (let k = i * (STORM / slices); k < (i + 1) * (STORM / slices); k++) {
      const id = (places[k % places.length] as AssetFeature).properties.id
      const f = aFinding('outage', { type: 'transformer', id: `${id}-${k}` }, { zone: `Z${k % 50}` })
      r.api.live.takeFinding(f)
      const step = applyFinding(null, f, DEFAULT_POLICY)
      const alarm = step === undefined ? undefined : tick(step.alarm, step.alarm.updatedMs, DEFAULT_POLICY)?.alarm
      if (alarm !== undefined) r.api.live.takeAlarm(viewOf(alarm, r.nowMs()))
    }
    await sleep(100)
  }
  await sleep(1000)
  return Number(/(\d+)/.exec((await page.locator('#tab-alarms').textContent()) ?? '')?.[1])
}

/** Bytes that a browser fetches compressed: all of the page but the map library and its worker. */
function weight() {
  const dir = fileURLToPath(new URL('../../api/web/dist/assets/', import.meta.url))
  let page = 0
  let map = 0
  for (const name of readdirSync(dir)) {
    const bytes = gzipSync(readFileSync(join(dir, name))).length
    if (/maplibre/.test(name)) map += bytes
    else page += bytes
  }
  return { pageGzipKb: Math.round(page / 1024), mapLibraryGzipKb: Math.round(map / 1024) }
}

/** A tenth of the points are pressure sensors, a twentieth transformers, the rest meters; pipes along a grid. */
function registry(n: number): AssetFeature[] {
  const side = Math.ceil(Math.sqrt(n))
  const at = (i: number): [number, number] => [8 + ((i % side) * 0.3) / side, 47 + (Math.floor(i / side) * 0.2) / side]
  const out: AssetFeature[] = []
  const put = (properties: object, coordinates: unknown, type: 'Point' | 'LineString' = 'Point') =>
    out.push({
      type: 'Feature',
      geometry: { type, coordinates: coordinates as never },
      properties: properties as AssetFeature['properties'],
    })
  put({ id: 'F', kind: 'feeder' }, [at(0), at(n - 1)], 'LineString')
  put({ id: 'G', kind: 'gateway' }, at(0))
  for (let i = 0; i < n; i++) {
    if (i % 10 === 0) put({ id: `P-${i}`, kind: 'pressure_sensor', gateway: 'G', dma: 'A', interval_s: 300 }, at(i))
    else if (i % 20 === 1) put({ id: `T-${i}`, kind: 'transformer', feeder: 'F', rating_kva: 400 }, at(i))
    else put({ id: `W-${i}`, kind: 'water_meter', gateway: 'G', dma: 'A', interval_s: 3600 }, at(i))
    if (i % 12 === 0 && i % side < side - 12) {
      put({ id: `J-${i}`, kind: 'junction', dma: 'A' }, at(i))
      put({ id: `L-${i}`, kind: 'pipe', from: `J-${i}`, to: `J-${i}`, dma: 'A', diameter_mm: 150 }, [at(i), at(i + 12)], 'LineString')
    }
  }
  return out
}
