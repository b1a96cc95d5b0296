// Scores water findings against the labels of a data set, by the rules that the data set's README publishes: a network finding hits a leak
// that runs in its district (an incipient one from a tenth of its size on), a customer's one the meter's leak; more findings of a leak
// already found, and those up to a day (meters: two) after its end, are neither hit nor false; false ones of one scope within 24 hours count once.
import type { Finding } from '#model/finding.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'

export interface LabelledLeak {
  id: string
  kind: string
  dma: string
  pipe?: string
  meter?: string
  lon?: number
  lat?: number
  startsAt: string
  fullyDevelopedAt?: string
  endsAt: string | null
}

export interface WaterLabels {
  warmupUntil: string
  end: string
  leaks: LabelledLeak[]
  customerLeaks: LabelledLeak[]
  meterDma: Record<string, string>
}

export interface Hit {
  leak: LabelledLeak
  finding: Finding
  delayH: number
}

export interface WaterScore {
  hits: Hit[]
  missed: LabelledLeak[]
  /** First findings that hit nothing. */
  falseNetwork: Finding[]
  falseCustomer: Finding[]
  /** Months of 30 days that count, and meters. */
  months: number
  meters: number
}

const RIPE_SHARE = 0.1
const GROWTH_POWER = 1.5
const GRACE_H = { network: 24, customer: 48 }

function ripeMs(l: LabelledLeak): number {
  const start = Date.parse(l.startsAt)
  if (l.kind !== 'incipient' || l.fullyDevelopedAt === undefined) return start
  return start + (Date.parse(l.fullyDevelopedAt) - start) * RIPE_SHARE ** (1 / GROWTH_POWER)
}

/** `findings`: of one run, in any order; only first revisions of `burst`, `leak` and `customer_leak` count. */
export function scoreWater(labels: WaterLabels, findings: readonly Finding[]): WaterScore {
  const warmMs = Date.parse(labels.warmupUntil)
  const endMs = Date.parse(labels.end)
  const found = new Map<string, Hit>()
  const falseOnes: { network: Finding[]; customer: Finding[] } = { network: [], customer: [] }
  const last = new Map<string, number>()
  const first = findings
    .filter((f) => f.rev === 1 && (f.kind === 'burst' || f.kind === 'leak' || f.kind === 'customer_leak'))
    .sort((a, b) => (a.detectedAt < b.detectedAt ? -1 : 1))
  for (const finding of first) {
    const at = Date.parse(finding.detectedAt)
    if (at < warmMs) continue
    const family = finding.kind === 'customer_leak' ? 'customer' : 'network'
    const mine =
      family === 'customer'
        ? labels.customerLeaks.filter((l) => l.meter === finding.scope.id)
        : labels.leaks.filter((l) => l.dma === finding.scope.id)
    const endOf = (l: LabelledLeak) => (l.endsAt === null ? endMs : Date.parse(l.endsAt))
    const live = mine.filter((l) => Date.parse(l.startsAt) <= at && at <= endOf(l))
    const fresh = live.filter((l) => !found.has(l.id) && at >= ripeMs(l)).sort((a, b) => (a.startsAt > b.startsAt ? -1 : 1))[0]
    if (fresh !== undefined) {
      found.set(fresh.id, { leak: fresh, finding, delayH: (at - Date.parse(fresh.startsAt)) / HOUR_MS })
      continue
    }
    if (live.length > 0 || mine.some((l) => endOf(l) < at && at <= endOf(l) + GRACE_H[family] * HOUR_MS)) continue
    const key = `${family} ${finding.scope.id}`
    if (at - (last.get(key) ?? Number.NEGATIVE_INFINITY) < DAY_MS) continue
    last.set(key, at)
    falseOnes[family].push(finding)
  }
  const all = [...labels.leaks, ...labels.customerLeaks]
  return {
    hits: all.flatMap((l) => found.get(l.id) ?? []),
    missed: all.filter((l) => !found.has(l.id)),
    falseNetwork: falseOnes.network,
    falseCustomer: falseOnes.customer,
    months: (endMs - warmMs) / (30 * DAY_MS),
    meters: Object.keys(labels.meterDma).length,
  }
}
