// What the page shows now: newest values, findings, tickets, crews, and the log's clock with its speed. Pure state with bounded size.
import type { AlarmLoad, AlarmView } from '#model/alarm.ts'
import { isOpen, type TicketView } from '#model/desk.ts'
import type { Finding } from '#model/finding.ts'
import type { LiveRecord } from '#model/live.ts'
import type { CrewView, LiveStatus, LiveValue, PartHealth } from '#model/live-events.ts'
import { DAY_MS, MINUTE_MS } from '#model/time.ts'

export interface Picture {
  values: Map<string, LiveValue>
  findings: Map<string, Finding>
  tickets: Map<string, TicketView>
  crews: Map<string, CrewView>
  alarms: Map<string, AlarmView>
  load: AlarmLoad | undefined
  nowMs: number
  /** Newest record of the log's clock, by partition. */
  partitions: Map<number, { lag: number | null; openFindings: number; heardMs: number }>
  /** Wall and log time and readings of the last seconds, oldest first. */
  pace: { wallMs: number; logMs: number; readings: number }[]
}

/** Series shown at most; a utility of 100,000 meters has some ten thousand sensors. Beyond, new series are not shown. */
const VALUES_MAX = 100_000
/** Findings and tickets in a snapshot. */
export const LISTED_MAX = 1000
/** Open findings and tickets that are kept, so that their number is right also in a storm; ended ones beyond twice LISTED_MAX go first. */
export const KEPT_MAX = 20_000
const PACE_MS = 10_000
/** A crew that has not been heard of for so long is somewhere else by now. */
export const CREW_STALE_MS = 10 * MINUTE_MS
export const RECENT_MS = DAY_MS

export function createPicture(): Picture {
  return {
    ...{ values: new Map(), findings: new Map(), tickets: new Map(), crews: new Map(), alarms: new Map() },
    ...{ load: undefined, nowMs: 0, partitions: new Map(), pace: [] },
  }
}

const seriesOf = (v: LiveValue): string => `${v[0]}\u0000${v[1]}\u0000${v[2]}`

/** Returns the value when it is news. A late value never replaces a newer one; the same time with another value is a correction. */
export function takeValue(p: Picture, v: LiveValue): boolean {
  const key = seriesOf(v)
  const old = p.values.get(key)
  if (old === undefined) {
    if (p.values.size >= VALUES_MAX) return false
  } else if (old[3] > v[3] || (old[3] === v[3] && old[4] === v[4] && old[5] === v[5])) return false
  p.values.set(key, v)
  return true
}

/** `wallMs`: when the record was made. Returns the values that are news. */
export function takeRecord(p: Picture, r: LiveRecord, wallMs: number): LiveValue[] {
  p.nowMs = Math.max(p.nowMs, r.nowMs)
  const known = p.partitions.get(r.partition)
  p.partitions.set(r.partition, {
    lag: r.lagRecords ?? known?.lag ?? null,
    openFindings: r.openFindings ?? known?.openFindings ?? 0,
    heardMs: Math.max(known?.heardMs ?? 0, wallMs),
  })
  const last = p.pace.at(-1)
  if (last !== undefined && wallMs - last.wallMs < 250) {
    last.logMs = Math.max(last.logMs, p.nowMs)
    last.readings += r.readings
  } else p.pace.push({ wallMs, logMs: p.nowMs, readings: r.readings })
  while ((p.pace[0]?.wallMs ?? wallMs) < wallMs - PACE_MS) p.pace.shift()
  return r.values.filter((v) => takeValue(p, v))
}

export function takeFinding(p: Picture, f: Finding): boolean {
  if ((p.findings.get(f.id)?.rev ?? 0) >= f.rev) return false
  p.findings.set(f.id, f)
  trim(p.findings, (x) => x.clearedAt === null && x.withdrawn !== true)
  return true
}

export function takeTicket(p: Picture, t: TicketView): boolean {
  if ((p.tickets.get(t.id)?.version ?? 0) >= t.version) return false
  p.tickets.set(t.id, t)
  trim(p.tickets, (x) => isOpen(x.state))
  return true
}

export function takeAlarm(p: Picture, a: AlarmView): boolean {
  if ((p.alarms.get(a.key)?.version ?? 0) >= a.version) return false
  p.alarms.set(a.key, a)
  trim(p.alarms, (x) => x.state !== 'normal')
  return true
}

/** Forgets what ended, oldest first; what is open only beyond KEPT_MAX. */
function trim<T>(map: Map<string, T>, open: (x: T) => boolean): void {
  if (map.size <= LISTED_MAX * 2) return
  for (const [key, x] of map) {
    if (map.size <= LISTED_MAX) break
    if (!open(x)) map.delete(key)
  }
  for (const key of map.keys()) {
    if (map.size <= KEPT_MAX) return
    map.delete(key)
  }
}

