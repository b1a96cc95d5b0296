// What an interruption says: one finding for a dark feeder, else one for each dark transformer, else one for each dark premise.
// Whatever was said and no longer holds is withdrawn, so a parent and its child never stand side by side for the same thing.
import { type Evidence, type FindingDraft, findingId, type Scope, type Severity } from '#model/finding.ts'
import { DAY_MS, toIso } from '#model/time.ts'
import type { DetectorContext } from '../../fold.ts'
import { substationOf } from './comms.ts'
import { estimateFor } from './estimate.ts'
import { isDark, MARGIN_MS } from './interruptions.ts'
import type { OutageSettings } from './settings.ts'
import { CHECK, type Interruption, type MemberState, NONE, type OutageState, type Part } from './state.ts'
import { ended, leftBehind, type Tally } from './verdict.ts'

export const OUTAGE_REASONS = [
  'last-gasps', // meters said so before they died
  'missing-reads', // silent together, although their gateways work
  'restoration-messages', // known only from what came after
  'flat-registers', // no word, and no consumption over the gap
  'partly-restored', // some are back
  'restored', // all are back
  'left-behind', // dark although the transformer is back
  'momentary', // over within five minutes
  // withdrawn
  'wider-outage',
  'same-outage', // another finding tells of it on better evidence
  'narrower-outage',
  'nuisance-dip',
  'reads-went-on',
  'meter-work',
] as const
export type OutageReason = (typeof OUTAGE_REASONS)[number]

/** Meters named one by one in a piece of evidence. */
const NAMED_MAX = 20
/** Times closer than this are the same news. */
const SENSE_MS = 20_000
/** Evidence alone is said again after this. */
const QUIET_MS = 300_000
const PLANNED_SLACK_MS = 15 * 60_000
const METER_WORK_MS = DAY_MS / 4

type Ctx = DetectorContext<OutageSettings>

interface Want {
  scope: Scope
  startMs: number
  endMs: number
  /** Customers that lost supply in it, and the minutes of those that have it again (IEEE 1366 counts by customer). */
  customers: number
  customerMinutes: number
  members: [number, MemberState][]
  parent: string | undefined
  reason: OutageReason
  left: boolean
}

const keyOf = (scope: Scope) => `${scope.type}:${scope.id}`

/** Emits what the interruption now amounts to, and withdraws what it no longer does. */
export function report(s: OutageState, e: Interruption, tallies: ReadonlyMap<number, Tally>, ctx: Ctx): void {
  const wanted = e.feeder ? feederWants(s, e, ctx) : partWants(s, e, ctx)
  const keys = new Set(wanted.map((w) => keyOf(w.scope)))
  for (const [key, said] of e.said) {
    if (said.withdrawn || keys.has(key)) continue
    said.withdrawn = true
    if (said.scopeType === 'feeder')
      tellFeeder(findingId({ kind: 'outage', scope: feederScope(ctx), onsetMs: said.onsetMs }), undefined, s, ctx)
    withdraw({ type: said.scopeType, id: said.scopeId }, said.onsetMs, whyGone(s, e, said.scopeType, said.scopeId), ctx)
  }
  for (const w of wanted) say(s, e, w, tallies, ctx)
}

function withdraw(scope: Scope, onsetMs: number, reason: OutageReason, ctx: Ctx): void {
  ctx.emit({ kind: 'outage', scope, onsetMs, severity: 'warning', confidence: 0, cause: 'unknown', withdrawn: true, reason, evidence: [] })
}

function whyGone(s: OutageState, e: Interruption, type: string, id: string): OutageReason {
  if (type === 'feeder') return 'narrower-outage'
  const of = type === 'transformer' ? s.transformers.findIndex((t) => t.id === id) : s.meters.transformer[s.index.get(id) ?? -1]
  const part = e.parts.get(of ?? NONE)
  if (type === 'transformer' && part?.yields === true) return 'same-outage'
  if (type === 'transformer') return e.feeder ? 'wider-outage' : part?.verdict === 'premises' ? 'narrower-outage' : 'reads-went-on'
  if (part?.verdict === 'dark') return 'wider-outage'
  return part?.members.get(s.index.get(id) ?? -1)?.onMs ? 'reads-went-on' : 'nuisance-dip'
}

