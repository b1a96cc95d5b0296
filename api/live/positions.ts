// Where each partition is read from. Kafka assigns partitions before the caller of `consume` holds the consumer, and a consumer may
// crash in just that moment: whatever the order, a partition is read from its own place and no record before that is taken.

/** The next fetch begins there. Throws while the consumer has no group: before it joined, and between a crash and its return. */
export type Seek = (topic: string, partition: number, offset: number) => void

export interface Positions {
  /** Partitions are ours, `seek` undefined while the caller has no consumer yet. */
  assigned(assigned: ReadonlyMap<string, readonly number[]>, seek: Seek | undefined): void
  /** The caller has the consumer now: what was assigned before is put to its place. */
  ready(seek: Seek): void
  /** False for a batch fetched before its partition was put to its place: those records come again. */
  mayTake(topic: string, partition: number): boolean
  taken(topic: string, partition: number, offset: number): void
}

export function createPositions(
  next: ReadonlyMap<string, ReadonlyMap<number, number>>,
  onFailure: (topic: string, error: Error) => void,
): Positions {
  const offsets = new Map<string, number>()
  for (const [topic, partitions] of next) for (const [partition, offset] of partitions) offsets.set(`${topic}|${partition}`, offset)
  const placed = new Set<string>()
  const waiting = new Map<string, { topic: string; partition: number }>()

  const place = (key: string, { topic, partition }: { topic: string; partition: number }, seek: Seek) => {
    try {
      seek(topic, partition, offsets.get(key) ?? 0)
      placed.add(key)
    } catch (error) {
      // The consumer crashed between its assignment and now. It joins again, and is then assigned again.
      onFailure(topic, error as Error)
    }
  }
  return {
    assigned(assigned, seek) {
      placed.clear()
      waiting.clear()
      for (const [topic, partitions] of assigned) {
        for (const partition of partitions) {
          const key = `${topic}|${partition}`
          if (seek === undefined) waiting.set(key, { topic, partition })
          else place(key, { topic, partition }, seek)
        }
      }
    },
    ready(seek) {
      for (const [key, at] of waiting) place(key, at, seek)
      waiting.clear()
    },
    mayTake: (topic, partition) => placed.has(`${topic}|${partition}`),
    taken: (topic, partition, offset) => void offsets.set(`${topic}|${partition}`, offset + 1),
  }
}
