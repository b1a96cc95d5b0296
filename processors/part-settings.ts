// Settings of a detector or of validation.
import type { z } from 'zod'

/**
 * Those of the log over those of the configuration; when they do not fit, those of the configuration, then the defaults. What does
 * not fit is told to `onWrong`.
 */
export function partSettings(schema: z.ZodType, configured: unknown, wanted: unknown, onWrong: (error: Error) => void): unknown {
  for (const candidate of [{ ...(configured as object), ...(wanted as object) }, { ...(configured as object) }]) {
    const parsed = schema.safeParse(candidate)
    if (parsed.success) return parsed.data
    onWrong(new Error(`settings: ${parsed.error.message}`))
  }
  return schema.parse({})
}
