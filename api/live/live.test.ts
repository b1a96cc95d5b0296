import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { LiveSnapshot, LiveValue } from '#model/live-events.ts'
import { createLive, type Live, type LiveClient } from './live.ts'
import { createPicture, speedOf, takeCrew, takeRecord, takeValue } from './picture.ts'
import { createRing } from './ring.ts'

const value = (asset: string, tsMs: number, v: number): LiveValue => [asset, 'pressure_bar', '', tsMs, v, 'good']
const record = (nowMs: number, values: LiveValue[] = [], readings = values.length) => ({
  type: 'live' as const,
  zone: 'A',
  partition: 0,
  nowMs,
  readings,
  values,
})

class Reader implements LiveClient {
  text = ''
  ended = false
  backlog = 0
  pending = () => this.backlog
  write(text: string) {
    this.text += text
  }
  end() {
    this.ended = true
  }
  /** Events read so far: name, id, data. */
  events(): { event: string; id: string; data: unknown }[] {
    return [...this.text.matchAll(/event: (\w+)\nid: (\S+)\ndata: (.*)\n\n/g)].map((m) => ({
      event: m[1] as string,
      id: m[2] as string,
      data: JSON.parse(m[3] as string),
    }))
  }
  names = () => this.events().map((e) => e.event)
}

describe('the ring', () => {
  it('gives what came after, and says when something is gone', () => {
    const ring = createRing(3, 1000)
    for (let i = 0; i < 5; i++) ring.push((seq) => `e${seq}`)
    expect(ring.after(5)).toEqual([])
    expect(ring.after(3)?.map((e) => e.text)).toEqual(['e4', 'e5'])
    expect(ring.after(2)?.map((e) => e.seq)).toEqual([3, 4, 5])
    expect([ring.after(1), ring.after(6), ring.after(-1)]).toEqual([undefined, undefined, undefined])
  })

  it('is bounded by bytes', () => {
    const ring = createRing(1000, 10)
    for (let i = 0; i < 5; i++) ring.push(() => 'xxxx')
    expect([ring.after(3)?.length, ring.after(2)]).toEqual([2, undefined])
  })
})

describe('the picture', () => {
  it('keeps the newest value, whatever comes late or twice', () => {
    const p = createPicture()
    expect([
      takeValue(p, value('P1', 10, 3)),
      takeValue(p, value('P1', 10, 3)),
      takeValue(p, value('P1', 5, 9)),
      takeValue(p, value('P1', 10, 4)),
    ]).toEqual([true, false, false, true])
    expect([...p.values.values()]).toEqual([value('P1', 10, 4)])
  })

  it('never turns its clock back, and knows how fast the log runs', () => {
    const p = createPicture()
    for (let s = 0; s <= 10; s++) takeRecord(p, record(1_000_000 + s * 60_000, [], 100), 5000 + s * 1000)
    takeRecord(p, record(500_000), 15_000)
    expect([p.nowMs, speedOf(p, 15_000)]).toEqual([1_600_000, 60])
    expect(speedOf(p, 60_000)).toBe(0)
  })

  it('marks a position stale by the log clock', () => {
    const p = createPicture()
    takeRecord(p, record(10_000_000), 0)
    const at = (tsMs: number) => takeCrew(p, { crew: 'c', lon: 1, lat: 2, tsMs, accuracyM: null, speedKmh: null, batteryPct: null }, [])
    expect(at(9_000_000)).toMatchObject({ stale: true })
    expect(at(9_900_000)).toMatchObject({ stale: false })
    expect(at(9_800_000)).toBeUndefined()
  })
})

