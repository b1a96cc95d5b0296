import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Finding } from '#model/finding.ts'
import type { NetworkDetector } from './fold.ts'
import { createNetworkFold, type NetworkState, type StageFollower, type StageRecord } from './network-fold.ts'
import { START_MS } from './zone-fold.fixture.ts'

/** Counts; speaks at every third summary and every tenth minute. */
const counter: NetworkDetector<{ n: number; zones: string[] }, Record<string, never>> = {
  name: 'counter',
  kinds: ['leak'],
  topics: ['fact'],
  settings: z.object({}) as never,
  create: () => ({ n: 0, zones: [] }),
  onSummary(s, summary, ctx) {
    s.n += 1
    s.zones.push(summary.zone)
    if (s.n % 3 !== 0) return
    ctx.emit(summary.zone, {
      kind: 'leak',
      scope: { type: 'dma', id: summary.zone },
      onsetMs: summary.atMs,
      severity: 'minor',
      confidence: 0.5,
      reason: 'third',
      evidence: [{ what: 'order', zones: [...s.zones] }],
    })
  },
  onTick(s, nowMs, ctx) {
    if (nowMs % 600_000 !== 0) return
    ctx.emit('all', {
      kind: 'leak',
      scope: { type: 'network', id: 'all' },
      onsetMs: START_MS,
      severity: 'minor',
      confidence: 0.5,
      reason: `n${s.n}`,
      evidence: [],
    })
  },
}

const follower: StageFollower<{ seen: string[] }> = {
  create: () => ({ seen: [] }),
  onFinding: (s, f, nowMs) => void s.seen.push(`${f.id} ${f.rev} ${nowMs}`),
  onTick: (s, nowMs) => void (nowMs % 3_600_000 === 0 && s.seen.push(`hour ${nowMs}`)),
}

function start(restored?: NetworkState, findings: Finding[] = []) {
  const fold = createNetworkFold({
    detectors: [counter],
    partitions: 2,
    follower,
    onFinding: (f) => void findings.push(f),
    onFault: (part, error) => {
      throw new Error(`${part}: ${error}`)
    },
    ...(restored === undefined ? {} : { restored }),
  })
  return { fold, findings }
}

const finding = (zone: string, atMs: number): Finding => ({
  type: 'finding',
  id: `low_pressure:sensor:${zone}:${atMs}`,
  rev: 1,
  kind: 'low_pressure',
  scope: { type: 'sensor', id: zone },
  zone,
  startedAt: '',
  detectedAt: '',
  updatedAt: '',
  clearedAt: null,
  severity: 'minor',
  confidence: 1,
  reason: '',
  evidence: [],
  detector: '',
})

/** What two partitions with two zones each say, in their own order. */
const partitions = fc
  .array(
    fc.record({
      partition: fc.integer({ min: 0, max: 1 }),
      zone: fc.integer({ min: 0, max: 1 }),
      gapS: fc.integer({ min: 0, max: 900 }),
      notice: fc.boolean(),
    }),
    { maxLength: 40 },
  )
  .map((said) => {
    const lists: StageRecord[][] = [[], []]
    const seqs = new Map<string, number>()
    let atMs = START_MS
    for (const s of said) {
      atMs += s.gapS * 1000
      const zone = `Z${s.partition}${s.zone}`
      const seq = (seqs.get(zone) ?? 0) + 1
      seqs.set(zone, seq)
      lists[s.partition]?.push(
        s.notice
          ? { type: 'notice', zone, seq, atMs, finding: finding(zone, atMs) }
          : { type: 'summary', zone, zoneKind: 'dma', seq, atMs, topic: 'fact', data: {} },
      )
    }
    return { lists, endMs: atMs + 7_200_000 }
  })

/** Interleaves the partitions as `picks` say; watermarks after `every` records of a partition. */
function topic(lists: readonly StageRecord[][], picks: readonly number[], every: number, endMs: number): StageRecord[] {
  const out: StageRecord[] = []
  const at = [0, 0]
  let k = 0
  while (at.some((a, p) => a < (lists[p] as StageRecord[]).length)) {
    const wanted = (picks[k++ % Math.max(1, picks.length)] ?? 0) % 2
    const p = (at[wanted] as number) < (lists[wanted] as StageRecord[]).length ? wanted : 1 - wanted
    const r = lists[p]?.[at[p] as number] as Exclude<StageRecord, { type: 'watermark' }>
    out.push(r)
    at[p] = (at[p] as number) + 1
    if ((at[p] as number) % every === 0) out.push({ type: 'watermark', partition: p, nowMs: r.atMs })
  }
  return [...out, { type: 'watermark', partition: 0, nowMs: endMs }, { type: 'watermark', partition: 1, nowMs: endMs }]
}

describe('the second stage', () => {
  test('decides the same however the partitions interleave and however often watermarks come', () => {
    fc.assert(
      fc.property(partitions, fc.array(fc.nat(1)), fc.integer({ min: 1, max: 9 }), ({ lists, endMs }, picks, every) => {
        const a = start()
        for (const r of topic(lists, [0], 1000, endMs)) a.fold.apply(r)
        const b = start()
        for (const r of topic(lists, picks, every, endMs)) b.fold.apply(r)
        expect(b.findings).toEqual(a.findings)
        expect(b.fold.state.follower).toEqual(a.fold.state.follower)
      }),
    )
  })

  test('goes on from a saved state, repeats included', () => {
    fc.assert(
      fc.property(partitions, fc.nat(), fc.nat(5), ({ lists, endMs }, cutAt, back) => {
        const records = topic(lists, [0, 1], 3, endMs)
        const whole = start()
        for (const r of records) whole.fold.apply(r)
        const cut = cutAt % (records.length + 1)
        const first = start()
        for (const r of records.slice(0, cut)) first.fold.apply(r)
        const second = start(deserialize(serialize(first.fold.state)), first.findings)
        // Records since the checkpoint come again.
        for (const r of records.slice(Math.max(0, cut - back))) second.fold.apply(r)
        expect(first.findings).toEqual(whole.findings)
        expect(second.fold.state.follower).toEqual(whole.fold.state.follower)
      }),
    )
  })

  test('waits for every partition', () => {
    const { fold, findings } = start()
    for (let i = 0; i < 3; i++)
      fold.apply({ type: 'summary', zone: 'A', zoneKind: 'dma', seq: i + 1, atMs: START_MS + i, topic: 'fact', data: {} })
    fold.apply({ type: 'watermark', partition: 0, nowMs: START_MS + 1000 })
    expect(findings).toEqual([])
    fold.apply({ type: 'watermark', partition: 1, nowMs: START_MS + 2 })
    expect(findings).toEqual([])
    fold.apply({ type: 'watermark', partition: 1, nowMs: START_MS + 3 })
    expect(findings.map((f) => f.reason)).toEqual(['third'])
  })
})
