// .env.example from the one list of variables, core/runtime/config.ts. `node deploy/env-example.ts` writes it; a test compares.
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { ConfigSchema } from '#runtime/config.ts'

export const ENV_EXAMPLE = new URL('../.env.example', import.meta.url)

export function renderEnvExample(): string {
  const defaults = ConfigSchema.parse({})
  const lines = ['# Copy to .env and change what you need; what is left out has the value shown. Made by: node deploy/env-example.ts']
  for (const [name, schema] of Object.entries(ConfigSchema.shape)) {
    lines.push('')
    if (schema.description !== undefined) lines.push(`# ${schema.description}`)
    lines.push(`# ${name}=${defaults[name as keyof typeof defaults]}`)
  }
  return `${lines.join('\n')}\n`
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) writeFileSync(ENV_EXAMPLE, renderEnvExample())
