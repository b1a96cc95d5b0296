// Recognises what the log says twice.

/** Times remembered to recognise a repeated event or gateway status. */
const REPEATS_MAX = 16

/** True when `item` is among the last ones of its key; else it is remembered. */
export function repeated<T>(seen: Map<string, T[]>, key: string, item: T): boolean {
  const list = seen.get(key)
  if (list === undefined) {
    seen.set(key, [item])
    return false
  }
  if (list.includes(item)) return true
  list.push(item)
  if (list.length > REPEATS_MAX) list.shift()
  return false
}
