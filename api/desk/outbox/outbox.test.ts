import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TICKET_ACTIONS, TICKET_STATES } from '#model/desk.ts'
import { HOUR_MS } from '#model/time.ts'
import { type Filter, parseFilter } from '../jsonpath.ts'
import { alike, distanceM, matchReport, type Reported } from '../reports.ts'
import { DEFAULTS } from '../settings.ts'
import { filterSql, sortSql } from '../tmf-filter.ts'
import { retryAfterMs, WAITS_MS, waitMs } from './backoff.ts'
import { cloudEvent, messageId } from './channels.ts'
import { languageOf, noticeText } from './notice-text.ts'
import { notBefore } from './quiet.ts'
import { secretOf, sign, verify } from './signature.ts'
import { EVENT_TYPES, eventTypesOf, isWanted, wantedOf } from './tmf-event.ts'

const ms = (iso: string) => Date.parse(iso)

describe('signatures', () => {
  const secret = secretOf('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
  const body = '{"test": 2432232314}'

  it('are those of the published example', () => {
    // Example of the Svix documentation, whose scheme Standard Webhooks took over.
    expect(sign(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, body)['webhook-signature']).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    )
  })

  it('hold for this message, this time and this secret alone', () => {
    const headers = sign(secret, 'msg_1', 1000, body)
    expect(verify(secret, headers, body, 1200)).toBe(true)
    expect(verify(secret, { ...headers, 'webhook-signature': `v1,AAAA ${headers['webhook-signature']}` }, body, 1200)).toBe(true)
    expect(verify(secret, headers, body, 1301)).toBe(false)
    expect(verify(secret, headers, `${body} `, 1200)).toBe(false)
    expect(verify(secret, { ...headers, 'webhook-id': 'msg_2' }, body, 1200)).toBe(false)
    expect(verify(secretOf(`whsec_${Buffer.alloc(24, 1).toString('base64')}`), headers, body, 1200)).toBe(false)
  })

  it.each(['', 'secret', 'whsec_', 'whsec_c2hvcnQ=', `whsec_${Buffer.alloc(65).toString('base64')}`])(
    'need a secret of the right form, not %s',
    (text) => {
      expect(() => secretOf(text)).toThrow(/24 to 64 bytes/)
    },
  )
})

describe('retries', () => {
  it('go on for more than a day, ever more seldom, and end', () => {
    expect(WAITS_MS.reduce((s, w) => s + w, 0)).toBeGreaterThan(72 * HOUR_MS)
    for (let i = 1; i < WAITS_MS.length; i++) expect(WAITS_MS[i]).toBeGreaterThan(WAITS_MS[i - 1] as number)
    expect(waitMs(WAITS_MS.length, 0)).toBe(24 * HOUR_MS)
    expect(waitMs(WAITS_MS.length + 1, 0)).toBeUndefined()
    expect(waitMs(1, 0.99)).toBeGreaterThan(waitMs(1, 0) as number)
    expect(waitMs(1, 0, HOUR_MS)).toBe(HOUR_MS)
    expect(waitMs(1, 0, 1000 * HOUR_MS)).toBe(24 * HOUR_MS)
  })

  it('read Retry-After in both its forms', () => {
    expect([
      retryAfterMs('120', 0),
      retryAfterMs('Thu, 01 Jan 1970 00:01:00 GMT', 0),
      retryAfterMs('soon', 0),
      retryAfterMs(null, 0),
    ]).toEqual([120_000, 60_000, 0, 0])
  })
})

