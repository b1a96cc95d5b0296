import { expect, test } from 'vitest'
import type { Part } from './parts.ts'
import { liveLine, metricValues, partTable } from './screen.ts'

const part = (over: Partial<Part>): Part => ({
  name: 'api',
  what: 'REST',
  address: 'http://127.0.0.1:8080',
  state: 'up',
  detail: '',
  restarts: 0,
  ...over,
})

test('the table has one aligned line a part', () => {
  const text = partTable([part({}), part({ name: 'simulator', what: 'a town', address: '', state: 'not ready', detail: 'kafka: away' })])
  expect(text.split('\n')).toEqual(
    [
      '  part       what it is  address                health',
      '  ---------  ----------  ---------------------  ------------------------',
      '  api        REST        http://127.0.0.1:8080  up',
      '  simulator  a town      -                      not ready (kafka: away)',
    ].map((l, i) => (i === 1 ? expect.stringMatching(/^ {2}-+ +-+ +-+ +-+$/) : l)),
  )
})

test('the live line shows what is known and names parts in trouble', () => {
  const numbers = {
    readingsPerS: 5012.4,
    lagRecords: 3,
    findingsOpen: undefined,
    ticketsOpen: 2,
    logTime: undefined,
    progress: 'history 43 %',
  }
  expect(liveLine(numbers, [part({}), part({ name: 'ingest', state: 'restarting' })])).toBe(
    'readings/s 5,012 · lag 3 · findings - · tickets 2 · history 43 % · ingest restarting',
  )
})

test('a metric is read over its labels, and not mixed with others of a longer name', () => {
  const text = '# TYPE a_total counter\na_total{gateway="G 1"} 3\na_total{gateway="b"} 4.5\na_total_more 100\nb 7\n# TYPE none gauge\n'
  expect(metricValues(text, 'a_total')).toEqual([3, 4.5])
  expect(metricValues(text, 'b')).toEqual([7])
  expect(metricValues(text, 'none')).toEqual([])
  expect(metricValues(text, 'c')).toBeUndefined()
})
