// Child processes that never outlive their parent, and pid files that tell a leftover of a crashed run from a stranger.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const LOG_BYTES_MAX = 20 * 1024 * 1024
const WATCHER = fileURLToPath(new URL('./watcher.sh', import.meta.url))

/**
 * When a process was started, as text that differs for another process which later gets the same pid.
 * Undefined when there is none, or only a zombie.
 */
export function identityOf(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The command name in parentheses may hold anything; the fields after it are plain. State is field 3, start time 22.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
    }
    const text = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return text.trim() === '' ? undefined : text.trim()
  } catch {
    // Neither file nor process: there is no such process.
    return undefined
  }
}

interface PidFile {
  pid: number
  identity: string
  ownerPid: number
  ownerIdentity: string
}

export function writePidFile(path: string, pid: number): void {
  const content: PidFile = {
    pid,
    identity: identityOf(pid) ?? '',
    ownerPid: process.pid,
    ownerIdentity: identityOf(process.pid) ?? '',
  }
  writeFileSync(path, `${JSON.stringify(content)}\n`)
}

/** The process of a pid file if it still runs, and whether the process that started it does. Undefined when it is gone. */
export function readPidFile(path: string): { pid: number; ownerPid: number; ownerAlive: boolean } | undefined {
  if (!existsSync(path)) return undefined
  let content: PidFile
  try {
    content = JSON.parse(readFileSync(path, 'utf8')) as PidFile
  } catch {
    // Half written by a crash: the process, if any, was ended by the watcher.
    return undefined
  }
  if (content.identity === '' || identityOf(content.pid) !== content.identity) return undefined
  return { pid: content.pid, ownerPid: content.ownerPid, ownerAlive: identityOf(content.ownerPid) === content.ownerIdentity }
}

/** Signals a process and waits for its end; KILL after `stopMsMax`. Returns false when it had to be killed. */
export async function endProcess(pid: number, signal: NodeJS.Signals, stopMsMax: number): Promise<boolean> {
  const identity = identityOf(pid)
  const gone = () => identityOf(pid) !== identity
  if (identity === undefined) return true
  const send = (s: NodeJS.Signals) => {
    try {
      process.kill(pid, s)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  send(signal)
  for (let waited = 0; waited < stopMsMax; waited += 25) {
    if (gone()) return true
    await sleep(25)
  }
  send('SIGKILL')
  while (!gone()) await sleep(25)
  return false
}

/** One watcher a process; it learns of every child and ends them when this process disappears. */
class Watcher {
  private readonly children = new Map<number, NodeJS.Signals>()
  private pipe: ChildProcess | undefined

  add(pid: number, signal: NodeJS.Signals): void {
    this.children.set(pid, signal)
    this.send()
  }

  remove(pid: number): void {
    this.children.delete(pid)
    this.send()
  }

  private send(): void {
    if (this.pipe === undefined) {
      if (this.children.size === 0) return
      // Its own session, so that Ctrl-C in the terminal does not reach it.
      this.pipe = spawn('/bin/sh', [WATCHER], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
      this.pipe.unref()
      const stdin = this.pipe.stdin as NodeJS.WritableStream & { unref?: () => void }
      stdin.on('error', () => {
        // The watcher was killed by someone: the next change starts another.
        this.pipe = undefined
      })
      stdin.unref?.()
    }
    const line = [...this.children].map(([pid, signal]) => `${signal.replace(/^SIG/, '')}:${pid}`).join(' ')
    this.pipe.stdin?.write(`${line}\n`)
  }
}
const watcher = new Watcher()

export interface SpawnSpec {
  name: string
  /** The pid file goes here, and the log when there is no `logDir`. */
  dir: string
  logDir?: string
  command: string
  args: string[]
  env?: Record<string, string>
  cwd?: string
  uid?: number
  gid?: number
  stopSignal: NodeJS.Signals
  /** Adds an IPC channel: the child then stops itself when it closes. Messages of the child come here. */
  onMessage?: (message: unknown) => void
}

export interface Spawned {
  pid: number
  logPath: string
  /** Resolves when the process is gone, with its exit code or signal. */
  exited: Promise<string>
}

/** Opens a log for appending; a large one is put aside first, one generation is kept. */
export function openLog(path: string): number {
  if (existsSync(path) && statSync(path).size > LOG_BYTES_MAX) renameSync(path, `${path}.1`)
  return openSync(path, 'a')
}

/** Starts a child in its own session, with its output in `<dir>/<name>.log`, its pid in `<dir>/<name>.pid`, ended when we are gone. */
export function spawnWatched(spec: SpawnSpec): Spawned {
  const logPath = join(spec.logDir ?? spec.dir, `${spec.name}.log`)
  mkdirSync(dirname(logPath), { recursive: true })
  const pidPath = join(spec.dir, `${spec.name}.pid`)
  const log = openLog(logPath)
  const child = spawn(spec.command, spec.args, {
    detached: true,
    stdio: spec.onMessage === undefined ? ['ignore', log, log] : ['ignore', log, log, 'ipc'],
    env: { ...process.env, ...spec.env },
    ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    ...(spec.uid === undefined ? {} : { uid: spec.uid }),
    ...(spec.gid === undefined ? {} : { gid: spec.gid }),
  })
  closeSync(log)
  if (spec.onMessage !== undefined) child.on('message', spec.onMessage)
  const pid = child.pid
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => {
      if (pid !== undefined) watcher.remove(pid)
      rmSync(pidPath, { force: true })
      resolve(signal ?? `exit code ${code}`)
    })
  })
  if (pid === undefined) return { pid: -1, logPath, exited }
  watcher.add(pid, spec.stopSignal)
  writePidFile(pidPath, pid)
  return { pid, logPath, exited }
}

/** Last lines of a log, for an error message. */
export function logTail(path: string, lines = 15): string {
  if (!existsSync(path)) return ''
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
}
