// `npm run decode`: the integrator's dry run. One message from standard input, or every message file of a folder in order, with the
// formats' state between them; one JSON line a message on standard output, problems on standard error.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parseIso } from '#model/time.ts'
import { createDecoder, type Decode, type RawMessage } from './decode.ts'
import { type MessageFile, readMessageFile, sendOrder } from './message-files.ts'
import { outcomeLine, refuseTimes } from './outcome-line.ts'
import { parseSettings, type Settings } from './settings.ts'

const USAGE = `usage: decode --topic TOPIC [--format NAME|auto] [--received-at ISO] [--settings FILE] < payload
       decode --messages DIR [--settings FILE]`

function outcomeOf(name: string, message: RawMessage, decode: Decode): Record<string, unknown> {
  const found = decode(message)
  refuseTimes(found, message.receivedAtMs)
  return outcomeLine(name, found)
}

/** Decodes message files in the order in which they must be sent. */
export function decodeFiles(files: readonly MessageFile[], decode: Decode): Record<string, unknown>[] {
  return sendOrder(files).map((f) => outcomeOf(f.name, f, decode))
}

function pinned(settings: Settings, format: string, topic: string): Settings {
  if (format === 'auto') return settings
  // The command's format wins over the sources of the settings.
  const sources = parseSettings(JSON.stringify({ sources: [{ topic, format }] })).sources
  return { ...settings, sources: [...sources, ...settings.sources] }
}

function fail(text: string): never {
  process.stderr.write(`decode: ${text}\n`)
  process.exit(1)
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function main(): void {
  const { values } = parseArgs({
    options: {
      messages: { type: 'string' },
      settings: { type: 'string' },
      topic: { type: 'string' },
      format: { type: 'string', default: 'auto' },
      'received-at': { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) {
    process.stdout.write(`${USAGE}\n`)
    return
  }
  const settings = parseSettings(values.settings === undefined ? '' : readFileSync(values.settings, 'utf8'))
  if (values.messages !== undefined) {
    decodeFolder(values.messages, createDecoder(settings))
    return
  }
  if (values.topic === undefined) fail(`--topic is missing\n${USAGE}`)
  const receivedAtMs = values['received-at'] === undefined ? Date.now() : parseIso(values['received-at'])
  if (Number.isNaN(receivedAtMs)) fail('--received-at must be an ISO 8601 time with a zone')
  const decode = createDecoder(pinned(settings, values.format, values.topic))
  print(outcomeOf('stdin', { topic: values.topic, payload: readFileSync(0), receivedAtMs, retained: false }, decode))
}

function decodeFolder(dir: string, decode: Decode): void {
  const names = readdirSync(dir)
    .filter((n) => n.endsWith('.json') && !n.endsWith('.expected.json') && n !== 'settings.json')
    .sort()
  const files: MessageFile[] = []
  for (const name of names) {
    try {
      const file = readMessageFile(name.slice(0, -5), readFileSync(join(dir, name), 'utf8'))
      if (file !== undefined) files.push(file)
    } catch (error) {
      process.stderr.write(`decode: ${join(dir, name)}: ${(error as Error).message}\n`)
      process.exitCode = 1
    }
  }
  for (const line of decodeFiles(files, decode)) print(line)
}

if (import.meta.main) {
  try {
    main()
  } catch (error) {
    fail((error as Error).message)
  }
}