describe('quiet hours', () => {
  const quiet = { quietFrom: '21:30', quietTo: '07:00' }
  it.each([
    ['in the evening', '2026-03-02T20:29Z', 0],
    ['at their beginning', '2026-03-02T20:30Z', '2026-03-03T06:00Z'],
    ['after midnight', '2026-03-03T02:00Z', '2026-03-03T06:00Z'],
    ['at their end', '2026-03-03T06:00Z', 0],
    ['in the night that is an hour shorter', '2026-03-28T23:00Z', '2026-03-29T05:00Z'],
    ['in the night that is an hour longer', '2026-10-24T22:00Z', '2026-10-25T06:00Z'],
  ])('%s', (_, now, end) => {
    expect(notBefore(quiet, 'Europe/Zurich', ms(now))).toBe(end === 0 ? 0 : ms(end as string))
  })

  it('of the day, and none', () => {
    expect(notBefore({ quietFrom: '12:00', quietTo: '13:00' }, 'UTC', ms('2026-03-02T12:30Z'))).toBe(ms('2026-03-02T13:00Z'))
    expect(notBefore({ quietFrom: '00:00', quietTo: '00:00' }, 'UTC', ms('2026-03-02T12:30Z'))).toBe(0)
  })
})

describe('what customers are told', () => {
  const ticket = {
    class: 'outage' as const,
    scope: { type: 'feeder', id: 'F1' },
    startedMs: ms('2026-03-02T10:05Z'),
    etrMs: ms('2026-03-03T11:00Z'),
  }
  const told = { ticket, id: 'T-7', timezone: 'Asia/Shanghai', nowMs: ms('2026-03-02T11:00Z') }
  it('is in their language and local time', () => {
    expect(noticeText('opened', { ...told, language: 'en' }).text).toBe(
      'Your electricity has been off since 18:05. We know of it and are working on it. Expected back at about 2026-03-03 19:00. Reference T-7.',
    )
    expect(noticeText('opened', { ...told, language: 'zh' }).text).toBe(
      '您处自18:05起停电。我们已知悉并正在抢修。预计2026-03-03 19:00左右恢复。工单号T-7。',
    )
    expect(['en', 'EN-gb', 'zh-CN', 'fr', ''].map((l) => languageOf(l, 'en'))).toEqual(['en', 'en', 'zh', 'en', 'en'])
  })

  it('says when nobody knows any more, and speaks of water where it is water', () => {
    expect(noticeText('estimate', { ...told, ticket: { ...ticket, etrMs: null }, language: 'en' }).text).toContain('cannot yet say')
    expect(
      noticeText('opened', { ...told, ticket: { ...ticket, class: 'leak', scope: { type: 'meter', id: 'W1' } }, language: 'en' }).text,
    ).toContain('behind your meter')
  })

  it('travels as a CloudEvent without names or numbers', () => {
    const m = {
      id: 1,
      key: 'notice/T-7/0/opened/A1',
      kind: 'notice' as const,
      lane: 'webhook',
      ticket_no: 7,
      stage: 'opened',
      account: 'A1',
      language: 'en',
      attempts: 1,
      created_ms: 0,
    }
    const event = cloudEvent({
      ...m,
      body: { type: 'org.meterstream.notice.opened', time: '2026-03-02T11:00:00Z', subject: 'About', text: 'off' },
    })
    expect(event).toMatchObject({
      specversion: '1.0',
      id: messageId(m.key),
      subject: 'T-7',
      data: { text: 'off', account: 'A1', language: 'en' },
    })
    expect(messageId(m.key)).toMatch(/^msg_[\w-]{32}$/)
  })
})

describe('events of trouble tickets', () => {
  it('are at least one for every change, and only those there are', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...TICKET_ACTIONS),
        fc.option(fc.constantFrom(...TICKET_STATES)),
        fc.constantFrom(...TICKET_STATES),
        (action, from, to) => {
          const types = eventTypesOf({ action, from, to })
          expect(types.length).toBeGreaterThan(0)
          for (const t of types) expect(EVENT_TYPES).toContain(t)
        },
      ),
    )
  })

  it('are narrowed by type and attributes', () => {
    const w = wantedOf('eventType=TroubleTicketCreateEvent&event.troubleTicket.severity=Critical,Major')
    expect(isWanted(w, 'TroubleTicketCreateEvent', { severity: 'Major' })).toBe(true)
    expect(isWanted(w, 'TroubleTicketCreateEvent', { severity: 'Minor' })).toBe(false)
    expect(isWanted(w, 'TroubleTicketResolvedEvent', { severity: 'Major' })).toBe(false)
    expect(() => wantedOf('colour=red')).toThrow(/colour/)
  })
})