function customers(s: OutageState, part: Part): [number, MemberState][] {
  return [...part.members].filter(([i, m]) => isDark(m) && s.meters.role[i] !== CHECK)
}

function feederWants(s: OutageState, e: Interruption, ctx: Ctx): Want[] {
  const dark = [...e.parts.values()].filter((p) => p.verdict === 'dark')
  const exact = dark.filter((p) => p.exact)
  const startMs = Math.min(...(exact.length > 0 ? exact : dark).map((p) => p.startMs))
  const endMs = ended(e) ? Math.max(...dark.map((p) => p.endMs)) : 0
  const scope = feederScope(ctx)
  const back = dark.filter((p) => p.endMs > 0).length
  const want: Want = {
    scope,
    startMs,
    endMs,
    ...countAll(s, dark),
    // Those still dark; when all are back, those that were.
    members: dark.filter((p) => endMs > 0 || p.endMs === 0).flatMap((p) => allCustomers(s, p)),
    parent: undefined,
    left: false,
    reason: endMs > 0 ? 'restored' : back > 0 ? 'partly-restored' : mainReason(dark),
  }
  return [want, ...dark.flatMap((p) => leftWants(s, e, p, want, ctx)), ...premiseWants(s, e, ctx)]
}

function partWants(s: OutageState, e: Interruption, ctx: Ctx): Want[] {
  const out: Want[] = []
  let first: Want | undefined
  for (const p of e.parts.values()) {
    if (p.verdict !== 'dark') continue
    const id = s.transformers[p.transformer]?.id as string
    const want: Want = {
      scope: { type: 'transformer', id },
      startMs: p.startMs,
      endMs: p.endMs,
      ...countAll(s, [p]),
      members: allCustomers(s, p),
      left: false,
      parent: first === undefined ? undefined : idOf(e, first),
      reason: p.endMs > 0 ? 'restored' : mainReason([p]),
    }
    first ??= want
    out.push(want, ...leftWants(s, e, p, want, ctx))
  }
  out.push(...premiseWants(s, e, ctx))
  return out
}

/** All customers of a dark transformer but those known to be lit: those without a word of their own are dark with it. */
function allCustomers(s: OutageState, p: Part): [number, MemberState][] {
  const out: [number, MemberState][] = []
  for (const i of s.transformers[p.transformer]?.members ?? []) {
    if (s.meters.role[i] === CHECK) continue
    const m = p.members.get(i)
    if (m === undefined) out.push([i, SILENT])
    else if (isDark(m) || (p.endMs > 0 && !readMeanwhile(p, m))) out.push([i, m])
  }
  return out
}

function readMeanwhile(p: Part, m: MemberState): boolean {
  return !isDark(m) && m.onMs > 0 && (p.endMs === 0 || m.onMs < p.endMs - MARGIN_MS)
}

/** Customers of dark parts, and their minutes to the end of each part; those who stay dark longer are counted on by their own finding. */
function countAll(s: OutageState, parts: readonly Part[]): { customers: number; customerMinutes: number } {
  let customers = 0
  let minutes = 0
  for (const p of parts) {
    const n = allCustomers(s, p).length
    customers += n
    if (p.endMs > 0) minutes += (n * (p.endMs - p.startMs)) / 60_000
  }
  return { customers, customerMinutes: minutes }
}
const SILENT: MemberState = { gaspMs: 0, silentFromMs: 0, backMs: 0, backBy: '', onMs: 0, flat: false, mute: false }

