import { describe, expect, it } from 'vitest'
import { createPositions } from './positions.ts'

const start = () => {
  const failures: string[] = []
  const sought: string[] = []
  const positions = createPositions(new Map([['live', new Map([[0, 100]])]]), (topic, error) => failures.push(`${topic}: ${error.message}`))
  const seek = (topic: string, partition: number, offset: number) => void sought.push(`${topic}/${partition}@${offset}`)
  return { positions, failures, sought, seek }
}
const ours = new Map([['live', [0]]])

describe('positions', () => {
  it('puts a partition to its place when it is assigned', () => {
    const { positions, sought, seek } = start()
    expect(positions.mayTake('live', 0)).toBe(false)
    positions.assigned(ours, seek)
    expect([positions.mayTake('live', 0), sought]).toEqual([true, ['live/0@100']])
  })

  it('takes nothing that was fetched before the caller had the consumer', () => {
    const { positions, sought, seek } = start()
    positions.assigned(ours, undefined)
    expect(positions.mayTake('live', 0)).toBe(false)
    positions.ready(seek)
    expect([positions.mayTake('live', 0), sought]).toEqual([true, ['live/0@100']])
  })

  it('survives a consumer that crashed between its assignment and the first seek', () => {
    const { positions, failures, sought, seek } = start()
    positions.assigned(ours, undefined)
    positions.ready(() => {
      throw new Error('group was not initialised')
    })
    expect([positions.mayTake('live', 0), failures]).toEqual([false, ['live: group was not initialised']])
    positions.assigned(ours, seek)
    expect([positions.mayTake('live', 0), sought]).toEqual([true, ['live/0@100']])
  })

  it('goes on behind what was taken when it is assigned again', () => {
    const { positions, sought, seek } = start()
    positions.assigned(ours, seek)
    positions.taken('live', 0, 140)
    positions.assigned(ours, seek)
    expect(sought).toEqual(['live/0@100', 'live/0@141'])
  })
})
