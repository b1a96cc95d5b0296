// CPU and memory of processes, from /proc. Linux only: where there is no /proc the figures are left out.
import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

export interface Usage {
  cpuS: number
  peakRssMb: number
}

function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command name may hold anything; the fields after its closing parenthesis are plain. Field 3 comes first.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    // It ended, or there is no /proc.
    return undefined
  }
}

/** User and system time of a process, and of its children that ended and were waited for. */
function cpuOf(pid: number): number {
  const f = statFields(pid)
  if (f === undefined) return 0
  return [11, 12, 13, 14].reduce((sum, i) => sum + Number(f[i]), 0) / TICKS_PER_SECOND
}

function peakRssOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter((p) => p > 0 && Number(statFields(p)?.[1]) === pid)
  } catch {
    return []
  }
}

/** Of one process, or with `children` of it and its living children (PostgreSQL has one a connection). */
export function usageOf(pid: number, children = false): Usage {
  const pids = children ? [pid, ...childrenOf(pid)] : [pid]
  return {
    cpuS: pids.reduce((sum, p) => sum + cpuOf(p), 0),
    peakRssMb: Math.max(...pids.map(peakRssOf)),
  }
}

/** Adds up what several lives of a service cost: it may be killed and started again. */
export class Meter {
  #pid: number
  readonly #children: boolean
  #before = 0
  #peak = 0

  constructor(pid: number, children = false) {
    this.#pid = pid
    this.#children = children
    this.#before = -usageOf(pid, children).cpuS
  }

  /** Call right before the process is killed. */
  ending(): void {
    const u = usageOf(this.#pid, this.#children)
    this.#before += u.cpuS
    this.#peak = Math.max(this.#peak, u.peakRssMb)
  }

  /** It has another pid now; all that this one uses counts. */
  restarted(pid: number): void {
    this.#pid = pid
  }

  read(): Usage {
    const u = usageOf(this.#pid, this.#children)
    return { cpuS: this.#before + u.cpuS, peakRssMb: Math.max(this.#peak, u.peakRssMb) }
  }
}