function leftWants(s: OutageState, e: Interruption, p: Part, parent: Want, ctx: Ctx): Want[] {
  const out: Want[] = []
  for (const [i, m] of customers(s, p)) {
    const scope: Scope = { type: 'premise', id: s.meters.ids[i] as string }
    const known = e.said.has(keyOf(scope))
    const left = m.gaspMs + m.silentFromMs > 0 && leftBehind(s, p, i, m, ctx.nowMs, ctx.settings)
    // What brought it back must be later than the first read after the end, or the message than the others'.
    const longer =
      m.backBy === 'event' ? m.backMs > p.endMs + ctx.settings.joinS * 1000 : m.backMs > p.endMs + 1.5 * (s.meters.stepMs[i] as number)
    // Its own message, dated well after the others', is proof enough without a missed read.
    const told = longer && p.endMs > 0 && (known || (m.backBy === 'event' && m.gaspMs + m.silentFromMs > 0))
    if (!left && !told) continue
    const more = m.backMs > p.endMs ? (m.backMs - p.endMs) / 60_000 : 0
    out.push({
      scope,
      startMs: p.startMs,
      endMs: m.backMs,
      // Counted with its transformer; only what is longer is added here.
      customers: 0,
      customerMinutes: more,
      members: [[i, m]],
      parent: idOf(e, parent),
      reason: 'left-behind',
      left: true,
    })
  }
  return out
}

function premiseWants(s: OutageState, e: Interruption, ctx: Ctx): Want[] {
  const out: Want[] = []
  const nuisanceMs = ctx.settings.nuisanceMaxS * 1000
  for (const p of e.parts.values()) {
    if (p.verdict !== 'premises') continue
    for (const [i, m] of customers(s, p)) {
      const proof = m.gaspMs > 0 || m.flat || (m.silentFromMs > 0 && m.backBy === 'event')
      if (!proof || m.gaspMs + m.silentFromMs === 0 || meterWork(s, i, m, ctx)) continue
      const step = s.meters.stepMs[i] as number
      const startMs = m.gaspMs || m.silentFromMs + step / 2
      const endMs = m.backMs === 0 ? 0 : m.backBy === 'event' ? m.backMs : Math.max(startMs, m.backMs - step / 2)
      // A gasp, no read missed but perhaps the very next, and no restoration message: it was back before anybody could tell.
      if (m.gaspMs > 0 && m.backBy === 'read' && m.backMs - step - startMs <= nuisanceMs) continue
      // Its gateway was away meanwhile: missed reads prove nothing, so it may have been a dip.
      if (m.gaspMs > 0 && m.backBy === 'read' && !m.flat && m.mute) continue
      if (endMs > 0 && endMs - startMs <= nuisanceMs) continue
      const reason = endMs > 0 ? 'restored' : m.gaspMs > 0 ? 'last-gasps' : m.flat ? 'flat-registers' : 'restoration-messages'
      out.push({
        scope: { type: 'premise', id: s.meters.ids[i] as string },
        startMs,
        endMs,
        customers: 1,
        customerMinutes: endMs > 0 ? (endMs - startMs) / 60_000 : 0,
        members: [[i, m]],
        parent: undefined,
        left: false,
        reason,
      })
    }
  }
  return out
}

/** Its exchange explains the gasp and the silence. */
function meterWork(s: OutageState, i: number, m: MemberState, ctx: Ctx): boolean {
  const id = s.meters.ids[i]
  const at = m.gaspMs || m.silentFromMs
  return ctx.operations.some(
    (o) => o.kind === 'meter_exchange' && o.scope === id && at >= o.startMs - METER_WORK_MS && at <= o.endMs + METER_WORK_MS,
  )
}

function mainReason(parts: readonly Part[]): OutageReason {
  let flat = 0
  let restored = 0
  for (const p of parts) {
    for (const m of p.members.values()) {
      if (m.gaspMs > 0) return 'last-gasps'
      if (m.flat) flat += 1
      if (m.backBy === 'event') restored += 1
    }
  }
  return restored > 0 ? 'restoration-messages' : flat > 0 ? 'flat-registers' : 'missing-reads'
}

function onsetOf(e: Interruption, w: Want): number {
  return e.said.get(keyOf(w.scope))?.onsetMs ?? Math.round(w.startMs / 1000) * 1000
}

