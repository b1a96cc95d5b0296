// Writes readings and events of messages as the gzip CSV files of a data set, in order of receipt.
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { toIso } from '#model/time.ts'
import type { Message } from '../gateways/entry.ts'

export interface RowWriter {
  write(message: Message): Promise<void>
  close(): Promise<void>
  readonly rows: { readings: number; events: number }
}

const CHUNK = 64 * 1024

class GzipFile {
  readonly #gzip = createGzip({ level: 6 })
  readonly #done: Promise<void>
  #text = ''

  constructor(path: string, header: string) {
    this.#done = finished(this.#gzip.pipe(createWriteStream(path)))
    this.#text = `${header}\n`
  }

  async line(text: string): Promise<void> {
    this.#text += `${text}\n`
    if (this.#text.length >= CHUNK) await this.#flush()
  }

  async #flush(): Promise<void> {
    const text = this.#text
    this.#text = ''
    if (!this.#gzip.write(text)) await once(this.#gzip, 'drain')
  }

  async close(): Promise<void> {
    await this.#flush()
    this.#gzip.end()
    await this.#done
  }
}

/** `readings.csv.gz` and `events.csv.gz` in a folder that exists. */
export function writeRows(dir: string): RowWriter {
  const readings = new GzipFile(`${dir}/readings.csv.gz`, 'received_at,gateway,device,quantity,ts,value')
  const events = new GzipFile(`${dir}/events.csv.gz`, 'received_at,gateway,device,event,ts,detail')
  const rows = { readings: 0, events: 0 }
  return {
    rows,
    async write(m) {
      if (m.kind !== 'readings') return
      const at = toIso(m.atMs)
      for (const r of m.readings) {
        rows.readings++
        await readings.line(`${at},${m.gateway},${r.device},${r.quantity},${toIso(r.tsMs)},${r.value}`)
      }
      for (const e of m.events) {
        rows.events++
        const detail = e.detail === undefined ? '' : `"${JSON.stringify(e.detail).replaceAll('"', '""')}"`
        await events.line(`${at},${m.gateway},${e.device},${e.event},${toIso(e.tsMs)},${detail}`)
      }
    },
    async close() {
      await readings.close()
      await events.close()
    },
  }
}
