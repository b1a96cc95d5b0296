// docs/formats/ from the code: what stands at the head of each format's file, where its messages arrive, and its samples with what
// comes out of them. `node deploy/format-docs.ts` writes it; a test compares.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createDecoder, type DecodedMessage } from '../ingest/decode.ts'
import { FORMATS } from '../ingest/formats/index.ts'
import { type MessageFile, readMessageFile, sendOrder } from '../ingest/message-files.ts'
import { outcomeLine, refuseTimes } from '../ingest/outcome-line.ts'
import { parseSettings } from '../ingest/settings.ts'

export const FORMATS_DIR = fileURLToPath(new URL('../docs/formats/', import.meta.url))
const SOURCES = fileURLToPath(new URL('../ingest/formats/', import.meta.url))
const SHOWN_MAX = 1_200
const SAMPLES_MAX = 6

/** File name -> text. */
export function formatDocs(): Map<string, string> {
  const files = new Map<string, string>()
  const index = [
    '# Gateway formats',
    '',
    'Made from the code by `node deploy/format-docs.ts`. How to connect a gateway: [gateways.md](../gateways.md).',
    '',
    '| format | usual topics | identity |',
    '| --- | --- | --- |',
  ]
  for (const format of FORMATS) {
    const identity = format.name === 'native' ? 'gateway' : format.broadcast === true ? 'device (broadcast radio)' : 'device'
    index.push(`| [${format.name}](${format.name}.md) | ${format.topics.map((t) => `\`${t}\``).join(', ')} | ${identity} |`)
    files.set(`${format.name}.md`, page(format.name, format.topics))
  }
  files.set('README.md', `${index.join('\n')}\n`)
  return files
}

/** The comment at the head of the file: its first line is the title, `Word:` begins a paragraph. */
function headOf(name: string): string[] {
  const lines = readFileSync(join(SOURCES, `${name}.ts`), 'utf8').split('\n')
  const end = lines.findIndex((l) => !l.startsWith('//'))
  return lines.slice(0, end).map((l) => l.slice(2).trim())
}

function page(name: string, topics: readonly string[]): string {
  const [title = name, ...rest] = headOf(name)
  const text: string[] = []
  for (const line of rest) {
    const m = /^([A-Z][\w ]{2,20}):\s(.*)$/.exec(line)
    if (m !== null) text.push('', `**${m[1]}.** ${m[2]}`)
    else text.push(line)
  }
  const usual = topics.length === 0 ? '' : `Usual topics: ${topics.map((t) => `\`${t}\``).join(', ')}\n`
  return `${[`# ${name}`, '', title, ...text, '', usual, ...samples(name)]
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`
}

function samples(name: string): string[] {
  const dir = join(SOURCES, 'samples', name)
  const names = readdirSync(dir).filter((n) => n.endsWith('.json') && !n.endsWith('.expected.json'))
  const settings = names.includes('settings.json') ? readFileSync(join(dir, 'settings.json'), 'utf8') : ''
  const files = names
    .filter((n) => n !== 'settings.json')
    .flatMap((n) => readMessageFile(n.slice(0, -5), readFileSync(join(dir, n), 'utf8')) ?? [])
  const decode = createDecoder(parseSettings(settings))
  const found = sendOrder(files).map((file): [MessageFile, DecodedMessage] => {
    const message = decode(file)
    refuseTimes(message, file.receivedAtMs)
    return [file, message]
  })
  // Those with readings say most.
  const chosen = found.filter(([, m]) => m.decoded.readings.length > 0).concat(found.filter(([, m]) => m.decoded.readings.length === 0))
  const out = chosen.slice(0, SAMPLES_MAX).flatMap(([file, message]) => sample(file, message))
  const used = settings === '' ? [] : ['', 'Settings of the samples:', '', '```json', settings.trim(), '```']
  return ['## Samples', ...used, ...out]
}

function sample(file: MessageFile, message: DecodedMessage): string[] {
  const { type: _, message: __, format: ___, ...line } = outcomeLine(file.name, message)
  const text = file.payload.toString('utf8')
  const payload = Buffer.from(text).equals(file.payload) ? text : file.payload.toString('hex')
  const cut = (t: string): string => (t.length <= SHOWN_MAX ? t : `${t.slice(0, SHOWN_MAX)} …`)
  return [
    '',
    `### ${file.name}`,
    '',
    `\`${file.topic}\`${file.retained ? ' (retained)' : ''}`,
    '',
    '```',
    cut(payload),
    '```',
    '',
    '```json',
    cut(JSON.stringify(line)),
    '```',
  ]
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  rmSync(FORMATS_DIR, { recursive: true, force: true })
  mkdirSync(FORMATS_DIR, { recursive: true })
  for (const [name, text] of formatDocs()) writeFileSync(join(FORMATS_DIR, name), text)
}
