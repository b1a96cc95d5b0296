// The filter of TMF630: a JSONPath over the list, `$[?(@.status=='closed' && @.creationDate>'2026-03-01T00:00:00Z')]`. Read into a tree of
// comparisons; what it can compare is decided by who asks. Pure.

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>='
export type Filter = { is: 'and' | 'or'; of: Filter[] } | { is: 'compare'; name: string; op: Comparison; value: string }

const TOKEN =
  /\s*(?:(&&|\|\||\(|\)|==|!=|<=|>=|<|>)|@\.?([A-Za-z_][\w.]*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(-?\d+(?:\.\d+)?|true|false))/y
/** Deeper or longer ones are no filter that a person wrote. */
const TOKENS_MAX = 200

interface Token {
  kind: 'op' | 'name' | 'value'
  text: string
}

/** @throws Error that says what is not understood. */
export function parseFilter(text: string): Filter {
  const m = /^\s*(?:\$(?:\.\*)?|\$\.\.)?\s*\[\s*\?\s*\(([\s\S]*)\)\s*\]\s*$/.exec(text)
  if (m === null) throw new Error("must be a JSONPath such as $[?(@.status=='closed')]")
  const tokens = read(m[1] as string)
  const at = { i: 0 }
  const tree = either(tokens, at)
  if (at.i < tokens.length) throw new Error(`${tokens[at.i]?.text} is not expected there`)
  return tree
}

function read(text: string): Token[] {
  const out: Token[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const from = TOKEN.lastIndex
    const m = TOKEN.exec(text)
    if (m === null) throw new Error(`cannot read ${text.slice(from, from + 20)}`)
    if (m[1] !== undefined) out.push({ kind: 'op', text: m[1] })
    else if (m[2] !== undefined) out.push({ kind: 'name', text: m[2] })
    else out.push({ kind: 'value', text: (m[3] ?? m[4] ?? (m[5] as string)).replace(/\\(.)/g, '$1') })
    if (out.length > TOKENS_MAX) throw new Error(`holds more than ${TOKENS_MAX} parts`)
  }
  return out
}

type At = { i: number }

function either(tokens: readonly Token[], at: At): Filter {
  const of = [both(tokens, at)]
  while (tokens[at.i]?.text === '||') {
    at.i += 1
    of.push(both(tokens, at))
  }
  return of.length === 1 ? (of[0] as Filter) : { is: 'or', of }
}

function both(tokens: readonly Token[], at: At): Filter {
  const of = [one(tokens, at)]
  while (tokens[at.i]?.text === '&&') {
    at.i += 1
    of.push(one(tokens, at))
  }
  return of.length === 1 ? (of[0] as Filter) : { is: 'and', of }
}

function one(tokens: readonly Token[], at: At): Filter {
  const t = tokens[at.i++]
  if (t?.kind === 'op' && t.text === '(') {
    const inner = either(tokens, at)
    if (tokens[at.i++]?.text !== ')') throw new Error('a bracket is not closed')
    return inner
  }
  const op = tokens[at.i++]
  const value = tokens[at.i++]
  if (t?.kind !== 'name' || op?.kind !== 'op' || !/^[=!<>]/.test(op.text) || value?.kind !== 'value') {
    throw new Error(`compares an attribute with a value, such as @.status=='closed'${t === undefined ? '' : `, not ${t.text}`}`)
  }
  return { is: 'compare', name: t.text, op: op.text as Comparison, value: value.text }
}
