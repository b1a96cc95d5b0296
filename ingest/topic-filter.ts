// MQTT topic filters: `+` is one level, `#` is the rest (MQTT 5, section 4.7).

/** True when the topic falls under the filter. Wildcards in front do not reach topics that begin with `$`. */
export function filterMatches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false
  const f = filter.split('/')
  const t = topic.split('/')
  for (let i = 0; i < f.length; i++) {
    if (f[i] === '#') return true
    if (i >= t.length || (f[i] !== '+' && f[i] !== t[i])) return false
  }
  return f.length === t.length
}

/** One is about `$` topics and the other begins with a wildcard, which does not reach them. */
function apart(a: string, b: string): boolean {
  const wild = (f: string) => f.startsWith('+') || f.startsWith('#')
  return (a.startsWith('$') && wild(b)) || (b.startsWith('$') && wild(a))
}

/** True when every topic under `inner` is also under `outer`: subscribing to both would bring messages twice. */
export function filterCovers(outer: string, inner: string): boolean {
  if (apart(outer, inner)) return false
  const o = outer.split('/')
  const n = inner.split('/')
  for (let i = 0; i < o.length; i++) {
    if (o[i] === '#') return true
    if (i >= n.length || n[i] === '#' || (o[i] !== '+' && o[i] !== n[i])) return false
  }
  return o.length === n.length
}

/** True when some topic is under both. */
export function filtersOverlap(a: string, b: string): boolean {
  if (apart(a, b)) return false
  const x = a.split('/')
  const y = b.split('/')
  for (let i = 0; ; i++) {
    if (x[i] === '#' || y[i] === '#') return true
    if (i >= x.length || i >= y.length) return x.length === y.length
    if (x[i] !== '+' && y[i] !== '+' && x[i] !== y[i]) return false
  }
}

/** Why this is no topic filter, or undefined. */
export function filterProblem(filter: string): string | undefined {
  if (filter === '') return 'a topic filter must not be empty'
  if (filter.startsWith('$share/')) return 'the share is added by ingest: give the filter alone'
  if (filter.includes('\u0000')) return 'a topic filter has no null character'
  const levels = filter.split('/')
  for (const [i, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || i !== levels.length - 1)) return '# must be the whole last level'
    if (level.includes('+') && level !== '+') return '+ must be a whole level'
  }
  return undefined
}
