// Opaque cursors: where a list goes on. Versioned, so that their inside may change; a client only hands them back.
import { Problem } from '../problem.ts'

export function writeCursor(kind: string, ...parts: (string | number)[]): string {
  return Buffer.from(JSON.stringify([kind, 1, ...parts])).toString('base64url')
}

/** @throws Problem 400 when it is none of ours, or of another list. */
export function readCursor(kind: string, cursor: string): (string | number)[] {
  let parts: unknown
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  if (
    !Array.isArray(parts) ||
    parts[0] !== kind ||
    parts[1] !== 1 ||
    !parts.slice(2).every((p) => typeof p === 'string' || Number.isSafeInteger(p))
  ) {
    throw new Problem(400, 'not_valid', 'cursor: not one that this list has given out')
  }
  return parts.slice(2) as (string | number)[]
}
