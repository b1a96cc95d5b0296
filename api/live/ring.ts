// The last events of the live stream, so that a client which was away for a moment goes on without a hole. Bounded by bytes and count.

export interface LiveEvent {
  /** Counts up by one. */
  seq: number
  /** As it goes over the wire, id included. */
  text: string
}

export interface Ring {
  readonly lastSeq: number
  push(make: (seq: number) => string): LiveEvent
  /** Events after `seq`; undefined when some of them are gone already, or `seq` is none that was given out. */
  after(seq: number): LiveEvent[] | undefined
}

export function createRing(countMax: number, bytesMax: number): Ring {
  const events: LiveEvent[] = []
  let bytes = 0
  let lastSeq = 0
  return {
    get lastSeq() {
      return lastSeq
    },
    push(make) {
      lastSeq += 1
      const event = { seq: lastSeq, text: make(lastSeq) }
      events.push(event)
      bytes += event.text.length
      while (events.length > countMax || (bytes > bytesMax && events.length > 0)) bytes -= (events.shift() as LiveEvent).text.length
      return event
    },
    after(seq) {
      if (seq > lastSeq || seq < 0) return undefined
      if (seq === lastSeq) return []
      const first = events[0]
      return first === undefined || first.seq > seq + 1 ? undefined : events.slice(seq + 1 - first.seq)
    },
  }
}