function idOf(e: Interruption, w: Want): string {
  return findingId({ kind: 'outage', scope: w.scope, onsetMs: onsetOf(e, w) })
}

const SEVERITY: Record<string, Severity> = { feeder: 'critical', transformer: 'major', premise: 'minor' }

function say(s: OutageState, e: Interruption, w: Want, tallies: ReadonlyMap<number, Tally>, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const onsetMs = onsetOf(e, w)
  const momentary = w.endMs > 0 && w.endMs - w.startMs <= cfg.momentaryMaxS * 1000
  const near = (ms: number) => Math.round(ms / SENSE_MS)
  const sense = `${near(w.startMs)} ${near(w.endMs)} ${w.members.length} ${w.reason} ${momentary} ${w.parent ?? ''}`
  const before = e.said.get(keyOf(w.scope))
  if (before !== undefined && !before.withdrawn && before.sense === sense && ctx.nowMs < before.atMs + QUIET_MS) return
  e.said.set(keyOf(w.scope), { scopeType: w.scope.type, scopeId: w.scope.id, onsetMs, withdrawn: false, sense, atMs: ctx.nowMs })
  const evidence = evidenceOf(s, e, w)
  const planned = plannedFor(s, w, ctx)
  if (planned !== undefined)
    evidence.unshift({ what: 'planned-operation', note: planned.note, from: toIso(planned.startMs), to: toIso(planned.endMs) })
  const affected = w.members.map(([i]) => i).sort((a, b) => a - b)
  const size: Record<string, number> = {
    meters: affected.length,
    customers: w.customers,
    customerMinutes: Math.round(w.customerMinutes),
  }
  if (w.scope.type === 'feeder')
    size.transformers = [...e.parts.values()].filter((p) => p.verdict === 'dark' && (w.endMs > 0 || p.endMs === 0)).length
  if (w.endMs > 0) size.minutes = Math.round((w.endMs - w.startMs) / 6000) / 10
  if (w.endMs === 0) {
    const estimate = estimateFor(s.durations, w.scope.type, planned?.endMs, w.startMs, ctx)
    size.usualMinutes = estimate.minutes
    size.etrMs = estimate.atMs
    e.restoreMs = estimate.atMs
    evidence.push({ what: 'restoration-estimate', restoreAt: toIso(estimate.atMs), rests: estimate.rests, outages: estimate.outages })
  }
  const draft: FindingDraft = {
    kind: 'outage',
    scope: w.scope,
    onsetMs,
    startedAtMs: Math.round(w.startMs / 1000) * 1000,
    clearedAtMs: w.endMs > 0 ? Math.round(w.endMs / 1000) * 1000 : null,
    severity: planned !== undefined || momentary ? 'warning' : (SEVERITY[w.scope.type] ?? 'minor'),
    confidence: confidenceOf(s, e, w, tallies),
    size,
    cause: 'power',
    momentary,
    affected: affected.map((i) => s.meters.ids[i] as string),
    reason: momentary ? 'momentary' : w.reason,
    evidence,
    ...(w.parent === undefined ? {} : { parent: w.parent }),
  }
  ctx.emit(draft)
  if (w.scope.type === 'feeder') tellFeeder(idOf(e, w), w, s, ctx)
}

const feederScope = (ctx: Ctx): Scope => ({ type: 'feeder', id: ctx.zone.def.zone })

/** The second stage sees whether the other feeders of the substation are dark too; without `w` it was none. */
function tellFeeder(finding: string, w: Want | undefined, s: OutageState, ctx: Ctx): void {
  const substation = substationOf(ctx)
  if (substation === '') return
  ctx.summarise('feeder_outage', {
    substation,
    finding,
    withdrawn: w === undefined,
    startMs: w === undefined ? 0 : Math.round(w.startMs / 1000) * 1000,
    endMs: w === undefined ? 0 : Math.round(w.endMs / 1000) * 1000,
    meters: w === undefined ? [] : w.members.map(([i]) => s.meters.ids[i] as string),
  })
}

