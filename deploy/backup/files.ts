// Lines of JSON in gzip files: written and read in bounded memory.
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { finished } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'

export interface LineWriter {
  write(value: unknown): Promise<void>
  close(): Promise<void>
}

export function openLines(path: string): LineWriter {
  const zip = createGzip({ level: 4 })
  const file = createWriteStream(path, { mode: 0o600 })
  zip.pipe(file)
  return {
    async write(value) {
      if (!zip.write(`${JSON.stringify(value)}\n`)) await once(zip, 'drain')
    },
    async close() {
      zip.end()
      await finished(file)
    },
  }
}

export async function* readLines<T>(path: string): AsyncGenerator<T> {
  const lines = createInterface({ input: createReadStream(path).pipe(createGunzip()), crlfDelay: Number.POSITIVE_INFINITY })
  for await (const line of lines) if (line !== '') yield JSON.parse(line) as T
}

/** In groups of at most `most`, so that a statement or a request stays small. */
export async function* grouped<T>(
  items: AsyncIterable<T>,
  most: number,
  weigh: (item: T) => number,
  weightMost: number,
): AsyncGenerator<T[]> {
  let group: T[] = []
  let weight = 0
  for await (const item of items) {
    group.push(item)
    weight += weigh(item)
    if (group.length >= most || weight >= weightMost) {
      yield group
      group = []
      weight = 0
    }
  }
  if (group.length > 0) yield group
}
