// The desk against PostgreSQL and real receivers: reports, notices, listeners, crews, outages, settings, limits.
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { Ajv, type ValidateFunction } from 'ajv'
import addFormats from 'ajv-formats'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { DAY_MS, HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { silentLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { anIntent, startTestApi, T0, type TestApi, until } from './api.fixture.ts'
import { drawSamples } from './desk/callbacks.ts'
import { applyDecisions } from './desk/decision-store.ts'
import { type Channels, createChannels } from './desk/outbox/channels.ts'
import { startDelivery } from './desk/outbox/deliver.ts'
import { expandEvents } from './desk/outbox/expand.ts'
import { type SignatureHeaders, secretOf, verify } from './desk/outbox/signature.ts'
import { confirmReports } from './desk/report-store.ts'
import { applyIntents } from './desk/store.ts'
import { sweep } from './desk/sweep.ts'

const STANDARDS = new URL('../../shared/data/standards/', import.meta.url)
const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes....').toString('base64')}`
const NOW = T0 + 60 * MINUTE_MS

interface Received {
  path: string
  headers: IncomingHttpHeaders
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: what was sent is what is tested
  body: any
}

let space: Isolated
let api: TestApi
let channels: Channels
let receiver: Server
let base: string
let smtp: TcpServer
const mails: string[] = []
const received: Received[] = []
/** Path -> status to answer; 0 for no answer at all. */
const answers = new Map<string, number>()

// biome-ignore lint/suspicious/noExplicitAny: shapes are what is tested
const json = async (r: Response | Promise<Response>) => (await (await r).json()) as any
const expand = async (nowMs = NOW) => {
  const onTicket = (...[client, t]: Parameters<typeof confirmReports> extends [infer C, infer T, number] ? [C, T] : never) =>
    confirmReports(client, t, nowMs)
  while ((await expandEvents(api.pool, { channels, nowMs, onTicket })) > 0);
}

beforeAll(async () => {
  receiver = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (c: Buffer) => chunks.push(c))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const path = request.url ?? ''
      received.push({ path, headers: request.headers, text, body: JSON.parse(text) })
      const status = answers.get(path) ?? 200
      if (status > 0) response.writeHead(status).end('{}')
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  smtp = createTcpServer(takeMail)
  await new Promise<void>((resolve) => smtp.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`
  space = await (await startTestServers()).isolate()
  const config = {
    ...space.config,
    NOTICE_WEBHOOK_URL: `${base}/notices`,
    NOTICE_WEBHOOK_SECRET: SECRET,
    SMS_WEBHOOK_URL: `${base}/sms`,
    SMS_WEBHOOK_SECRET: SECRET,
    HUB_SECRET: SECRET,
    SMTP_URL: `smtp://127.0.0.1:${(smtp.address() as AddressInfo).port}`,
    SMTP_FROM: 'supply@utility.example',
  }
  api = await startTestApi({ config })
  channels = createChannels(config, api.pool)
  const meter = (id: string, more: object, at = [8, 47]) =>
    [id, 'electric_meter', at, { feeder: 'F1', transformer: 'T1', gateway: 'G', role: 'customer', ...more }] as const
  for (const [id, kind, at, properties] of [
    ['S1', 'substation', [8, 47], {}],
    ['F1', 'feeder', null, { substation: 'S1', name: 'North' }],
    ['T1', 'transformer', [8, 47], { feeder: 'F1' }],
    ['T2', 'transformer', [8.1, 47], { feeder: 'F1' }],
    meter('E1', { account: 'A1' }),
    meter('E2', { account: 'A2', customer_type: 'life_support' }),
    meter('E3', { account: 'A3' }),
    meter('E7', {}),
    meter('E8', { account: 'A8' }),
    meter('E4', { account: 'A4', transformer: 'T2' }, [8.1, 47]),
    meter('E5', { account: 'A5', transformer: 'T2' }, [8.1, 47.0005]),
    meter('E6', { account: 'A6', transformer: 'T2' }, [8.1, 47.001]),
    ['W1', 'water_meter', [8.2, 47.2], { dma: 'D1', account: 'A1' }],
    ['C1', 'crew', null, { skills: ['power'] }],
    ['C2', 'crew', null, { skills: ['water'] }],
    ['C3', 'crew', null, { skills: ['power', 'water'] }],
  ] as const) {
    await api.pool.query('INSERT INTO assets (id, kind, geometry, properties) VALUES ($1, $2, $3, $4)', [
      id,
      kind,
      at === null ? null : JSON.stringify({ type: 'Point', coordinates: at }),
      JSON.stringify({ id, kind, ...properties }),
    ])
  }
  for (const [account, segment, language, phone] of [
    ['A1', 'general', 'en', '+41 79 000 00 01'],
    ['A2', 'general', 'zh', '+86 10 0000 0002'],
    ['A3', 'vulnerable', 'en', ''],
    ['A4', 'general', 'en', ''],
    ['A5', 'general', 'en', ''],
    ['A6', 'large', 'en', ''],
  ]) {
    await api.pool.query('INSERT INTO accounts (account, name, segment, phone, language) VALUES ($1, $2, $3, $4, $5)', [
      account,
      `Name of ${account}`,
      segment,
      phone,
      language,
    ])
  }
})
afterAll(async () => {
  channels?.close()
  await api?.stop()
  await space?.drop()
  receiver?.closeAllConnections()
  receiver?.close()
  smtp?.close()
})

const outage = (key: string, given = {}) =>
  anIntent(key, { scope: { type: 'transformer', id: 'T1' }, affected: ['E1', 'E2', 'E3'], startedAt: toIso(T0 - 5 * MINUTE_MS), ...given })
const byKey = async (key: string) => {
  const { rows } = await api.pool.query<{ no: number }>('SELECT no FROM tickets WHERE key = $1', [key])
  return `T-${rows[0]?.no}`
}
const step = (id: string, action: string, body?: object) => api.send('POST', `/v1/tickets/${id}/${action}`, body)

/** As much of SMTP as a client needs to hand over a message. */
function takeMail(socket: import('node:net').Socket): void {
  let data = ''
  let writing = false
  socket.write('220 test\r\n')
  socket.on('data', (chunk) => {
    data += chunk.toString()
    for (let end = data.indexOf('\r\n'); end >= 0; end = data.indexOf('\r\n')) {
      if (writing) {
        const stop = data.indexOf('\r\n.\r\n')
        if (stop < 0) return
        mails.push(data.slice(0, stop))
        data = data.slice(stop + 5)
        writing = false
        socket.write('250 taken\r\n')
        continue
      }
      const line = data.slice(0, end)
      data = data.slice(end + 2)
      writing = line === 'DATA'
      socket.write(writing ? '354 go on\r\n' : line === 'QUIT' ? '221 bye\r\n' : '250 ok\r\n')
      if (line === 'QUIT') socket.end()
    }
  })
}

describe('a ticket', () => {
  it('knows whom it concerns, how urgent that makes it, and by when what is due', async () => {
    await applyIntents(api.pool, [outage('k-impact', { priority: 3 })])
    const { ticket } = await json(api.get(`/v1/tickets/${await byKey('k-impact')}`))
    expect(ticket).toMatchObject({
      priority: 1,
      impact: { customers: 3, vulnerable: 1, lifeSupport: 1, segment: 'life_support' },
      sla: { respondMs: T0 + 10 * MINUTE_MS, resolveMs: T0 + 4 * HOUR_MS },
    })
    expect(ticket.priorityReasons[0]).toBe('life_support')
    expect(ticket.clocks.map((c: { step: string; state: string }) => `${c.step} ${c.state}`)).toEqual([
      'respond breached',
      'dispatch breached',
      'resolve running',
      'reply running',
    ])
    const { customers, total, masked } = await json(api.get(`/v1/tickets/${ticket.id}/customers`))
    expect([total, masked, customers.map((c: { meter: string; care: string }) => c.meter + c.care)]).toEqual([
      3,
      false,
      ['E2life_support', 'E3', 'E1'],
    ])
  })

  it('escalates each step once, and says so in its history', async () => {
    const id = await byKey('k-impact')
    expect(await sweep(api.pool, NOW)).toMatchObject({ escalated: 1 })
    expect(await sweep(api.pool, NOW)).toMatchObject({ escalated: 0 })
    const { ticket, changes } = await json(api.get(`/v1/tickets/${id}`))
    expect(ticket.escalation).toEqual(['respond:80:dispatcher', 'respond:100:supervisor', 'dispatch:100:supervisor'])
    expect(changes.at(-1)).toMatchObject({ action: 'escalate', who: 'desk', reason: 'limit_used' })
  })

  it('refuses settings that are wrong, naming each field, and takes those that are right', async () => {
    const wrong = await json(api.send('PUT', '/v1/desk/settings', { calendar: { timezone: 'Mars/Base' }, callbacks: { samplePct: 200 } }))
    expect(wrong).toMatchObject({ status: 400, errors: [{ field: 'body.calendar.timezone' }, { field: 'body.callbacks.samplePct' }] })
    const set = await json(
      api.send('PUT', '/v1/desk/settings', {
        calendar: { timezone: 'Europe/Zurich' },
        notices: { quietFrom: '22:00', quietTo: '06:00', classes: ['outage', 'leak', 'complaint'] },
      }),
    )
    expect(set).toMatchObject({
      version: 1,
      by: 'administrator',
      settings: { calendar: { timezone: 'Europe/Zurich', monday: [['08:00', '18:00']] } },
    })
  })

  it('takes a complaint with its class, and does not close it before whoever complained was told', async () => {
    const made = await json(
      api.send('POST', '/v1/tickets', {
        class: 'complaint',
        subtype: 'billing',
        title: 'Too much',
        account: 'A1',
        scope: { type: 'meter', id: 'E1' },
      }),
    )
    expect(made).toMatchObject({ subtype: 'billing', origin: 'report', state: 'received', impact: { customers: 1 } })
    expect(await json(step(made.id, 'done'))).toMatchObject({ ticket: { state: 'resolved', firstContact: true } })
    expect(await json(step(made.id, 'close'))).toMatchObject({ status: 409 })
    await step(made.id, 'reply', { note: 'explained the tariff' })
    expect(await json(step(made.id, 'close'))).toMatchObject({ ticket: { state: 'closed' } })
    expect(
      (
        await json(
          api.send('POST', '/v1/tickets', { class: 'complaint', title: 'x', account: 'nobody', scope: { type: 'meter', id: 'E1' } }),
        )
      ).status,
    ).toBe(422)
  })
})

describe('notices', () => {
  it('go once to each customer and stage, in the language, by the channel that reaches them, signed', async () => {
    await applyIntents(api.pool, [outage('k-notice'), outage('k-notice', { rev: 2, affected: ['E1', 'E2', 'E3', 'E4'] })])
    await expand()
    await expand()
    const id = await byKey('k-notice')
    const { notices } = await json(api.get(`/v1/tickets/${id}/notices`))
    expect(notices.map((n: { account: string; channel: string; stage: string }) => `${n.account} ${n.channel} ${n.stage}`).sort()).toEqual([
      'A1 sms opened',
      'A2 sms opened',
      'A3 webhook opened',
      'A4 webhook opened',
    ])
    const delivery = startDelivery({
      pool: api.pool,
      channels,
      nowMs: () => NOW,
      log: silentLog,
      registry: createRegistry('test'),
      pollMs: 20,
    })
    await until('delivered', async () =>
      (await json(api.get(`/v1/tickets/${id}/notices`))).notices.every((n: { state: string }) => n.state === 'sent'),
    )
    await delivery.stop()
    const chinese = received.find((r) => r.path === '/sms' && r.body.to === '+86 10 0000 0002' && r.body.reference === id)
    expect(chinese?.body.text).toMatch(/停电.*工单号T-/)
    const event = received.find((r) => r.path === '/notices' && r.body.subject === id) as Received
    expect(event.headers['content-type']).toBe('application/cloudevents+json')
    const headers = event.headers as unknown as SignatureHeaders
    expect(verify(secretOf(SECRET), headers, event.text, Math.floor(Date.now() / 1000))).toBe(true)
    expect(verify(secretOf(SECRET), headers, `${event.text} `, Math.floor(Date.now() / 1000))).toBe(false)
    conformsToCloudEvents(event.body)
    expect(event.text).not.toMatch(/Name of/)
  })

  it('tell the estimate, the newest only, and the end to those who knew of the beginning', async () => {
    const id = await byKey('k-notice')
    await step(id, 'etr', { etr: toIso(NOW + HOUR_MS) })
    await step(id, 'etr', { etr: toIso(NOW + 2 * HOUR_MS) })
    await expand()
    await applyIntents(api.pool, [
      outage('k-notice', { rev: 3, closedAt: toIso(NOW), updatedAt: toIso(NOW), reason: 'all_clear', affected: ['E1', 'E2', 'E3', 'E4'] }),
    ])
    await expand()
    const { notices } = await json(api.get(`/v1/tickets/${id}/notices`))
    const count = (stage: string, state: string) =>
      notices.filter((n: { stage: string; state: string }) => n.stage === stage && n.state === state).length
    expect([count('opened', 'sent'), count('estimate', 'waiting'), count('estimate', 'cancelled'), count('restored', 'waiting')]).toEqual([
      4, 0, 4, 4,
    ])
    expect(notices.find((n: { stage: string }) => n.stage === 'estimate').text).toContain('14:00')
  })

  it('go by e-mail to whom has an address and no phone', async () => {
    await api.pool.query("INSERT INTO accounts (account, name, email, language) VALUES ('A8', 'Name of A8', 'a8@customer.example', 'en')")
    await applyIntents(api.pool, [outage('k-mail', { affected: ['E8'] })])
    await expand()
    const delivery = startDelivery({
      pool: api.pool,
      channels,
      nowMs: () => NOW,
      log: silentLog,
      registry: createRegistry('test'),
      pollMs: 20,
    })
    await until('a mail', () => mails.length > 0)
    await delivery.stop()
    expect(mails).toHaveLength(1)
    expect(mails[0]).toMatch(/From: supply@utility.example/)
    expect(mails[0]).toMatch(/To: a8@customer.example/)
    expect(mails[0]).toMatch(/Subject: About your supply/)
    expect(mails[0]).toContain('Your electricity has been off')
    await applyIntents(api.pool, [
      outage('k-mail', { rev: 2, affected: ['E8'], closedAt: toIso(NOW), updatedAt: toIso(NOW), reason: 'all_clear' }),
    ])
  })

  it('tell who complained that it is closed', async () => {
    const { tickets } = await json(api.get('/v1/tickets?class=complaint&account=A1'))
    const { notices } = await json(api.get(`/v1/tickets/${tickets[0].id}/notices`))
    expect(notices).toMatchObject([{ stage: 'closed', account: 'A1', channel: 'sms', text: expect.stringContaining('closed') }])
  })

  it('wait for the morning, but not where a life depends on supply', async () => {
    const night = Date.parse('2026-03-02T02:00:00Z')
    await applyIntents(api.pool, [outage('k-night', { openedAt: toIso(night), updatedAt: toIso(night), startedAt: toIso(night) })])
    await expand(night)
    const { notices } = await json(api.get(`/v1/tickets/${await byKey('k-night')}/notices`))
    expect(Object.fromEntries(notices.map((n: { account: string; notBefore: string }) => [n.account, n.notBefore]))).toEqual({
      A1: '2026-03-02T05:00:00Z',
      A2: null,
      A3: '2026-03-02T05:00:00Z',
    })
    // Over before the morning: nobody is told of it at six.
    await applyIntents(api.pool, [
      outage('k-night', {
        rev: 2,
        openedAt: toIso(night),
        closedAt: toIso(night + HOUR_MS),
        updatedAt: toIso(night + HOUR_MS),
        reason: 'all_clear',
      }),
    ])
    await expand(night + HOUR_MS)
    const after = (await json(api.get(`/v1/tickets/${await byKey('k-night')}/notices`))).notices
    expect(after.filter((n: { state: string }) => n.state === 'waiting')).toEqual([])
  })

  it('of a receiver that fails hold up nobody else, are tried again by the schedule, and end among the dead letters', async () => {
    answers.set('/notices', 500)
    await applyIntents(api.pool, [outage('k-down', { affected: ['E1', 'E4'] })])
    await expand()
    const id = await byKey('k-down')
    const delivery = startDelivery({
      pool: api.pool,
      channels,
      nowMs: () => NOW,
      log: silentLog,
      registry: createRegistry('test'),
      pollMs: 20,
    })
    const notice = async (account: string) =>
      (await json(api.get(`/v1/tickets/${id}/notices`))).notices.find((n: { account: string }) => n.account === account)
    await until('sms went out', async () => (await notice('A1')).state === 'sent')
    await until('tried', async () => (await notice('A4')).attempts >= 1 && (await notice('A4')).error !== '')
    expect(await notice('A4')).toMatchObject({ state: 'waiting', error: 'answered 500' })
    // Nine failures later.
    await api.pool.query("UPDATE outbox SET attempts = 9, next_at = now() WHERE ticket_no = $1 AND state = 'waiting'", [
      Number(id.slice(2)),
    ])
    await until('given up', async () => (await notice('A4')).state === 'dead')
    answers.delete('/notices')
    expect((await api.send('POST', `/v1/notices/${(await notice('A4')).id}/retry`)).status).toBe(204)
    await until('sent after all', async () => (await notice('A4')).state === 'sent')
    await delivery.stop()
    const ids = received.filter((r) => r.path === '/notices' && r.body.subject === id).map((r) => r.headers['webhook-id'])
    expect(new Set(ids).size).toBe(1)
    await applyIntents(api.pool, [
      outage('k-down', { rev: 2, affected: ['E1', 'E4'], closedAt: toIso(NOW), updatedAt: toIso(NOW), reason: 'all_clear' }),
    ])
  })
})

describe('customer reports', () => {
  it('join what telemetry knows: by meter, by network, by place; refuse whom nobody knows', async () => {
    await applyIntents(api.pool, [outage('k-report', { affected: ['E1', 'E2'] })])
    const report = (body: object, key?: string) =>
      api.send(
        'POST',
        '/v1/reports',
        { kind: 'outage', description: 'no light', ...body },
        key === undefined ? {} : { 'idempotency-key': key },
      )
    expect(await json(report({ account: 'A1' }, 'call-00001'))).toMatchObject({ state: 'attached', match: 'same_meter', meter: 'E1' })
    expect((await report({ account: 'A1' }, 'call-00001')).status).toBe(200)
    expect(await json(report({ meter: 'E7' }))).toMatchObject({ match: 'same_network' })
    expect(await json(report({ at: [8.001, 47] }))).toMatchObject({ match: 'near' })
    expect(await json(report({ account: 'nobody' }))).toMatchObject({ status: 422, detail: expect.stringContaining('body.account') })
    expect(await json(report({ meter: 'E3', account: 'A1' }))).toMatchObject({
      status: 422,
      detail: expect.stringContaining('does not belong'),
    })
    expect((await report({})).status).toBe(400)
    expect(await json(report({ at: [9, 48] }))).toMatchObject({ state: 'own_ticket', match: 'nothing_known' })
    const { ticket } = await json(report({ account: 'A1' }, 'call-00001'))
    const { reports } = await json(api.get(`/v1/tickets/${ticket}/desk`))
    expect(reports.map((r: { match: string }) => r.match)).toContain('same_meter')
    expect((await json(api.get(`/v1/tickets/${ticket}`))).ticket.reports).toBe(reports.length)
  })

  it('alike near each other raise one suspected incident, which telemetry confirms', async () => {
    const report = (account: string) =>
      json(
        api.send('POST', '/v1/reports', {
          kind: 'outage',
          account,
          description: 'dark',
          observedAt: toIso(NOW + 3 * DAY_MS - 30 * MINUTE_MS),
        }),
      )
    api.live.takeRecord({ type: 'live', zone: '', partition: 0, nowMs: NOW + 3 * DAY_MS, readings: 0, values: [] }, Date.now())
    const answers = await Promise.all(['A4', 'A5', 'A6'].map(report))
    const third = answers.find((a) => a.state === 'suspected')
    expect(third).toMatchObject({ match: 'alike_reports' })
    const suspected = (await json(api.get(`/v1/tickets/${third.ticket}`))).ticket
    expect(suspected).toMatchObject({
      title: 'Suspected outage: T2',
      scope: { type: 'transformer', id: 'T2' },
      reports: 3,
      reason: 'suspected_by_reports',
      origin: 'report',
    })
    expect((await json(api.get('/v1/reports?state=suspected'))).reports).toHaveLength(3)
    const at = toIso(NOW + 3 * DAY_MS)
    await applyIntents(api.pool, [
      outage('k-confirm', {
        scope: { type: 'transformer', id: 'T2' },
        affected: ['E4', 'E5', 'E6'],
        openedAt: at,
        updatedAt: at,
        startedAt: toIso(NOW + 3 * DAY_MS - HOUR_MS),
      }),
    ])
    await expand(NOW + 3 * DAY_MS)
    const real = await byKey('k-confirm')
    expect((await json(api.get(`/v1/tickets/${third.ticket}`))).ticket).toMatchObject({
      state: 'closed',
      reason: 'confirmed_by_telemetry',
      mergedInto: real,
    })
    expect((await json(api.get(`/v1/tickets/${real}/desk`))).reports.map((r: { match: string }) => r.match)).toEqual([
      'same_meter',
      'same_meter',
      'same_meter',
    ])
  })

  it('that telemetry does not confirm in time are marked so, once', async () => {
    const report = (at: [number, number]) => json(api.send('POST', '/v1/reports', { kind: 'leak', at, description: 'water on the road' }))
    await report([8.5, 47.5])
    await report([8.5001, 47.5])
    const third = await report([8.5, 47.5001])
    expect(third).toMatchObject({ state: 'suspected' })
    const later = NOW + 3 * DAY_MS + 5 * HOUR_MS
    expect(await sweep(api.pool, later)).toMatchObject({ doubted: 1 })
    expect(await sweep(api.pool, later)).toMatchObject({ doubted: 0 })
    expect((await json(api.get(`/v1/tickets/${third.ticket}`))).ticket).toMatchObject({ state: 'received' })
  })
})

describe('crews', () => {
  it('are proposed with the reason: skilled, free, near, known', async () => {
    const now = api.live.nowMs()
    const at = (crew: string, lon: number, ageMin: number) =>
      api.live.takeCrew({ crew, lon, lat: 47, tsMs: now - ageMin * MINUTE_MS, accuracyM: null, speedKmh: null, batteryPct: null })
    at('C1', 8.3, 1)
    at('C2', 8, 1)
    at('C3', 8.05, 20)
    const id = await byKey('k-report')
    const first = (await json(api.get(`/v1/tickets/${id}/crews`))).crews
    expect(first.map((c: { crew: string }) => c.crew)).toEqual(['C3', 'C1', 'C2'])
    expect(first[0]).toMatchObject({ stale: true, reasons: ['nearest', 'skilled', 'free', 'position_stale'] })
    expect(first[2]).toMatchObject({ skilled: false, reason: expect.stringContaining('not skilled for power') })
    await step(await byKey('k-impact'), 'dispatch', { assignee: 'C3' })
    expect(
      (await api.send('PUT', '/v1/crews/C1', { status: 'free', shift: { from: toIso(now - HOUR_MS), to: toIso(now + HOUR_MS) } })).status,
    ).toBe(200)
    expect((await json(api.get(`/v1/tickets/${id}/crews`))).crews[0]).toMatchObject({
      crew: 'C1',
      onShift: true,
      reason: expect.stringContaining('nearest free crew'),
    })
    expect((await api.send('PUT', '/v1/crews/nobody', { status: 'off' })).status).toBe(404)
    const { crews } = await json(api.get('/v1/crews'))
    expect(crews.find((c: { crew: string }) => c.crew === 'C3')).toMatchObject({ status: 'busy', tickets: [await byKey('k-impact')] })
  })
})

describe('the outage feed', () => {
  it('tells what is out, why as far as known, how many, since and until when, and where', async () => {
    await step(await byKey('k-confirm'), 'etr', { etr: toIso(api.live.nowMs() + 9 * HOUR_MS) })
    const { outages } = await json(api.get('/v1/outages'))
    const one = outages.find((o: { mRID: string }) => o.mRID === 'k-confirm')
    expect(one).toMatchObject({
      statusKind: 'received',
      outageKind: 'unplanned',
      metersAffected: 3,
      originalMetersAffected: 3,
      customersAffected: 3,
      estimatedRestorationTime: toIso(api.live.nowMs() + 9 * HOUR_MS),
      estimatedRestorationBy: 'person',
      outageArea: { equipmentKind: 'transformer', equipment: 'T2', geometry: { type: 'Point', coordinates: [8.1, 47] } },
    })
    expect(outages.some((o: { mRID: string }) => o.mRID === 'k-notice')).toBe(false)
  })
})

describe('call-backs', () => {
  it('are drawn once a day from what was closed, and recorded', async () => {
    const id = await byKey('k-notice')
    await step(id, 'note', { note: 'for the sample' })
    await api.send('PUT', '/v1/desk/settings', { callbacks: { samplePct: 100, perDayMax: 10 } })
    const tomorrow = NOW + DAY_MS
    expect(await drawSamples(api.pool, tomorrow)).toBeGreaterThan(0)
    expect(await drawSamples(api.pool, tomorrow)).toBe(0)
    const { callbacks } = await json(api.get('/v1/callbacks?state=queued'))
    const { ticket } = callbacks[0]
    expect((await api.send('POST', `/v1/callbacks/${ticket}`, { reached: true })).status).toBe(400)
    expect((await api.send('POST', `/v1/callbacks/${ticket}`, { reached: true, score: 4, expected: 5 })).status).toBe(204)
    expect((await api.send('POST', `/v1/callbacks/${ticket}`, { reached: true, score: 5 })).status).toBe(409)
  })
})

describe('decisions', () => {
  it('say why a finding has no ticket, the newest only', async () => {
    const decision = (atMs: number, decide: string) => ({
      type: 'decision' as const,
      key: 'k-silent',
      zone: 'F1',
      scope: { type: 'transformer', id: 'T1' },
      findings: ['f-silent'],
      why: { group: 'new_incident', inhibit: 'none', silence: 'planned_work', decide },
      mutedBy: '',
      at: toIso(atMs),
    })
    expect(await applyDecisions(api.pool, [decision(T0, 'muted'), decision(T0 + 1000, 'silenced')])).toBe(1)
    expect(await applyDecisions(api.pool, [decision(T0 + 1000, 'silenced'), decision(T0, 'muted')])).toBe(0)
    expect((await json(api.get('/v1/decisions?finding=f-silent'))).decisions).toMatchObject([
      { key: 'k-silent', why: { silence: 'planned_work', decide: 'silenced' } },
    ])
    expect((await json(api.get('/v1/decisions?reason=planned_work'))).decisions).toHaveLength(1)
    expect((await json(api.get('/v1/decisions?reason=momentary'))).decisions).toEqual([])
  })
})

describe('figures', () => {
  it('count what was in time, by class, segment, team and month, and what it cost', async () => {
    const range = `from=${toIso(T0 - DAY_MS)}&to=${toIso(NOW + 4 * DAY_MS)}`
    const { groups, currency } = await json(api.get(`/v1/kpis?${range}&by=class`))
    const outages = groups.find((g: { group: string }) => g.group === 'outage')
    expect([currency, groups.map((g: { group: string }) => g.group)]).toEqual(['EUR', ['complaint/billing', 'leak', 'outage']])
    expect(outages.tickets).toBeGreaterThan(5)
    expect(outages.respondedInTime).toBeLessThan(1)
    expect(outages.energyNotSuppliedKwh).toBeGreaterThan(0)
    expect(groups[0]).toMatchObject({ tickets: 1, firstContact: 1, repliedInTime: 1, repeatComplaints: 0, reopened: 0 })
    for (const by of ['all', 'segment', 'team', 'month', 'priority']) {
      const all = await json(api.get(`/v1/kpis?${range}&by=${by}`))
      expect(all.groups.reduce((n: number, g: { tickets: number }) => n + g.tickets, 0)).toBe(
        groups.reduce((n: number, g: { tickets: number }) => n + g.tickets, 0),
      )
    }
  })

  it('score by judged weights, and refuse judgements that contradict each other', async () => {
    const card = await json(api.get(`/v1/scorecard?from=${toIso(T0 - DAY_MS)}&to=${toIso(NOW + 4 * DAY_MS)}`))
    expect(card.total.score).toBeGreaterThan(0)
    expect(Object.values(card.weights as Record<string, number>).reduce((s, v) => s + v, 0)).toBeCloseTo(1, 6)
    expect(card.teams.map((t: { team: string }) => t.team).sort()).toEqual(['C3', 'desk'])
    expect(card.months.length).toBeGreaterThan(0)
    expect(card.gaps.map((g: { name: string; size: number | null }) => g.name)).toEqual([
      'knowledge',
      'standards',
      'delivery',
      'communication',
      'customer',
    ])
    expect(card.gaps[4]).toMatchObject({ should: 5, is: 4, size: 1 })
    const { model, criteria } = await json(api.get('/v1/scorecard/model'))
    expect(criteria.consistencyRatio).toBeLessThan(0.1)
    const matrix = [
      [1, 9, '1/9', 1],
      ['1/9', 1, 9, 1],
      [9, '1/9', 1, 1],
      [1, 1, 1, 1],
    ]
    expect(await json(api.send('PUT', '/v1/scorecard/model', { ...model, criteria: { ...model.criteria, matrix } }))).toMatchObject({
      status: 422,
      errors: [{ field: 'body.criteria', message: expect.stringContaining('consistency ratio') }],
    })
    expect(await json(api.send('PUT', '/v1/scorecard/model', { ...model, costTarget: 80 }))).toMatchObject({
      version: 1,
      model: { costTarget: 80 },
    })
  })
})

describe('TMF621 listeners', () => {
  it('get each event once, as the published document has it, and only those they asked for', async () => {
    const HUB = '/tmf-api/troubleTicket/v5/hub'
    const all = await api.send('POST', HUB, { '@type': 'Hub', callback: `${base}/listener` })
    const hub = await json(all)
    expect([all.status, all.headers.get('location')]).toEqual([201, hub.href])
    conforms('Hub', hub)
    expect((await json(api.send('POST', HUB, { callback: `${base}/listener` }))).id).toBe(hub.id)
    const ended = await json(
      api.send('POST', HUB, { callback: `${base}/ended`, query: 'eventType=TroubleTicketResolvedEvent&severity=Major' }),
    )
    for (const body of [
      { callback: 'file:///etc/passwd' },
      { callback: 'nowhere' },
      { callback: `${base}/x`, query: 'colour=red' },
      { callback: `${base}/x`, query: 'eventType=Party' },
    ]) {
      expect((await api.send('POST', HUB, body)).status).toBe(400)
    }
    expect(await json(api.get(ended.href))).toEqual(ended)
    await expand()
    received.length = 0
    const at = toIso(NOW)
    await applyIntents(api.pool, [
      outage('k-hub', { affected: [] }),
      outage('k-hub', { rev: 2, affected: [], closedAt: at, updatedAt: at, reason: 'all_clear' }),
    ])
    await expand()
    const delivery = startDelivery({
      pool: api.pool,
      channels,
      nowMs: () => NOW,
      log: silentLog,
      registry: createRegistry('test'),
      pollMs: 20,
    })
    const to = (path: string) => received.filter((r) => r.path === path && r.body.correlationId === 'k-hub')
    await until('events', () => to('/listener').length >= 3 && to('/ended').length >= 1)
    await delivery.stop()
    expect(
      to('/listener')
        .map((r) => r.body.eventType)
        .sort(),
    ).toEqual(['TroubleTicketCreateEvent', 'TroubleTicketResolvedEvent', 'TroubleTicketStatusChangeEvent'])
    expect(to('/ended').map((r) => r.body.eventType)).toEqual(['TroubleTicketResolvedEvent'])
    for (const r of to('/listener')) {
      conforms(r.body.eventType, r.body)
      expect(verify(secretOf(SECRET), r.headers as unknown as SignatureHeaders, r.text, Math.floor(Date.now() / 1000))).toBe(true)
    }
    expect(to('/listener').find((r) => r.body.eventType === 'TroubleTicketCreateEvent')?.body.event.troubleTicket.status).toBe(
      'acknowledged',
    )
    expect((await api.send('DELETE', hub.href)).status).toBe(204)
    expect((await api.get(hub.href)).status).toBe(404)
  })

  it('lists by JSONPath, times and sort, and says what it cannot', async () => {
    const PATH = '/tmf-api/troubleTicket/v5/troubleTicket'
    const ids = async (query: string) => ((await json(api.get(`${PATH}?${query}`))) as { id: string }[]).map((t) => t.id)
    const filter = (text: string) => ids(`limit=1000&filter=${encodeURIComponent(text)}`)
    const closed = await filter("$[?(@.status=='closed')]")
    expect(closed).toEqual(await ids('status=closed&limit=1000'))
    expect(closed.length).toBeGreaterThan(0)
    expect(await filter(`$[?(@.id=='${closed[0]}' && (@.severity=='Major' || @.severity=='Minor'))]`)).toEqual([closed[0]])
    expect((await filter("$[?(@.status!='closed')]")).some((id) => closed.includes(id))).toBe(false)
    expect(await ids(`creationDate.gt=${toIso(NOW + 30 * DAY_MS)}`)).toEqual([])
    expect(await ids('sort=id&limit=2')).toEqual([...(await ids('sort=-id&limit=1000'))].reverse().slice(0, 2))
    for (const bad of [
      "$[?(@.colour=='red')]",
      "$[?(@.status=='lost')]",
      "$[?(@.severity>'Major')]",
      '$.x',
      "$[?(@.id=='T-1'",
      '$[?(1==1)]',
    ]) {
      expect((await api.get(`${PATH}?filter=${encodeURIComponent(bad)}`)).status).toBe(400)
    }
    expect((await api.get(`${PATH}?sort=colour`)).status).toBe(400)
  })
})

const validators = new Map<string, ValidateFunction | undefined>()

/** Against the published OpenAPI document, which lies beside the checkout and is not ours to copy. */
function conforms(name: string, value: unknown): void {
  const file = new URL('tmf621/TMF621-Trouble_Ticket-v5.0.1.oas.yaml', STANDARDS)
  if (!existsSync(file)) {
    console.warn('the TMF621 document is not there: shapes are not validated against it')
    return
  }
  if (!validators.has(name)) {
    const ajv = new Ajv({ strict: false, allErrors: true, discriminator: false })
    addFormats.default(ajv)
    ajv.addFormat('base64', true)
    ajv.addSchema({ $id: 'tmf', ...parse(readFileSync(file, 'utf8')) })
    validators.set(name, ajv.getSchema(`tmf#/components/schemas/${name}`))
  }
  const valid = validators.get(name)
  expect(valid).toBeDefined()
  valid?.(value)
  expect(valid?.errors ?? []).toEqual([])
}

function conformsToCloudEvents(value: unknown): void {
  const file = new URL('cloudevents/cloudevents.json', STANDARDS)
  if (!existsSync(file)) {
    console.warn('the CloudEvents schema is not there: events are not validated against it')
    return
  }
  const ajv = new Ajv({ strict: false, allErrors: true })
  addFormats.default(ajv)
  const valid = ajv.compile(JSON.parse(readFileSync(file, 'utf8')))
  valid(value)
  expect(valid.errors ?? []).toEqual([])
}
