// Follows docs/tutorial.md: every command in it is run, in order, in one shell, as a reader would.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ROOT } from '../local/paths.ts'
import { startWholeSystem } from './system.ts'

test('the tutorial works as it is written', async () => {
  const text = readFileSync(join(ROOT, 'docs/tutorial.md'), 'utf8')
  const commands = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map((m) => m[1] as string)
  expect(commands.length).toBeGreaterThan(4)
  const system = await startWholeSystem([], 240_000, ['--no-simulator'])
  try {
    // The reader's data folder is the usual one, ours is not.
    const script = `set -eu\n${commands.join('\n').replaceAll('.meterstream/', `${system.dataDir}/`)}`
    const env = { ...process.env, METERSTREAM_DATA_DIR: system.dataDir }
    const { stdout } = await promisify(execFile)('bash', ['-c', script], { cwd: ROOT, env, timeout: 120_000 })
    const lines = stdout
      .split('\n')
      .filter((l) => l.startsWith('{'))
      .map((l) => JSON.parse(l) as Record<string, unknown>)
    expect(lines.find((l) => Array.isArray(l.devices))).toMatchObject({ devices: [{ id: 'W-1', gateway: 'GW-1', count: 1 }] })
    expect(lines.find((l) => l.released !== undefined)).toMatchObject({ id: 'W-1', released: 1, waiting: 0, refused: 0 })
    expect(lines.find((l) => l.readings !== undefined)).toMatchObject({
      device: 'W-1',
      readings: [{ value: 1234.5, gateway: 'GW-1', zone: 'DMA-1' }],
    })
    expect(lines.find((l) => l.entries !== undefined)).toMatchObject({ total: { received: 1, accepted: 1, stored: 1, difference: 0 } })
  } finally {
    await system.stop()
  }
})
