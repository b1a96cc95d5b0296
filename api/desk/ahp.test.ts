import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { weigh } from './ahp.ts'
import { composite, gapsOf, ScorecardModel, weighModel } from './scorecard.ts'

describe('judgements of pairs', () => {
  it('give the weights of a published example', () => {
    // Saaty, "Decision making with the analytic hierarchy process", Int. J. Services Sciences 1 (2008), table 2: relative consumption of drinks.
    const names = ['coffee', 'wine', 'tea', 'beer', 'sodas', 'milk', 'water']
    const judged = weigh(names, [
      [1, 9, 5, 2, 1, 1, '1/2'],
      ['1/9', 1, '1/3', '1/9', '1/9', '1/9', '1/9'],
      ['1/5', 3, 1, '1/3', '1/4', '1/3', '1/9'],
      ['1/2', 9, 3, 1, '1/2', 1, '1/3'],
      [1, 9, 4, 2, 1, 2, '1/2'],
      [1, 9, 3, 1, '1/2', 1, '1/3'],
      [2, 9, 9, 3, 2, 3, 1],
    ])
    expect(judged.ok).toBe(true)
    if (!judged.ok) return
    const published = [0.177, 0.019, 0.042, 0.116, 0.19, 0.129, 0.327]
    names.forEach((name, i) => {
      expect(judged.result.weights[name]).toBeCloseTo(published[i] as number, 2)
    })
    expect(judged.result.consistencyRatio).toBeCloseTo(0.022, 2)
  })

  it.each([
    ['not square', [[1, 2]], /2 rows of 2/],
    [
      'not positive',
      [
        [1, -2],
        ['1/2', 1],
      ],
      /positive/,
    ],
    [
      'not a number',
      [
        [1, 'much'],
        ['1/2', 1],
      ],
      /positive number or a fraction/,
    ],
    [
      'off the scale',
      [
        [1, 12],
        ['1/12', 1],
      ],
      /between 1\/9 and 9/,
    ],
    [
      'itself not 1',
      [
        [2, 2],
        ['1/2', 1],
      ],
      /itself must be 1/,
    ],
    [
      'not reciprocal',
      [
        [1, 3],
        ['1/2', 1],
      ],
      /reciprocal/,
    ],
  ] as [string, (number | string)[][], RegExp][])('are refused when %s', (_, matrix, message) => {
    expect(weigh(['a', 'b'], matrix)).toMatchObject({ ok: false, message: expect.stringMatching(message) })
  })

  it('are refused when they contradict each other, naming the one that fits least', () => {
    // A twice B, B twice C and D, C equal to D, and yet D five times A.
    const matrix = [
      [1, 2, 4, '1/5'],
      ['1/2', 1, 2, 2],
      ['1/4', '1/2', 1, 1],
      [5, '1/2', 1, 1],
    ]
    expect(weigh(['a', 'b', 'c', 'd'], matrix)).toMatchObject({
      ok: false,
      message: expect.stringMatching(/consistency ratio .* above 0.1: d over a is judged 5, the other judgements say about 0.25/),
    })
  })

  it('from true weights give those weights back', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 9 }), (raw) => {
        const names = raw.map((_, i) => `m${i}`)
        const judged = weigh(
          names,
          raw.map((a) => raw.map((b) => a / b)),
        )
        const sum = raw.reduce((s, v) => s + v, 0)
        expect(judged.ok).toBe(true)
        if (!judged.ok) return
        raw.forEach((v, i) => {
          expect(judged.result.weights[`m${i}`]).toBeCloseTo(v / sum, 6)
        })
        expect(judged.result.consistencyRatio).toBeCloseTo(0, 6)
      }),
    )
  })
})

describe('the scorecard', () => {
  const model = ScorecardModel.parse({})
  it('weighs all measures to one', () => {
    const sum = Object.values(weighModel(model).global).reduce((s, v) => s + v, 0)
    expect(sum).toBeCloseTo(1, 9)
  })

  it('scores what was measured, and says how much of the whole that is', () => {
    const w = weighModel(model)
    expect(composite({ resolved_in_time: 1, satisfaction: 0.5 }, w).score).toBeGreaterThan(50)
    const all = Object.fromEntries(Object.keys(w.global).map((k) => [k, 1]))
    expect(composite(all, w)).toEqual({ score: 100, coverage: 1 })
    expect(composite({}, w)).toEqual({ score: null, coverage: 0 })
  })

  it('refuses a criterion without measures, and measures of no criterion', () => {
    const one = {
      names: ['a', 'b'],
      matrix: [
        [1, 1],
        [1, 1],
      ],
    }
    const r = ScorecardModel.safeParse({
      criteria: one,
      measures: { a: { names: ['cost'], matrix: [[1]] }, c: { names: ['cost'], matrix: [[1]] } },
    })
    expect(r.error?.issues.map((i) => `${i.path.join('.')} ${i.message}`)).toEqual([
      'measures.b has no measures',
      'measures.c is no criterion',
    ])
  })

  it('measures five gaps, and leaves open what nobody measured', () => {
    const gaps = gapsOf({
      expected: 4.5,
      perceived: 3.5,
      resolvedInTime: 0.75,
      estimatesKept: null,
      ratings: { managementExpects: 4, standards: null },
    })
    expect(gaps.map((g) => g.size)).toEqual([0.5, null, 1, null, 1])
  })
})
