// Findings of abnormal use against labels: found, delay, false. A finding of another kind on a meter that has a fault is a second view
// of the same trouble, not a false one.
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import { type Label, MONTH_MS } from './inject.ts'

export interface Said {
  subtype: string
  meter: string
  detectedMs: number
}

export interface KindScore {
  kind: string
  labels: number
  found: number
  /** Findings of this kind on a meter without any fault at that time. */
  wrong: number
  /** Hours from the begin of the fault to the first finding, of those found. */
  delaysH: number[]
}

export interface Score {
  kinds: KindScore[]
  /** Customer meters times months after warm-up. */
  meterMonths: number
}

export function score(said: readonly Said[], labels: readonly Label[], span: { meters: number; fromMs: number; toMs: number }): Score {
  const kinds = new Map<string, KindScore>()
  const of = (kind: string) => {
    const known = kinds.get(kind) ?? { kind, labels: 0, found: 0, wrong: 0, delaysH: [] }
    kinds.set(kind, known)
    return known
  }
  for (const l of labels) {
    const k = of(l.kind)
    k.labels += 1
    const first = said
      .filter((s) => s.meter === l.meter && s.subtype === l.kind && s.detectedMs >= l.startMs)
      .sort((a, b) => a.detectedMs - b.detectedMs)[0]
    if (first === undefined) continue
    k.found += 1
    k.delaysH.push((first.detectedMs - l.startMs) / HOUR_MS)
  }
  for (const s of said) {
    if (!labels.some((l) => l.meter === s.meter && s.detectedMs >= l.startMs - DAY_MS)) of(s.subtype).wrong += 1
  }
  return {
    kinds: [...kinds.values()].sort((a, b) => (a.kind < b.kind ? -1 : 1)),
    meterMonths: (span.meters * (span.toMs - span.fromMs)) / MONTH_MS,
  }
}

export function addScores(list: readonly Score[]): Score {
  const kinds = new Map<string, KindScore>()
  for (const { kinds: of } of list) {
    for (const k of of) {
      const known = kinds.get(k.kind)
      if (known === undefined) kinds.set(k.kind, { ...k, delaysH: [...k.delaysH] })
      else {
        known.labels += k.labels
        known.found += k.found
        known.wrong += k.wrong
        known.delaysH.push(...k.delaysH)
      }
    }
  }
  return { kinds: [...kinds.values()].sort((a, b) => (a.kind < b.kind ? -1 : 1)), meterMonths: list.reduce((n, s) => n + s.meterMonths, 0) }
}

/** Lines of a Markdown table. */
export function table(s: Score): string[] {
  const median = (v: number[]) => {
    const sorted = [...v].sort((a, b) => a - b)
    return sorted.length === 0 ? '' : `${Math.round(sorted[Math.floor((sorted.length - 1) / 2)] as number)} h`
  }
  const pct = (a: number, b: number) => (b === 0 ? '' : `${Math.round((100 * a) / b)} %`)
  return [
    '| kind | faults | found | false | precision | median delay | false per 100 meters and month |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...s.kinds.map((k) => {
      const found = k.labels === 0 ? '' : `${k.found} (${pct(k.found, k.labels)})`
      const rate = ((100 * k.wrong) / Math.max(1e-9, s.meterMonths)).toFixed(2)
      return `| \`${k.kind}\` | ${k.labels} | ${found} | ${k.wrong} | ${pct(k.found, k.found + k.wrong)} | ${median(k.delaysH)} | ${rate} |`
    }),
  ]
}
