// What is to be looked at again at a time, soonest first: a binary heap. An entry that no longer holds is left in it and passed over
// when its time comes, because its incident then has another due time.
export interface Due {
  atMs: number
  key: string
}

export function pushDue(heap: Due[], entry: Due): void {
  heap.push(entry)
  let i = heap.length - 1
  while (i > 0) {
    const up = (i - 1) >> 1
    if (!before(heap[i] as Due, heap[up] as Due)) return
    swap(heap, i, up)
    i = up
  }
}

/** Takes the soonest entry that is due at `nowMs`; undefined when none is. */
export function popDue(heap: Due[], nowMs: number): Due | undefined {
  const first = heap[0]
  if (first === undefined || first.atMs > nowMs) return undefined
  const last = heap.pop() as Due
  if (heap.length > 0) {
    heap[0] = last
    sink(heap)
  }
  return first
}

function sink(heap: Due[]): void {
  for (let i = 0; ; ) {
    const left = 2 * i + 1
    if (left >= heap.length) return
    const right = left + 1
    const least = right < heap.length && before(heap[right] as Due, heap[left] as Due) ? right : left
    if (!before(heap[least] as Due, heap[i] as Due)) return
    swap(heap, i, least)
    i = least
  }
}

function before(a: Due, b: Due): boolean {
  return a.atMs !== b.atMs ? a.atMs < b.atMs : a.key < b.key
}

function swap(heap: Due[], a: number, b: number): void {
  const x = heap[a] as Due
  heap[a] = heap[b] as Due
  heap[b] = x
}
