// Where the simulation is, on disk: a snapshot of the whole state now and then, and after every acknowledged message how far the
// sending has come. A restart loads the snapshot, steps again without sending up to the position, and goes on: the same messages in the
// same order, none backwards in time.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { STATE_VERSION, type WorldState } from './world.ts'

/** The newest message that the broker has acknowledged: its step, its place in the step, its time of receipt. */
export interface Position {
  stepMs: number
  index: number
  atMs: number
}

export interface Saved {
  state: WorldState | undefined
  position: Position | undefined
}

const STATE = 'state.bin'
const POSITION = 'position.json'
const LOCK = 'pid'

/** A saved simulation of this town and start, or nothing. Unreadable files are reported and not used. */
export function loadSaved(dir: string, want: { seed: number; startMs: number }, report: (problem: string) => void): Saved {
  const none: Saved = { state: undefined, position: undefined }
  try {
    const at = join(dir, POSITION)
    if (!existsSync(at)) return none
    const p = JSON.parse(readFileSync(at, 'utf8')) as Position & { seed: number; startMs: number }
    if (p.seed !== want.seed || p.startMs !== want.startMs) return none
    const position: Position = { stepMs: p.stepMs, index: p.index, atMs: p.atMs }
    const file = join(dir, STATE)
    if (!existsSync(file)) return { state: undefined, position }
    const state = deserialize(readFileSync(file)) as WorldState
    if (state.version !== STATE_VERSION || state.seed !== want.seed || state.nextMs > position.stepMs + 300_000)
      return { state: undefined, position }
    return { state, position }
  } catch (error) {
    report(`saved simulation not usable, stepping from the start: ${(error as Error).message}`)
    return none
  }
}

function replace(file: string, content: string | Buffer): void {
  const fd = openSync(`${file}.part`, 'w')
  try {
    writeSync(fd, content as Buffer)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(`${file}.part`, file)
}

/** The state as bytes at this moment; write them once everything before is acknowledged. */
export function freeze(state: WorldState): Buffer {
  return serialize(state)
}

export function saveState(dir: string, bytes: Buffer): void {
  replace(join(dir, STATE), bytes)
}

export function savePosition(dir: string, p: Position, of: { seed: number; startMs: number }): void {
  replace(join(dir, POSITION), `${JSON.stringify({ ...p, ...of })}\n`)
}

/** Only one simulator at a time may send from a folder. @throws Error that names the other process */
export function lock(dir: string): () => void {
  mkdirSync(dir, { recursive: true })
  const file = join(dir, LOCK)
  if (existsSync(file)) {
    const pid = Number(readFileSync(file, 'utf8'))
    if (pid !== process.pid && isAlive(pid)) throw new Error(`a simulator (process ${pid}) already runs from ${dir}`)
  }
  writeFileSync(file, String(process.pid))
  return () => {
    if (existsSync(file) && Number(readFileSync(file, 'utf8')) === process.pid) unlinkSync(file)
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    // A process number is used again sooner or later: only a node process can be a simulator.
    return !existsSync('/proc') || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('simulators/main')
  } catch {
    return false
  }
}

/** Takes the requests for scenarios that `main.ts --trigger NAME` left. */
export function takeRequests(dir: string): string[] {
  const file = join(dir, 'request')
  if (!existsSync(file)) return []
  renameSync(file, `${file}.taken`)
  return readFileSync(`${file}.taken`, 'utf8')
    .split('\n')
    .filter((l) => l !== '')
}

export function leaveRequest(dir: string, name: string): void {
  writeFileSync(join(dir, 'request'), `${name}\n`, { flag: 'a' })
}
