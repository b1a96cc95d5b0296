// The scorecard: criteria and measures weighed by judgements of pairs, the composite score of a team and month, and the five gaps of the
// service-quality model. Pure.
import { z } from 'zod'
import { type Weights, weigh } from './ahp.ts'

/** Measures the desk takes itself, each 0 to 1, 1 is best. */
export const MEASURES = {
  responded_in_time: 'first response within its limit',
  resolved_in_time: 'ended within its limit',
  replied_in_time: 'told the customer within its limit',
  first_contact: 'reported cases ended with the first contact',
  not_escalated: 'ended without escalation',
  satisfaction: 'mean score of call-backs, 1 to 5 as 0 to 1',
  estimates_kept: 'supply back by the estimate that customers were told',
  not_reopened: 'not opened again',
  not_repeated: 'complaints that the customer had not made within the month before',
  cost: 'cost per ticket against its target: 1 when at or below it',
} as const
export type Measure = keyof typeof MEASURES
const NAMES = Object.keys(MEASURES) as [Measure, ...Measure[]]

const judgement = z.union([z.number(), z.string().max(20)])
const Matrix = z.array(z.array(judgement).max(10)).max(10)

const T: (number | string)[][] = [
  [1, 3, 2, 1],
  ['1/3', 1, '1/2', '1/3'],
  ['1/2', 2, 1, '1/2'],
  [1, 3, 2, 1],
]
/** Time limits, process, attitude and effect: the four sides of a service standard. */
const DEFAULT_CRITERIA = { names: ['time', 'process', 'attitude', 'effect'], matrix: T }
const DEFAULT_MEASURES = {
  time: {
    names: ['responded_in_time', 'resolved_in_time', 'replied_in_time'],
    matrix: [
      [1, '1/2', 2],
      [2, 1, 3],
      ['1/2', '1/3', 1],
    ],
  },
  process: {
    names: ['first_contact', 'not_escalated'],
    matrix: [
      [1, 1],
      [1, 1],
    ],
  },
  attitude: {
    names: ['satisfaction', 'estimates_kept'],
    matrix: [
      [1, 2],
      ['1/2', 1],
    ],
  },
  effect: {
    names: ['not_reopened', 'not_repeated', 'cost'],
    matrix: [
      [1, 1, 3],
      [1, 1, 3],
      ['1/3', '1/3', 1],
    ],
  },
}

const rating = z.number().min(1).max(5).nullable()

export const ScorecardModel = z
  .object({
    criteria: z.object({ names: z.array(z.string().min(1).max(60)).min(1).max(10), matrix: Matrix }).default(DEFAULT_CRITERIA),
    measures: z
      .record(z.string(), z.object({ names: z.array(z.enum(NAMES)).min(1).max(10), matrix: Matrix }))
      .default(DEFAULT_MEASURES as Record<string, { names: Measure[]; matrix: (number | string)[][] }>),
    costTarget: z.number().positive().default(100).describe('Cost per ticket that counts as good'),
    ratings: z
      .object({
        managementExpects: rating.default(null).describe('What management believes that customers expect, 1 to 5, from its own survey'),
        standards: rating.default(null).describe('How well the written standards meet that, 1 to 5'),
      })
      .prefault({}),
  })
  .superRefine((m, ctx) => {
    const criteria = weigh(m.criteria.names, m.criteria.matrix)
    if (!criteria.ok) ctx.addIssue({ code: 'custom', path: ['criteria'], message: criteria.message })
    for (const name of m.criteria.names) {
      const part = m.measures[name]
      const judged = part === undefined ? undefined : weigh(part.names, part.matrix)
      if (part === undefined) ctx.addIssue({ code: 'custom', path: ['measures', name], message: 'has no measures' })
      else if (judged?.ok === false) ctx.addIssue({ code: 'custom', path: ['measures', name], message: judged.message })
    }
    for (const name of Object.keys(m.measures)) {
      if (!m.criteria.names.includes(name)) ctx.addIssue({ code: 'custom', path: ['measures', name], message: 'is no criterion' })
    }
  })
export type ScorecardModel = z.output<typeof ScorecardModel>

