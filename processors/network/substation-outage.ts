// A substation is dark when its feeders went dark together. Each feeder tells of its own outage; only here are they seen side by side.
// The feeders' findings stand: this one gathers them, so that one incident is one ticket.
import { z } from 'zod'
import { MINUTE_MS, toIso } from '#model/time.ts'
import type { NetworkContext, NetworkDetector } from '../fold.ts'

const Settings = z.object({
  /** Feeders that go dark within two minutes of each other have one cause. */
  joinS: z.number().positive().default(120),
  /** Of the feeders of the substation that have meters, this share must be dark, and at least two. */
  feederShareMin: z.number().min(0).max(1).default(0.75),
  /** An ended outage can be revised by late data for so long, hours. */
  rememberHours: z.number().positive().default(72),
})
type Settings = z.infer<typeof Settings>
type Ctx = NetworkContext<Settings>

/** What a feeder said of one of its outages. Times epoch ms. */
interface FeederOutage {
  feeder: string
  finding: string
  startMs: number
  /** 0 while it goes on. */
  endMs: number
  meters: string[]
}

interface Said {
  substation: string
  onsetMs: number
  endMs: number
}

interface State {
  /** Substation -> its feeders with meters. */
  feeders: Map<string, string[]>
  /** Substation -> outages of its feeders, by the feeders' finding. */
  outages: Map<string, Map<string, FeederOutage>>
  /** `substation onset` -> what was said. */
  said: Map<string, Said>
}

export const SUBSTATION_REASONS = [
  'feeders-dark-together',
  'partly-restored',
  'restored',
  'narrower-outage', // withdrawn: too few of its feeders were dark together
] as const

export const substationOutage: NetworkDetector<State, Settings> = {
  name: 'substation-outage',
  kinds: ['outage'],
  version: 1,
  topics: ['power_zone', 'feeder_outage'],
  settings: Settings,
  create: () => ({ feeders: new Map(), outages: new Map(), said: new Map() }),
  onSummary(s, { zone, topic, data }, ctx) {
    const substation = data.substation
    if (typeof substation !== 'string' || substation === '') return
    if (topic === 'power_zone') {
      const known = s.feeders.get(substation) ?? []
      if (!known.includes(zone)) s.feeders.set(substation, [...known, zone].sort())
      return
    }
    let outages = s.outages.get(substation)
    if (outages === undefined) {
      outages = new Map()
      s.outages.set(substation, outages)
    }
    const finding = data.finding as string
    if (data.withdrawn === true) outages.delete(finding)
    else
      outages.set(finding, {
        feeder: zone,
        finding,
        startMs: data.startMs as number,
        endMs: data.endMs as number,
        meters: data.meters as string[],
      })
    judge(s, substation, outages, ctx)
  },
  onTick(s, nowMs, ctx) {
    const gone = nowMs - ctx.settings.rememberHours * 60 * MINUTE_MS
    for (const outages of s.outages.values()) for (const [id, o] of outages) if (o.endMs > 0 && o.endMs < gone) outages.delete(id)
    for (const [key, said] of s.said) if (said.endMs > 0 && said.endMs < gone) s.said.delete(key)
  },
}

/** Outages of different feeders that began together, earliest first. */
function together(outages: ReadonlyMap<string, FeederOutage>, joinMs: number): FeederOutage[][] {
  const sorted = [...outages.values()].sort((a, b) => a.startMs - b.startMs || (a.feeder < b.feeder ? -1 : 1))
  const groups: FeederOutage[][] = []
  for (const o of sorted) {
    const last = groups.at(-1)
    if (last !== undefined && o.startMs - (last[0] as FeederOutage).startMs <= joinMs && !last.some((x) => x.feeder === o.feeder))
      last.push(o)
    else groups.push([o])
  }
  return groups
}

function judge(s: State, substation: string, outages: ReadonlyMap<string, FeederOutage>, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const joinMs = cfg.joinS * 1000
  const of = s.feeders.get(substation)?.length ?? 0
  const standing = new Set<string>()
  for (const group of together(outages, joinMs)) {
    if (group.length < 2 || group.length < of * cfg.feederShareMin) continue
    const startMs = Math.min(...group.map((o) => o.startMs))
    let key = ''
    for (const [k, said] of s.said) if (said.substation === substation && Math.abs(said.onsetMs - startMs) <= joinMs) key = k
    if (key === '') {
      key = `${substation} ${startMs}`
      s.said.set(key, { substation, onsetMs: startMs, endMs: 0 })
    }
    standing.add(key)
    say(s.said.get(key) as Said, group, of, ctx)
  }
  for (const [key, said] of s.said) {
    if (said.substation !== substation || standing.has(key)) continue
    s.said.delete(key)
    const zone = s.feeders.get(substation)?.[0] ?? substation
    ctx.emit(zone, {
      kind: 'outage',
      scope: { type: 'substation', id: substation },
      onsetMs: said.onsetMs,
      severity: 'warning',
      confidence: 0,
      cause: 'unknown',
      withdrawn: true,
      reason: 'narrower-outage',
      evidence: [],
    })
  }
}

function say(said: Said, group: readonly FeederOutage[], of: number, ctx: Ctx): void {
  const dark = group.filter((o) => o.endMs === 0)
  said.endMs = dark.length === 0 ? Math.max(...group.map((o) => o.endMs)) : 0
  const startMs = Math.min(...group.map((o) => o.startMs))
  const feeders = group.map((o) => o.feeder).sort()
  const affected = (dark.length === 0 ? group : dark).flatMap((o) => o.meters).sort()
  const minutes = said.endMs > 0 ? { minutes: Math.round((said.endMs - startMs) / MINUTE_MS) } : {}
  ctx.emit(feeders[0] as string, {
    kind: 'outage',
    scope: { type: 'substation', id: said.substation },
    onsetMs: said.onsetMs,
    startedAtMs: startMs,
    clearedAtMs: said.endMs > 0 ? said.endMs : null,
    severity: 'critical',
    confidence: feeders.length === of ? 0.95 : 0.85,
    size: { feeders: dark.length === 0 ? group.length : dark.length, meters: affected.length, ...minutes },
    cause: 'power',
    affected,
    reason: dark.length === 0 ? 'restored' : dark.length < group.length ? 'partly-restored' : 'feeders-dark-together',
    evidence: [
      { what: 'feeders-dark', feeders, count: feeders.length, of },
      ...group.map((o) => ({ what: 'feeder', feeder: o.feeder, start: toIso(o.startMs), end: o.endMs > 0 ? toIso(o.endMs) : null })),
    ],
  })
}
