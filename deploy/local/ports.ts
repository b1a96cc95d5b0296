// Ports on loopback: are they free, find some, say clearly when one is taken.
import { type AddressInfo, createServer } from 'node:net'

const HOST = '127.0.0.1'

/** Undefined when the port is free, else the system's code (EADDRINUSE, EACCES). */
export function portProblem(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen(port, HOST, () => server.close(() => resolve(undefined)))
  })
}

/** Free ports, all different: they are held until the last is known. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen(0, HOST, () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((s) => (s.address() as AddressInfo).port)
  await Promise.all(servers.map((s) => new Promise((resolve) => s.close(resolve))))
  return ports
}

export class PortTaken extends Error {
  readonly port: number
  constructor(port: number, what: string, variable: string) {
    super(`Port ${port}, wanted for ${what}, is taken: stop what uses it, set ${variable}, or start with: npm start -- --ports auto`)
    this.name = 'PortTaken'
    this.port = port
  }
}