export interface Weighed {
  criteria: Weights
  /** Criterion -> its measures. */
  measures: Record<string, Weights>
  /** Measure -> its weight in the whole, sum 1. */
  global: Partial<Record<Measure, number>>
}

/** Weights of a model that was validated. @throws Error when it was not. */
export function weighModel(m: ScorecardModel): Weighed {
  const of = (names: readonly string[], matrix: readonly (readonly (number | string)[])[]): Weights => {
    const judged = weigh(names, matrix)
    if (!judged.ok) throw new Error(judged.message)
    return judged.result
  }
  const criteria = of(m.criteria.names, m.criteria.matrix)
  const measures: Record<string, Weights> = {}
  const global: Partial<Record<Measure, number>> = {}
  for (const name of m.criteria.names) {
    const part = m.measures[name] as { names: Measure[]; matrix: (number | string)[][] }
    const weights = of(part.names, part.matrix)
    measures[name] = weights
    for (const measure of part.names)
      global[measure] = (global[measure] ?? 0) + (criteria.weights[name] as number) * (weights.weights[measure] as number)
  }
  return { criteria, measures, global }
}

export interface Score {
  /** 0 to 100; null when nothing was measured. */
  score: number | null
  /** Share of the weights that had a measure behind them. */
  coverage: number
}

/** The weighted mean of what was measured: a measure without cases says nothing, and its weight goes to the others. */
export function composite(values: Partial<Record<Measure, number | null>>, w: Weighed): Score {
  let sum = 0
  let weight = 0
  for (const [name, share] of Object.entries(w.global) as [Measure, number][]) {
    const v = values[name]
    if (v === null || v === undefined) continue
    sum += share * v
    weight += share
  }
  return { score: weight === 0 ? null : Math.round((1000 * sum) / weight) / 10, coverage: Math.round(weight * 100) / 100 }
}

export interface Gap {
  gap: 1 | 2 | 3 | 4 | 5
  name: 'knowledge' | 'standards' | 'delivery' | 'communication' | 'customer'
  /** What should be and what is, each 1 to 5; null when it was not measured. */
  should: number | null
  is: number | null
  /** should - is: above 0 something is missing. */
  size: number | null
  measured: string
}

export interface GapInputs {
  /** Means of call-backs, 1 to 5. */
  expected: number | null
  perceived: number | null
  resolvedInTime: number | null
  estimatesKept: number | null
  ratings: ScorecardModel['ratings']
}

/** A share of 0 to 1 on the scale of the questionnaire. */
const onScale = (share: number | null) => (share === null ? null : 1 + 4 * share)

/**
 * The five gaps of Parasuraman, Zeithaml and Berry (A Conceptual Model of Service Quality, 1985), each from a measure of our own: call-backs
 * ask what was expected and how it was; limits kept are what was delivered; estimates kept are whether it was as promised.
 */
export function gapsOf(g: GapInputs): Gap[] {
  const gap = (n: Gap['gap'], name: Gap['name'], should: number | null, is: number | null, measured: string): Gap => ({
    gap: n,
    name,
    should: rounded(should),
    is: rounded(is),
    size: should === null || is === null ? null : rounded(should - is),
    measured,
  })
  const delivered = onScale(g.resolvedInTime)
  return [
    gap(
      1,
      'knowledge',
      g.expected,
      g.ratings.managementExpects,
      'what customers say they expected (call-backs) and what management believes they expect (its rating)',
    ),
    gap(
      2,
      'standards',
      g.ratings.managementExpects,
      g.ratings.standards,
      'what management believes is expected and how well the standards meet it (its ratings)',
    ),
    gap(
      3,
      'delivery',
      g.ratings.standards === null ? 5 : g.ratings.standards,
      delivered,
      'the standards and the share of tickets ended within their limits',
    ),
    gap(
      4,
      'communication',
      g.estimatesKept === null ? null : 5,
      onScale(g.estimatesKept),
      'estimates that customers were told and the share of them that were kept',
    ),
    gap(5, 'customer', g.expected, g.perceived, 'what customers expected and how they found it (call-backs)'),
  ]
}

const rounded = (x: number | null) => (x === null ? null : Math.round(x * 100) / 100)
