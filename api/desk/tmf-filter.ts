// TMF621 attributes as columns: what lists of trouble tickets may be narrowed and sorted by. Pure: makes SQL with its values.
import { parseIso } from '#model/time.ts'
import type { Comparison, Filter } from './jsonpath.ts'
import { ticketNo } from './ticket.ts'
import { priorityOf, severityOf, statesOf, TMF_STATUSES, type TmfStatus } from './tmf621.ts'

interface Attribute {
  column: string
  /** Values of the column that a word means; undefined when it is none of its values. */
  values(word: string): (string | number)[] | undefined
  ordered?: true
}

const date = (column: string): Attribute => ({
  column,
  ordered: true,
  values: (w) => {
    const ms = parseIso(w)
    return Number.isNaN(ms) ? undefined : [ms]
  },
})
const known = <T extends string | number>(v: T | undefined) => (v === undefined ? undefined : [v])

export const ATTRIBUTES: Record<string, Attribute> = {
  id: { column: 'no', values: (w) => [ticketNo(w) ?? 0] },
  name: { column: 'title', values: (w) => [w] },
  status: { column: 'state', values: (w) => ((TMF_STATUSES as readonly string[]).includes(w) ? statesOf(w as TmfStatus) : undefined) },
  severity: { column: 'severity', values: (w) => known(severityOf(w)) },
  priority: { column: 'priority', values: (w) => known(priorityOf(w)) },
  ticketType: { column: 'class', values: (w) => [w] },
  creationDate: date('opened_ms'),
  lastUpdate: date('updated_ms'),
  resolutionDate: date('resolved_ms'),
  expectedResolutionDate: date('resolve_due_ms'),
}

export interface Sql {
  clause: string
  values: unknown[]
}

const ORDERED: Partial<Record<Comparison, string>> = { '<': '<', '<=': '<=', '>': '>', '>=': '>=' }

/** @throws Error that names the attribute and the reason. Placeholders count from `from`. */
export function filterSql(f: Filter, from: number): Sql {
  const values: unknown[] = []
  const make = (n: Filter): string => {
    if (n.is !== 'compare') return `(${n.of.map(make).join(n.is === 'and' ? ' AND ' : ' OR ')})`
    const a = ATTRIBUTES[n.name]
    if (a === undefined) throw new Error(`cannot be by ${n.name.slice(0, 60)}; by ${Object.keys(ATTRIBUTES).join(', ')}`)
    const wanted = a.values(n.value)
    if (wanted === undefined) throw new Error(`${n.value.slice(0, 60)} is none of the values of ${n.name}`)
    const order = ORDERED[n.op]
    if (order !== undefined) {
      if (a.ordered !== true) throw new Error(`${n.name} has no order; compare it with == or !=`)
      values.push(wanted[0])
      return `${a.column} ${order} $${from + values.length - 1}`
    }
    values.push(wanted)
    const any = `${a.column} = ANY($${from + values.length - 1})`
    return n.op === '==' ? any : `NOT coalesce(${any}, false)`
  }
  return { clause: make(f), values }
}

/** Attributes to sort by, each with an index behind it. */
export const SORTS: Record<string, string> = {
  creationDate: 'no',
  id: 'no',
  lastUpdate: 'updated_ms',
  priority: 'priority',
  expectedResolutionDate: 'resolve_due_ms',
}

/** `-lastUpdate`, `priority,-creationDate`. @throws Error that names what it cannot sort by. */
export function sortSql(text: string): string {
  const parts = text.split(',').map((p) => {
    const m = /^([+-]?)(\w+)$/.exec(p.trim())
    const column = m === null ? undefined : SORTS[m[2] as string]
    if (m === null || column === undefined)
      throw new Error(`cannot be by ${p.slice(0, 60)}; by ${Object.keys(SORTS).join(', ')}, with - before it for descending`)
    return `${column} ${m[1] === '-' ? 'DESC' : 'ASC'}`
  })
  const last = parts.at(-1) as string
  return last.startsWith('no ') ? parts.join(', ') : [...parts, `no ${last.endsWith('DESC') ? 'DESC' : 'ASC'}`].join(', ')
}