export function takeCrew(p: Picture, c: Omit<CrewView, 'stale' | 'skills'>, skills: CrewView['skills']): CrewView | undefined {
  if ((p.crews.get(c.crew)?.tsMs ?? 0) >= c.tsMs) return undefined
  const view = { ...c, skills, stale: isStale(c.tsMs, p.nowMs) }
  p.crews.set(c.crew, view)
  return view
}

function isStale(tsMs: number, nowMs: number): boolean {
  return nowMs - tsMs > CREW_STALE_MS
}

/** Crews whose staleness changed since they were last shown. */
export function newlyStale(p: Picture): CrewView[] {
  const out: CrewView[] = []
  for (const [id, c] of p.crews) {
    if (c.stale === isStale(c.tsMs, p.nowMs)) continue
    const view = { ...c, stale: !c.stale }
    p.crews.set(id, view)
    out.push(view)
  }
  return out
}

/** Findings as a snapshot shows them: open ones and those of the last day of log time, newest first. */
export function listedFindings(p: Picture): Finding[] {
  return [...p.findings.values()]
    .filter((f) => (f.clearedAt === null && f.withdrawn !== true) || Date.parse(f.updatedAt) >= p.nowMs - RECENT_MS)
    .sort((a, b) => (a.detectedAt < b.detectedAt ? 1 : -1))
    .slice(0, LISTED_MAX)
}

export function listedTickets(p: Picture): TicketView[] {
  return [...p.tickets.values()]
    .filter((t) => isOpen(t.state) || Date.parse(t.updatedAt) >= p.nowMs - RECENT_MS)
    .sort((a, b) => (a.openedAt < b.openedAt ? 1 : -1))
    .slice(0, LISTED_MAX)
}

/** Most urgent first, then the newest. */
export function listedAlarms(p: Picture): AlarmView[] {
  const normal = (a: AlarmView) => Number(a.state === 'normal')
  return [...p.alarms.values()]
    .filter((a) => a.state !== 'normal' || Math.max(a.clearedMs, a.annunciatedMs) >= p.nowMs - RECENT_MS)
    .sort((a, b) => normal(a) - normal(b) || a.priority - b.priority || b.activeSinceMs - a.activeSinceMs)
    .slice(0, LISTED_MAX)
}

/** Log seconds per second of wall time over the last seconds, as of `wallMs`; 0 when the log stands still. */
export function speedOf(p: Picture, wallMs: number): number {
  const first = p.pace.find((x) => x.wallMs >= wallMs - PACE_MS)
  const last = p.pace.at(-1)
  if (first === undefined || last === undefined) return 0
  const elapsed = Math.max(wallMs, last.wallMs) - first.wallMs
  return elapsed < 500 ? 0 : Math.round(((last.logMs - first.logMs) / elapsed) * 100) / 100
}

function readingsPerSecond(p: Picture, wallMs: number): number {
  const recent = p.pace.filter((x) => x.wallMs >= wallMs - PACE_MS)
  if (recent.length === 0) return 0
  const elapsed = Math.max(1000, wallMs - (recent[0] as { wallMs: number }).wallMs)
  return Math.round(recent.reduce((sum, x) => sum + x.readings, 0) / (elapsed / 1000))
}

/** Open findings by kind and open tickets by class. */
export function openCounts(p: Picture): { findings: Map<string, number>; tickets: Map<string, number> } {
  const findings = new Map<string, number>()
  const tickets = new Map<string, number>()
  for (const f of p.findings.values())
    if (f.clearedAt === null && f.withdrawn !== true) findings.set(f.kind, (findings.get(f.kind) ?? 0) + 1)
  for (const t of p.tickets.values()) if (isOpen(t.state)) tickets.set(t.class, (tickets.get(t.class) ?? 0) + 1)
  return { findings, tickets }
}

export function statusOf(p: Picture, parts: PartHealth[], wallMs: number): LiveStatus {
  let lag: number | null = null
  for (const x of p.partitions.values()) if (x.lag !== null) lag = (lag ?? 0) + x.lag
  const open = openCounts(p)
  const sum = (counts: Map<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0)
  return {
    nowMs: p.nowMs,
    speed: speedOf(p, wallMs),
    readingsPerSecond: readingsPerSecond(p, wallMs),
    lagRecords: lag,
    openFindings: sum(open.findings),
    openTickets: sum(open.tickets),
    parts,
    ...(p.load === undefined ? {} : { alarms: p.load }),
  }
}