describe('the stream', () => {
  let live: Live
  const dropped: string[] = []
  beforeEach(() => {
    vi.useFakeTimers()
    dropped.length = 0
    live = createLive({ clientsMax: 5, instance: 'abc', wallMs: () => 0, onDropped: (r) => dropped.push(r) })
  })
  afterEach(() => {
    live.close()
    vi.useRealTimers()
  })

  it('begins with a snapshot, then sends news in numbered events', () => {
    live.takeRecord(record(1000, [value('P1', 900, 3)]), 0)
    const reader = new Reader()
    live.connect(reader, undefined)
    live.takeRecord(record(2000, [value('P1', 1900, 4), value('P2', 1900, 5)]), 0)
    vi.advanceTimersByTime(300)
    const [snapshot, values] = reader.events()
    expect(snapshot).toMatchObject({ event: 'snapshot', data: { nowMs: 1000, values: [value('P1', 900, 3)] } })
    expect(values).toEqual({ event: 'values', id: 'abc-1-2', data: { nowMs: 2000, values: [value('P1', 1900, 4), value('P2', 1900, 5)] } })
  })

  it('resumes after the last event seen, without a hole or a repeat', () => {
    const first = new Reader()
    const leave = live.connect(first, undefined)
    live.takeRecord(record(1000, [value('P1', 900, 3)]), 0)
    vi.advanceTimersByTime(300)
    const last = first.events().at(-1)?.id as string
    leave()
    live.takeRecord(record(2000, [value('P1', 1900, 4)]), 0)
    vi.advanceTimersByTime(300)
    live.takeRecord(record(3000, [value('P1', 2900, 5)]), 0)
    const second = new Reader()
    live.connect(second, last)
    expect(second.names()).toEqual(['values', 'values', 'clock'])
    expect(second.events().map((e) => e.id)).toEqual(['abc-1-2', 'abc-1-3', 'abc-1-3'])
  })

  it.each(['abc-1-99', 'other-1-1', 'abc-2-1', 'rubbish', "abc-1-1' --"])('sends a snapshot when the last event seen is %s', (id) => {
    const reader = new Reader()
    live.connect(reader, id)
    expect(reader.names()).toEqual(['snapshot'])
  })

  it('sends a new snapshot to all when the desk was loaded anew, and resumes nothing from before', () => {
    const reader = new Reader()
    live.connect(reader, undefined)
    const id = reader.events()[0]?.id
    live.replaceDesk([], [], [])
    expect(reader.names()).toEqual(['snapshot', 'snapshot'])
    const again = new Reader()
    live.connect(again, id)
    expect(again.names()).toEqual(['snapshot'])
  })

  it('sends its clock every two seconds, without using up a number', () => {
    const reader = new Reader()
    live.connect(reader, undefined)
    vi.advanceTimersByTime(4100)
    expect(reader.names()).toEqual(['snapshot', 'status', 'clock', 'status', 'clock'])
    const ids = reader.events().map((e) => e.id)
    expect(ids[1]).toBe(ids[2])
  })

  it('drops a client that does not read, says so, and goes on with the others', () => {
    const slow = new Reader()
    const quick = new Reader()
    live.connect(slow, undefined)
    live.connect(quick, undefined)
    slow.backlog = 17 * 1024 * 1024
    live.takeRecord(record(1000, [value('P1', 900, 3)]), 0)
    vi.advanceTimersByTime(300)
    expect([slow.ended, slow.events().at(-1)?.data, dropped]).toEqual([true, { reason: 'too_slow' }, ['too_slow']])
    expect(quick.names()).toContain('values')
    expect(live.clients()).toBe(1)
  })

  it('shows the values before the finding that is about them', () => {
    const reader = new Reader()
    live.connect(reader, undefined)
    live.takeRecord(record(1000, [value('P1', 900, 1)]), 0)
    live.takeFinding({ id: 'f', rev: 1, clearedAt: null, detectedAt: '', updatedAt: '' } as never)
    live.takeFinding({ id: 'f', rev: 1, clearedAt: null, detectedAt: '', updatedAt: '' } as never)
    expect(reader.names()).toEqual(['snapshot', 'values', 'finding'])
  })

  it('counts open things also beyond what a snapshot lists', () => {
    for (let i = 0; i < 3000; i++)
      live.takeFinding({
        id: `f${i}`,
        rev: 1,
        kind: 'outage',
        clearedAt: null,
        detectedAt: `${i}`.padStart(5, '0'),
        updatedAt: '',
      } as never)
    const reader = new Reader()
    live.connect(reader, undefined)
    const snapshot = reader.events()[0]?.data as LiveSnapshot
    expect([snapshot.findings.length, snapshot.findings[0]?.id, snapshot.status.openFindings]).toEqual([1000, 'f2999', 3000])
  })
})
