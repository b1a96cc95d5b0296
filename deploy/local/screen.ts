// What the terminal shows: a table of the parts, then one live line. Pure text; start.ts prints it.
import type { Part } from './parts.ts'

/** Numbers of the live line; undefined while unknown. */
export interface LiveNumbers {
  readingsPerS: number | undefined
  lagRecords: number | undefined
  findingsOpen: number | undefined
  ticketsOpen: number | undefined
  /** Time of the log, ISO; a simulation's is not the wall's. */
  logTime: string | undefined
  /** How far the simulator or replay is. */
  progress: string
}

const pad = (text: string, width: number) => text + ' '.repeat(Math.max(0, width - text.length))

export function partTable(parts: readonly Part[]): string {
  const rows = parts.map((p) => [
    p.name,
    p.what,
    p.address === '' ? '-' : p.address,
    p.detail === '' ? p.state : `${p.state} (${p.detail})`,
  ])
  const head = ['part', 'what it is', 'address', 'health']
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => (r[i] as string).length)))
  const line = (cells: readonly string[]) =>
    `  ${cells.map((c, i) => (i === cells.length - 1 ? c : pad(c, (widths[i] as number) + 2))).join('')}`
  return [line(head), line(widths.map((w) => '-'.repeat(w))), ...rows.map(line)].join('\n')
}

const count = (n: number | undefined) => (n === undefined ? '-' : Math.round(n).toLocaleString('en-US'))

export function liveLine(n: LiveNumbers, parts: readonly Part[]): string {
  const troubled = parts
    .filter((p) => !['up', 'configured', 'done'].includes(p.state))
    .map((p) => `${p.name} ${p.state}${p.detail === '' ? '' : ` (${p.detail})`}`)
  const cells = [
    `readings/s ${count(n.readingsPerS)}`,
    `lag ${count(n.lagRecords)}`,
    `findings ${count(n.findingsOpen)}`,
    `tickets ${count(n.ticketsOpen)}`,
    ...(n.logTime === undefined ? [] : [`log time ${n.logTime}`]),
    ...(n.progress === '' ? [] : [n.progress]),
    ...(troubled.length === 0 ? [] : [troubled.join(', ')]),
  ]
  return cells.join(' · ')
}

/** Values of a metric over all labels in Prometheus text, none when it has no samples yet; undefined when it is not there. */
export function metricValues(text: string, name: string): number[] | undefined {
  let values: number[] | undefined
  for (const line of text.split('\n')) {
    if (line === `# TYPE ${name} counter` || line === `# TYPE ${name} gauge`) values ??= []
    else if (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) {
      const value = Number(line.slice(line.lastIndexOf(' ') + 1))
      if (Number.isNaN(value)) continue
      values ??= []
      values.push(value)
    }
  }
  return values
}