describe('filters', () => {
  it('read and/or and brackets', () => {
    const f = parseFilter(`$[?(@.status=='closed' && (@.priority=="High" || @.id!='T-1'))]`)
    expect(f).toMatchObject({ is: 'and', of: [{ name: 'status' }, { is: 'or', of: [{ value: 'High' }, { op: '!=' }] }] })
    expect(filterSql(f, 3)).toEqual({
      clause: '(state = ANY($3) AND (priority = ANY($4) OR NOT coalesce(no = ANY($5), false)))',
      values: [['closed', 'archived'], [2], [1]],
    })
  })

  it('never put what was given into the statement', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        let f: Filter
        try {
          f = parseFilter(`$[?(@.ticketType=='${text}')]`)
        } catch {
          return
        }
        try {
          expect(filterSql(f, 1).clause).toMatch(/^[\w\s()$=,<>]+$/)
        } catch (error) {
          expect((error as Error).message).toMatch(/cannot be by|none of the values|no order/)
        }
      }),
    )
  })

  it('sort by what has an order', () => {
    expect(sortSql('-lastUpdate')).toBe('updated_ms DESC, no DESC')
    expect(sortSql('priority,-creationDate')).toBe('priority ASC, no DESC')
    expect(() => sortSql('no; DROP TABLE tickets')).toThrow()
  })
})

describe('reports', () => {
  const r: Reported = { kind: 'outage', meter: 'E1', above: ['T1', 'F1', 'S1'], at: [8, 47], observedMs: 1000 * HOUR_MS }
  const c = { class: 'outage' as const, scope: 'x', lists: false, at: null, startedMs: 1000 * HOUR_MS, endedMs: null }
  const match = (...of: object[]) =>
    matchReport(
      r,
      of.map((o, i) => ({ no: i + 1, ...c, ...o })),
      DEFAULTS.reports,
    )

  it.each([
    ['the meter before the network', [{ scope: 'T1' }, { lists: true }], { no: 2, reason: 'same_meter' }],
    ['the nearer part of the network', [{ scope: 'F1' }, { scope: 'T1' }], { no: 2, reason: 'same_network' }],
    ['the nearer place', [{ at: [8.004, 47] }, { at: [8.001, 47] }], { no: 2, reason: 'near' }],
    ['nothing of another class', [{ scope: 'T1', class: 'leak' }], undefined],
    ['nothing too far', [{ at: [8.1, 47] }], undefined],
    ['nothing long over', [{ scope: 'T1', startedMs: 900 * HOUR_MS, endedMs: 990 * HOUR_MS }], undefined],
    ['what ended a moment ago', [{ scope: 'T1', startedMs: 990 * HOUR_MS, endedMs: 999 * HOUR_MS }], { no: 1, reason: 'same_network' }],
  ])('match %s', (_, candidates, found) => {
    expect(match(...candidates)).toEqual(found)
  })

  it('are alike by place or network, kind and time', () => {
    const s = DEFAULTS.reports
    expect(alike(r, { ...r, meter: 'E2', at: null }, s)).toBe(true)
    expect(alike(r, { ...r, above: [], at: [8.001, 47] }, s)).toBe(true)
    expect(alike(r, { ...r, above: [], at: [8.1, 47] }, s)).toBe(false)
    expect(alike(r, { ...r, kind: 'leak' }, s)).toBe(false)
    expect(alike(r, { ...r, observedMs: r.observedMs + 7 * HOUR_MS }, s)).toBe(false)
    expect(alike({ ...r, kind: 'bill' }, { ...r, kind: 'bill' }, s)).toBe(false)
  })

  it('are as far apart as the earth is round', () => {
    // Zurich to Geneva main stations, about 224 km.
    expect(distanceM([8.5402, 47.3782], [6.1425, 46.2103]) / 1000).toBeCloseTo(224, 0)
    expect(distanceM([0, 0], [180, 0])).toBeCloseTo(Math.PI * 6_371_008.8, 0)
  })
})
