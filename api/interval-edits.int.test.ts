// Writing intervals anew over HTTP: what is refused and why, what is asked, what is shown; and the rules of validation with their counts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toIso } from '#model/time.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { seedStores, startTestApi, T0, type TestApi } from './api.fixture.ts'

let space: Isolated
let api: TestApi
beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  api = await startTestApi({ config: space.config })
  await seedStores(api, space.prefix)
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})

const edit = { meter: 'W1', quantity: 'water_volume_m3', values: [{ start: toIso(T0), value: 2.5 }], note: 'read by hand, photo 4711' }
const post = (body: object) => api.send('POST', '/v1/intervals/edit', body)

describe('POST /v1/intervals/edit', () => {
  it.each([
    ['without a note', { ...edit, note: ' ' }, 400, /note/],
    ['of a sensor', { ...edit, quantity: 'pressure_bar' }, 400, /quantity/],
    ['below zero', { ...edit, values: [{ start: toIso(T0), value: -1 }] }, 400, /values/],
    ['with a start twice', { ...edit, values: [...edit.values, ...edit.values] }, 400, /twice/],
    ['of a meter that is not there', { ...edit, meter: 'W-none' }, 404, /W-none/],
    ['of an interval that was never said', { ...edit, values: [{ start: toIso(T0 + 900_000), value: 1 }] }, 422, /begins at/],
  ])('is refused %s', async (_name, body, status, words) => {
    const r = await post(body)
    expect([r.status, await r.text()]).toEqual([status, expect.stringMatching(words)])
  })

  it('is asked once, with who and why, however often it is sent', async () => {
    const [a, b] = [await post(edit), await post(edit)]
    expect([a.status, b.status]).toEqual([202, 202])
    const [first, second] = [await a.json(), await b.json()] as { edit: { id: string }; repeated: boolean }[]
    expect(first).toMatchObject({ repeated: false, edit: { meter: 'W1', note: edit.note, state: 'asked', values: edit.values } })
    expect(second).toMatchObject({ repeated: true, edit: { id: first?.edit.id } })
    const list = (await (await api.get('/v1/intervals/edits?meter=W1')).json()) as { edits: { user: string }[] }
    expect(list.edits).toHaveLength(1)
    expect(list.edits[0]?.user).not.toBe('')
  })
})

it('GET /v1/validation/rules shows each rule with its counts', async () => {
  await api.pool.query(
    `INSERT INTO rule_counts (zone, date, rule, class, fired) VALUES ('A', '2026-03-01', 'spike', 'power_household', 3),
     ('B', '2026-03-01', 'spike', 'power_large', 2), ('A', '2026-02-01', 'spike', 'power_large', 9)`,
  )
  const body = (await (await api.get('/v1/validation/rules?from=2026-02-28&to=2026-03-02')).json()) as { rules: { name: string }[] }
  expect(body.rules.find((r) => r.name === 'spike')).toMatchObject({
    ...{ level: 'interval', fired: 5, byClass: { power_household: 3, power_large: 2 }, byDate: { '2026-03-01': 5 } },
  })
  expect((await api.get('/v1/validation/rules?from=2026-03-02&to=2026-03-01')).status).toBe(400)
})
