import { afterEach, expect, test } from 'vitest'
import { type Health, type HealthServer, startHealthServer } from './http.ts'
import { counter, createRegistry, gauge } from './metrics.ts'

let server: HealthServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

async function start(ready: () => Health | boolean = () => true): Promise<string> {
  const registry = createRegistry('probe')
  counter(registry, 'meterstream_probe_total', 'Probes', ['result']).inc({ result: 'good' }, 3)
  gauge(registry, 'meterstream_depth', 'Depth', [], function () {
    this.set(7)
  })
  server = await startHealthServer({ host: '127.0.0.1', port: 0, registry, live: () => true, ready })
  return server.url
}

test('ready says no with its reasons', async () => {
  const url = await start(() => ({ ok: false, details: { kafka: 'connecting' } }))
  const answer = await fetch(`${url}/health/ready`)
  expect([answer.status, await answer.json()]).toEqual([503, { ok: false, details: { kafka: 'connecting' } }])
  expect((await fetch(`${url}/health/live?x=1`)).status).toBe(200)
})

test('metrics carry the service, and gauges are taken at the scrape', async () => {
  const text = await (await fetch(`${await start()}/metrics`)).text()
  expect(text).toContain('meterstream_probe_total{result="good",service="probe"} 3')
  expect(text).toContain('meterstream_depth{service="probe"} 7')
  expect(text).toContain('process_cpu_seconds_total')
})

test('anything else is not there, and only GET is answered', async () => {
  const url = await start()
  expect((await fetch(`${url}/etc/passwd`)).status).toBe(404)
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405)
})

test('a taken port is an error of the start', async () => {
  const port = Number(new URL(await start()).port)
  const options = { host: '127.0.0.1', port, registry: createRegistry('second'), live: () => true, ready: () => true }
  await expect(startHealthServer(options)).rejects.toThrow('EADDRINUSE')
})
