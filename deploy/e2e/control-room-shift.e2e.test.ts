// The tasks of a shift, each in a real browser against the real api and servers: what happens is said through Kafka as the processors
// say it. Pictures are kept as artefacts.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Finding, FindingKind, Scope } from '#model/finding.ts'
import { HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { aFinding, anIntent } from '../../api/api.fixture.ts'
import { type Room, startRoom } from './room.fixture.ts'
import { openBrowser, PICTURES } from './system.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

let room: Room
let browser: Browser
let page: Page
let startMs: number
const problems: string[] = []

const picture = (name: string) => page.screenshot({ path: join(PICTURES, `${name}.png`) })
const ago = (minutes: number) => toIso(startMs - minutes * MINUTE_MS)

function finding(kind: FindingKind, scope: Scope, more: Partial<Finding> & { minutes: number }): Finding {
  const { minutes, ...given } = more
  return aFinding(kind, scope, { startedAt: ago(minutes + 5), detectedAt: ago(minutes), updatedAt: ago(minutes), ...given })
}
const row = (kind: string) => page.locator(`.side [data-kind=${kind}]`).first()
const side = (tab: string) => page.locator(`#tab-${tab}`).click()

/** Rules of WCAG 2.2 A and AA; the map's own canvas is left out, what it shows is in the lists too. */
async function accessible(): Promise<string[]> {
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const axe = (globalThis as unknown as { axe: { run(context: object, options: object): Promise<{ violations: Violation[] }> } }).axe
    const r = await axe.run(
      { exclude: ['.maplibregl-canvas-container'] },
      { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'] },
    )
    return r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(' | ')}`.slice(0, 600))
  })
}
interface Violation {
  id: string
  nodes: { html: string }[]
}

beforeAll(async () => {
  room = await startRoom()
  startMs = room.nowMs()
  browser = await openBrowser()
  page = await browser.newPage({ viewport: { width: 1366, height: 768 }, locale: 'en-GB', colorScheme: 'dark', reducedMotion: 'reduce' })
  page.setDefaultTimeout(30_000)
  page.on('pageerror', (error) => problems.push(error.message))
  await page.goto(room.url)
  await page.locator('.conn.live').waitFor()
})
afterAll(async () => {
  await browser?.close()
  await room?.stop()
})

describe('a shift', () => {
  const burst = () =>
    finding(
      'burst',
      { type: 'dma', id: 'DMA-3' },
      {
        ...{ zone: 'DMA-3', minutes: 20, severity: 'critical', size: { flowM3h: 24.6 }, reason: 'inflow_step' },
        candidates: [{ id: 'W-640', type: 'pipe', score: 0.6 }],
        evidence: [{ what: 'net_inflow_step', beforeM3h: 98, afterM3h: 123 }],
      },
    )

  test('sees a burst: first in the list, on the map, with what to do and why', async () => {
    await room.findings(burst())
    await room.tickets(
      anIntent('k-burst', {
        ...{ class: 'leak', findings: [burst().id], zone: 'DMA-3', scope: { type: 'dma', id: 'DMA-3' }, title: 'Pipe burst: DMA-3' },
        ...{ severity: 'critical', priority: 1, affected: [], openedAt: ago(19), updatedAt: ago(19) },
      }),
    )
    await row('burst').waitFor()
    expect(await row('burst').getAttribute('data-state')).toBe('unacknowledged')
    await row('burst').locator('summary').click()
    expect(await row('burst').locator('.evidence').last().textContent()).toMatch(/net inflow step/)
    await row('burst').locator('.row-main').click()
    await page.getByTestId('detail').locator('.uplot').waitFor()
    await picture('shift-burst')
  })

  test('finds the valves and customers around the place', async () => {
    await page.locator('input[type=search]').fill('W-640')
    await page.locator('input[type=search]').press('Enter')
    await page.getByTestId('detail').getByText('Network', { exact: true }).click()
    await page.getByText(/customers downstream/).waitFor()
    await page.getByText('Show on the map').click()
    await picture('shift-trace')
    await page.keyboard.press('Escape')
  })

  test('acknowledges by key and shelves a chatterer with a reason and an end', async () => {
    for (const [i, minutes] of [50, 30, 10].entries()) {
      const f = finding('comms_failure', { type: 'gateway', id: 'GW-W-02' }, { zone: 'DMA-2', minutes, id: `chatter-${i}` })
      const over = toIso(startMs - (minutes - 6) * MINUTE_MS)
      await room.findings(f, ...(i < 2 ? [{ ...f, rev: 2, clearedAt: over, updatedAt: over }] : []))
    }
    await room.clock(startMs + 1000)
    const gateway = row('comms_failure')
    await gateway.getByText(/chattering/).waitFor()
    await row('burst').locator('.row-main').focus()
    await page.keyboard.press('a')
    await expect.poll(() => row('burst').getAttribute('data-state')).toBe('acknowledged')
    await gateway.locator('.row-main').focus()
    await page.keyboard.press('s')
    await page.locator('dialog textarea').fill('Carrier works on the mast until noon')
    await picture('shift-shelve')
    await page.locator('dialog button[type=submit]').click()
    await expect.poll(() => page.locator('.side [data-kind=comms_failure]').count()).toBe(0)
    await page.locator('.list-tools select').selectOption('quiet')
    expect(await row('comms_failure').textContent()).toMatch(/Carrier works on the mast/)
    await page.locator('.list-tools select').selectOption('standing')
  })

  test('is led through a flood by incident, with the first one named', async () => {
    const feeder = finding('outage', { type: 'feeder', id: 'FD-1' }, { zone: 'FD-1', minutes: 3, severity: 'critical' })
    const many = room.features
      .filter((f) => f.properties.kind === 'transformer' && 'feeder' in f.properties && f.properties.feeder !== 'FD-1')
      .slice(0, 14)
      .map((f) =>
        finding(
          'overload',
          { type: 'transformer', id: f.properties.id },
          { zone: String((f.properties as { feeder?: string }).feeder), minutes: 2 },
        ),
      )
    await room.findings(feeder, ...many)
    await room.clock(startMs + 2000)
    await page.locator('.rate.flooded').waitFor()
    await page.locator('.group').first().waitFor()
    await picture('shift-flood')
  })

  test('follows an outage from the desk to restored', async () => {
    const affected = room.features
      .filter((f) => f.properties.kind === 'electric_meter' && (f.properties as { transformer?: string }).transformer === 'TX-20')
      .map((f) => f.properties.id)
    const outage = finding('outage', { type: 'transformer', id: 'TX-20' }, { zone: 'FD-3', minutes: 2, affected })
    await room.findings(outage)
    const intent = anIntent('k-out', {
      ...{ findings: [outage.id], zone: 'FD-3', scope: { type: 'transformer', id: 'TX-20' }, title: 'Outage: transformer TX-20' },
      ...{ affected, openedAt: ago(1), updatedAt: ago(1) },
    })
    await room.tickets(intent)
    await page.keyboard.press('Escape')
    await page.keyboard.press('2')
    await page.getByTestId('queue').getByText('Outage: transformer TX-20').click()
    const ticket = page.getByTestId('ticket')
    await ticket.locator('.timeline li').first().waitFor()
    await ticket.press('v')
    await ticket.getByText('reviewed', { exact: true }).first().waitFor()
    await ticket.press('d')
    await ticket.getByText('dispatched', { exact: true }).first().waitFor()
    await picture('shift-desk')
    const end = toIso(startMs + 30 * MINUTE_MS)
    await room.findings({ ...outage, rev: 2, clearedAt: end, updatedAt: end })
    await room.tickets({ ...intent, rev: 2, closedAt: end, updatedAt: end, reason: 'all_clear' })
    await ticket.getByText('resolved', { exact: true }).first().waitFor()
  })

  test('compares districts and feeders, reads its own load', async () => {
    await page.keyboard.press('Escape')
    await page.keyboard.press('3')
    await page.getByTestId('dma-board').locator('tbody tr').first().waitFor()
    expect(await page.getByTestId('feeder-board').locator('tbody tr').count()).toBeGreaterThan(2)
    await picture('shift-boards')
    await page.keyboard.press('4')
    await page.getByTestId('alarm-report').waitFor()
    await picture('shift-report')
  })

  test('replays a changed rule in the shadow before it is saved', async () => {
    await page.keyboard.press('5')
    await page
      .getByTestId('rules')
      .getByLabel(/Delay on s Overload any/)
      .fill('86400')
    await page.getByText(/Replay the last/).click()
    await expect.poll(() => page.getByTestId('replay').textContent()).toMatch(/vanish 1[0-9]/)
    await picture('shift-tuning')
    await page.locator('.save input').fill('Overloads of minutes are no work for the shift')
    await page.locator('.save button').click()
    await page.getByText('Saved.').waitFor()
  })

  test('plays back the last night, and a link leads to the same moment', async () => {
    await page.keyboard.press('1')
    await page.getByText('Playback', { exact: true }).click()
    const bar = page.getByTestId('playback')
    await bar.waitFor()
    const back = toIso(startMs - 20 * HOUR_MS)
    await page.goto(`${new URL(room.url).origin}/#/map?at=${back}&mode=corrected&sel=DMA-1`)
    await expect.poll(() => page.locator('.notes').textContent()).toMatch(/Playback: what you see is/)
    const before = await bar.locator('output').textContent()
    await bar.getByText('Play', { exact: true }).click()
    await expect.poll(() => bar.locator('output').textContent(), { timeout: 20_000 }).not.toBe(before)
    await picture('shift-playback')
    await bar.getByText('Back to live').click()
    await expect.poll(() => page.locator('.notes').textContent()).not.toMatch(/Playback/)
  })

  test('sees a lost connection within three seconds, and that nothing was missed', async () => {
    await page.route('**/v1/live*', (route) => route.abort())
    room.api.app.server.closeAllConnections()
    const lostAt = Date.now()
    await page.locator('.notes.bad').waitFor({ timeout: 8000 })
    // Silence of three seconds, looked at twice a second, on a busy machine.
    expect(Date.now() - lostAt).toBeLessThan(4500)
    const meanwhile = finding('burst', { type: 'dma', id: 'DMA-1' }, { zone: 'DMA-1', minutes: 1 })
    await room.findings(meanwhile)
    await page.unroute('**/v1/live*')
    await page.locator('.conn.live').waitFor()
    await page.locator('.side [data-alarm="burst:dma:DMA-1"]').first().waitFor({ state: 'attached' })
  })

  test('can be used by everybody: no violations of WCAG 2.2 AA, dark and light', async () => {
    const found: string[] = []
    for (const scheme of ['dark', 'light']) {
      for (const [key, view] of [
        ['1', 'map'],
        ['2', 'desk'],
        ['3', 'boards'],
        ['4', 'report'],
        ['5', 'tuning'],
      ] as const) {
        await page.locator('.brand').click()
        await page.keyboard.press(key)
        await page.waitForTimeout(400)
        found.push(...(await accessible()).map((v) => `${view}, ${scheme}: ${v}`))
      }
      if (scheme === 'dark') await page.getByRole('button', { name: 'light', exact: true }).click()
    }
    expect(found).toEqual([])
    await page.keyboard.press('1')
    await side('tickets')
    await picture('shift-light')
  })

  test('nothing failed in the browser', () => {
    expect(problems).toEqual([])
  })
})
