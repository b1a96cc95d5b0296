// Starts the whole system with the simulated town, waits for the burst to appear on the page, and follows it to its ticket.
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBrowser, PICTURES, type RunningSystem, startWholeSystem } from './system.ts'

let system: RunningSystem
let browser: Browser
let page: Page
const problems: string[] = []

beforeAll(async () => {
  system = await startWholeSystem(['--scenario', 'burst'])
  browser = await openBrowser()
  page = await browser.newPage({ viewport: { width: 1366, height: 768 }, locale: 'en-GB', colorScheme: 'dark' })
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('request', (request) => {
    if (!request.url().startsWith(system.api) && !/^(blob|data):/.test(request.url())) problems.push(`asked outside: ${request.url()}`)
  })
})

afterAll(async () => {
  await browser?.close()
  await system?.stop()
})

describe('a shift sees a burst', () => {
  test('the page opens signed in and follows the live stream', async () => {
    await page.goto(system.url)
    await page.locator('.conn.live').waitFor({ timeout: 30_000 })
    expect(page.url()).not.toContain('token')
    const before = await page.locator('.clock').textContent()
    await expect.poll(() => page.locator('.clock').textContent(), { timeout: 20_000 }).not.toBe(before)
  })

  test('sensors and transformers are on the map with values', async () => {
    await expect
      .poll(
        () =>
          page.evaluate(() => {
            const map = (
              globalThis as unknown as { meterstreamMap: { querySourceFeatures(id: string): { properties: Record<string, unknown> }[] } }
            ).meterstreamMap
            const valued = (source: string) => map.querySourceFeatures(source).filter((f) => f.properties.label !== '').length
            return Math.min(valued('sensors'), valued('transformers'))
          }),
        { timeout: 120_000 },
      )
      .toBeGreaterThan(10)
  })

  test('the burst becomes an open finding, with its evidence', async () => {
    const burst = page.locator('[data-testid=open-findings] [data-kind=burst]').first()
    await burst.waitFor({ timeout: 420_000 })
    await burst.locator('.row-main').click()
    await page.getByTestId('detail').waitFor()
    await burst.locator('summary').click()
    await expect.poll(() => burst.locator('.evidence').last().textContent()).toMatch(/detected.*reason/)
    await page.screenshot({ path: join(PICTURES, 'burst.png') })
  })

  test('its ticket is in the list, once, and at the TMF621 path', async () => {
    await page.locator('#tab-tickets').click()
    const leak = page.locator('[data-testid=open-tickets] [data-class=leak]').first()
    await leak.waitFor({ timeout: 30_000 })
    await page.screenshot({ path: join(PICTURES, 'ticket.png') })
    const response = await fetch(`${system.api}/tmf-api/troubleTicket/v5/troubleTicket?limit=200`, {
      headers: { authorization: `Bearer ${system.token}` },
    })
    expect(response.ok).toBe(true)
    const tickets = (await response.json()) as { id: string }[]
    const id = await leak.getAttribute('data-ticket')
    expect(tickets.filter((t) => t.id === id)).toHaveLength(1)
  })

  test('the ledger shows no difference', async () => {
    await page.locator('#tab-system').click()
    await page.locator('.table-box tbody tr').first().waitFor({ timeout: 30_000 })
    expect(await page.locator('.table-box tbody tr.bad').count()).toBe(0)
    await page.screenshot({ path: join(PICTURES, 'system.png') })
  })

  test('in Chinese every fixed text is Chinese', async () => {
    await page.getByRole('button', { name: '中文' }).click()
    expect(await page.locator('#tab-alarms').textContent()).toContain('告警')
    await page.locator('#tab-alarms').click()
    expect(await page.locator('.legend').textContent()).not.toMatch(/normal|stale/)
  })

  test('nothing failed in the browser and nothing outside was asked', () => {
    expect(problems).toEqual([])
  })
})
