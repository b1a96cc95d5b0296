// What the four servers have in common: a folder, a command, a way to ask whether they are ready.
import type { SpawnSpec } from './process.ts'

export const SERVER_NAMES = ['kafka', 'questdb', 'postgres', 'mqtt'] as const
export type ServerName = (typeof SERVER_NAMES)[number]

export interface ServerSpec extends SpawnSpec {
  name: ServerName
  /** Resolves when it serves; throws while it does not yet. Asked again every 50 ms. */
  ready(): Promise<void>
  readyMsMax: number
  /** Time for an orderly stop, then KILL. */
  stopMsMax: number
}

/** Account that servers run as which refuse to be root. */
export interface Unprivileged {
  uid: number
  gid: number
}