function plannedFor(s: OutageState, w: Want, ctx: Ctx) {
  const meters = new Set(w.members.map(([i]) => s.meters.ids[i]))
  const transformers = new Set(w.members.map(([i]) => s.transformers[s.meters.transformer[i] as number]?.id))
  return ctx.operations.find(
    (o) =>
      o.kind === 'planned_outage' &&
      w.startMs >= o.startMs - PLANNED_SLACK_MS &&
      w.startMs <= o.endMs + PLANNED_SLACK_MS &&
      (o.scopeType === 'network' ||
        o.scope === ctx.zone.def.zone ||
        (o.scopeType === 'transformer' && transformers.size === 1 && transformers.has(o.scope)) ||
        (meters.size === 1 && meters.has(o.scope))),
  )
}

/** A plain scale: what was said by the meters counts most, silence with working gateways less, one lonely gasp least. */
function confidenceOf(s: OutageState, e: Interruption, w: Want, tallies: ReadonlyMap<number, Tally>): number {
  if (w.scope.type === 'premise') {
    const m = w.members[0]?.[1]
    if (m === undefined) return 0.5
    return m.backBy === 'event' ? 0.95 : m.gaspMs > 0 ? (m.silentFromMs > 0 ? 0.9 : 0.7) : 0.7
  }
  let best = 0.5
  for (const p of e.parts.values()) {
    if (p.verdict !== 'dark' || (w.scope.type === 'transformer' && s.transformers[p.transformer]?.id !== w.scope.id)) continue
    const c = tallies.get(p.transformer)
    if (c === undefined) continue
    const share = c.dark / Math.max(1, c.dark + c.on)
    best = Math.max(best, c.proven >= 2 ? Math.min(0.99, 0.8 + 0.2 * share) : 0.6 + 0.2 * share)
  }
  return Math.round(best * 100) / 100
}

function named(s: OutageState, meters: number[]): string[] {
  return meters
    .sort((a, b) => a - b)
    .slice(0, NAMED_MAX)
    .map((i) => s.meters.ids[i] as string)
}

function evidenceOf(s: OutageState, e: Interruption, w: Want): Evidence[] {
  const gasps: number[] = []
  const silent: number[] = []
  const back: number[] = []
  const flat: number[] = []
  for (const [i, m] of w.members) {
    if (m.gaspMs > 0) gasps.push(i)
    else if (m.silentFromMs > 0) silent.push(i)
    if (m.backBy === 'event') back.push(i)
    if (m.flat) flat.push(i)
  }
  const out: Evidence[] = []
  if (gasps.length > 0) out.push({ what: 'last-gasps', count: gasps.length, of: w.members.length, meters: named(s, gasps) })
  if (silent.length > 0) out.push({ what: 'missing-reads', count: silent.length, of: w.members.length, meters: named(s, silent) })
  if (flat.length > 0) out.push({ what: 'flat-registers', count: flat.length, meters: named(s, flat) })
  if (back.length > 0) out.push({ what: 'restoration-messages', count: back.length, meters: named(s, back) })
  if (w.scope.type === 'premise') return out
  for (const p of e.parts.values()) {
    const t = s.transformers[p.transformer]
    if (t === undefined || p.verdict !== 'dark' || (w.scope.type === 'transformer' && t.id !== w.scope.id)) continue
    const on = [...p.members].filter(([, m]) => !isDark(m) && m.onMs > 0 && (p.endMs === 0 || m.onMs < p.endMs)).map(([i]) => i)
    if (on.length > 0) out.push({ what: 'read-meanwhile', transformer: t.id, count: on.length, meters: named(s, on) })
    const check = [...p.members].some(([i, m]) => s.meters.role[i] === CHECK && isDark(m))
    if (check) out.push({ what: 'check-meter-silent', transformer: t.id })
    if (w.scope.type === 'feeder' && out.length < NAMED_MAX) {
      out.push({
        what: 'transformer',
        transformer: t.id,
        start: toIso(Math.round(p.startMs)),
        end: p.endMs > 0 ? toIso(Math.round(p.endMs)) : null,
      })
    }
  }
  return out
}
