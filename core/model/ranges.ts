// Sets of whole numbers as ascending, separate ranges: first and last of each, flat. Ranges that touch are one.

/** Adds a number. True when it is new. Nearly all numbers come in order: the end is looked at first. */
export function addNumber(ranges: number[], n: number): boolean {
  const end = ranges.length
  if (end === 0 || n > (ranges[end - 1] as number) + 1) {
    ranges.push(n, n)
    return true
  }
  if (n === (ranges[end - 1] as number) + 1) {
    ranges[end - 1] = n
    return true
  }
  // The first range that ends at or behind n - 1.
  let low = 0
  let high = end / 2
  while (low < high) {
    const mid = (low + high) >> 1
    if ((ranges[mid * 2 + 1] as number) < n - 1) low = mid + 1
    else high = mid
  }
  const at = low * 2
  const from = ranges[at] as number
  const to = ranges[at + 1] as number
  if (n >= from && n <= to) return false
  if (n === to + 1) {
    ranges[at + 1] = n
    if (ranges[at + 2] === n + 1) ranges.splice(at + 1, 2)
  } else if (n === from - 1) ranges[at] = n
  else ranges.splice(at, 0, n, n)
  return true
}

export function hasNumber(ranges: readonly number[], n: number): boolean {
  for (let i = ranges.length - 2; i >= 0; i -= 2) if (n >= (ranges[i] as number)) return n <= (ranges[i + 1] as number)
  return false
}

export function countOf(ranges: readonly number[]): number {
  let n = 0
  for (let i = 0; i < ranges.length; i += 2) n += (ranges[i + 1] as number) - (ranges[i] as number) + 1
  return n
}

/** All numbers of several sets. */
export function unionOf(sets: readonly (readonly number[])[]): number[] {
  const pairs: [number, number][] = []
  for (const s of sets) for (let i = 0; i < s.length; i += 2) pairs.push([s[i] as number, s[i + 1] as number])
  pairs.sort((a, b) => a[0] - b[0])
  const out: number[] = []
  for (const [from, to] of pairs) {
    const last = out.length - 1
    if (out.length > 0 && from <= (out[last] as number) + 1) out[last] = Math.max(out[last] as number, to)
    else out.push(from, to)
  }
  return out
}
