// TMF621 v5 against the published OpenAPI document, which lies beside the checkout and is not ours to copy.
import { existsSync, readFileSync } from 'node:fs'
import { Ajv, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { toIso } from '#model/time.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { anIntent, startTestApi, T0, type TestApi } from './api.fixture.ts'
import { applyIntents } from './desk/store.ts'

const DOCUMENT = new URL('../../shared/data/standards/tmf621/TMF621-Trouble_Ticket-v5.0.1.oas.yaml', import.meta.url)
const PATH = '/tmf-api/troubleTicket/v5/troubleTicket'

let space: Isolated
let api: TestApi
let valid: ValidateFunction | undefined

beforeAll(async () => {
  if (existsSync(DOCUMENT)) {
    const ajv = new Ajv({ strict: false, allErrors: true, discriminator: false })
    addFormats.default(ajv)
    ajv.addSchema({ $id: 'tmf', ...parse(readFileSync(DOCUMENT, 'utf8')) })
    ajv.addFormat('base64', true)
    valid = ajv.getSchema('tmf#/components/schemas/TroubleTicket')
    // It bites.
    expect(valid?.({ '@type': 'TroubleTicket', status: 'lost' })).toBe(false)
  } else console.warn('the TMF621 document is not there: shapes are not validated against it')
  space = await (await startTestServers()).isolate()
  api = await startTestApi({ config: space.config })
  await api.pool.query(
    `INSERT INTO assets (id, kind, geometry, properties) VALUES ('E1', 'electric_meter', '{"type":"Point","coordinates":[8,47]}', '{"id":"E1","kind":"electric_meter","feeder":"F1"}')`,
  )
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})

// biome-ignore lint/suspicious/noExplicitAny: the shapes are what is tested
const json = async (r: Response) => (await r.json()) as any
const patch = (id: string, body: object, headers = {}) =>
  api.send('PATCH', `${PATH}/${id}`, body, { 'content-type': 'application/merge-patch+json', ...headers })

function conforms(ticket: unknown): void {
  if (valid === undefined) return
  valid(ticket)
  expect(valid.errors ?? []).toEqual([])
}

describe('TMF621', () => {
  it('lists with totals, pages, filters and fields', async () => {
    await applyIntents(
      api.pool,
      [1, 2, 3, 4, 5].map((i) => anIntent(`t-${i}`, { priority: i === 1 ? 1 : 3, class: i === 5 ? 'leak' : 'outage' })),
    )
    const page = await api.get(`${PATH}?offset=1&limit=2&sort=creationDate`)
    const list = await json(page)
    expect([page.status, page.headers.get('x-total-count'), page.headers.get('x-result-count'), list.length]).toEqual([206, '5', '2', 2])
    for (const t of list) conforms(t)
    const all = await api.get(PATH)
    expect([all.status, (await json(all)).length]).toEqual([200, 5])
    const of = async (query: string) => ((await json(await api.get(`${PATH}?${query}`))) as { id: string }[]).length
    expect([
      await of('status=acknowledged'),
      await of('status=closed,resolved'),
      await of('priority=Critical'),
      await of('ticketType=leak'),
      await of('severity=Major'),
      await of(`id=${list[0].id}`),
      await of('id=T-0'),
    ]).toEqual([5, 0, 1, 1, 5, 1, 0])
    expect(Object.keys((await json(await api.get(`${PATH}?fields=status,name&limit=1`)))[0]).sort()).toEqual([
      '@type',
      'href',
      'id',
      'name',
      'status',
    ])
  })

  it('says what it does not offer', async () => {
    expect((await api.get(`${PATH}?filter=x`)).status).toBe(400)
    expect((await api.get(`${PATH}?after=x`)).status).toBe(501)
    expect((await api.get(`${PATH}?colour=red`)).status).toBe(400)
    expect((await api.get(`${PATH}?status=lost`)).status).toBe(400)
    expect((await api.send('DELETE', `${PATH}/T-1001`)).status).toBe(404)
  })

  it('creates once, retrieves what it was given, and places it', async () => {
    const body = {
      '@type': 'TroubleTicket',
      name: 'No light',
      description: 'dark since noon',
      severity: 'Critical',
      ticketType: 'outage',
      channel: { '@type': 'ChannelRef', id: 'phone', name: 'phone' },
      externalIdentifier: [{ '@type': 'ExternalIdentifier', owner: 'crm', externalIdentifierType: 'case', id: 'CRM-7' }],
      note: [{ '@type': 'Note', text: 'called twice' }],
      relatedEntity: [{ '@type': 'RelatedEntity', role: 'meter', entity: { '@type': 'EntityRef', id: 'E1', '@referredType': 'meter' } }],
    }
    const key = { 'idempotency-key': 'crm-case-0007' }
    const created = await api.send('POST', PATH, body, key)
    const ticket = await json(created)
    expect([created.status, created.headers.get('location')]).toEqual([201, ticket.href])
    expect(ticket).toMatchObject({
      name: 'No light',
      severity: 'Critical',
      priority: 'Critical',
      ticketType: 'outage',
      status: 'acknowledged',
      channel: { id: 'phone' },
    })
    expect(ticket.externalIdentifier.map((e: { id: string }) => e.id)).toContain('CRM-7')
    expect(ticket.note).toMatchObject([{ text: 'called twice', author: 'administrator' }])
    conforms(ticket)
    const again = await api.send('POST', PATH, body, key)
    expect([again.status, (await json(again)).id]).toEqual([200, ticket.id])
    expect(await json(await api.get(`/v1/tickets/${ticket.id}`))).toMatchObject({
      ticket: { origin: 'report', zone: 'F1', at: [8, 47], scope: { type: 'electric_meter', id: 'E1' } },
    })
    expect(await json(await api.get(ticket.href))).toEqual(ticket)
  })

  it.each([
    [{ severity: 'Major' }, 400],
    [{ description: 'x' }, 400],
    [{ description: 'x', severity: 'huge' }, 400],
    [{ description: 'x', severity: 'Major', priority: 'now' }, 400],
    [{ description: 'x', severity: 'Major', status: 'closed' }, 400],
    [[], 400],
  ])('refuses to create %j', async (body, status) => {
    const r = await api.send('POST', PATH, body)
    expect([r.status, r.headers.get('content-type')]).toEqual([status, 'application/problem+json'])
  })

  it('patches step by step, and refuses a step that is none', async () => {
    await applyIntents(api.pool, [anIntent('t-patch')])
    const { id } = (await json(await api.get(`${PATH}?limit=1`)))[0]
    expect((await patch(id, { status: 'closed' })).status).toBe(409)
    expect((await patch(id, { status: 'cancelled' })).status).toBe(422)
    expect((await patch(id, { priority: 'Low' })).status).toBe(400)
    expect(await json(await patch(id, { status: 'inProgress', note: [{ '@type': 'Note', text: 'crew 3' }] }))).toMatchObject({
      status: 'inProgress',
      note: [{ text: 'crew 3' }],
    })
    const held = await json(await patch(id, { status: 'resolved' }))
    expect(held).toMatchObject({ status: 'held', statusChangeReason: 'done_but_telemetry_disagrees' })
    conforms(held)
    await applyIntents(api.pool, [
      anIntent('t-patch', { rev: 2, closedAt: toIso(T0 + 6e5), updatedAt: toIso(T0 + 6e5), reason: 'all_clear' }),
    ])
    const closed = await json(
      await patch(id, { status: 'closed', relatedParty: [{ '@type': 'RelatedPartyRefOrPartyRoleRef', role: 'customer' }] }),
    )
    expect(closed).toMatchObject({ status: 'closed', relatedParty: [{ role: 'customer' }] })
    expect(closed.statusChangeHistory.map((h: { status: string }) => h.status)).toEqual([
      'acknowledged',
      'inProgress',
      'held',
      'resolved',
      'closed',
    ])
    conforms(closed)
    expect(await json(await patch(id, { relatedParty: null }))).not.toHaveProperty('relatedParty')
    const twice = { 'idempotency-key': 'reopen-0001' }
    const body = { status: 'acknowledged', statusChangeReason: 'it is dark again' }
    await patch(id, body, twice)
    const once = await json(await patch(id, body, twice))
    expect(once).toMatchObject({ status: 'acknowledged' })
    expect(once.statusChangeHistory).toHaveLength(6)
  })
})
