// mosquitto on loopback. It is the buffer between the gateways and ingest, so its queues are wide and kept on disk.
import { chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { findMosquitto } from './install.ts'
import { accessFiles, SERVICE_USER, servicePassword, writeAccess } from './mqtt-access.ts'
import type { ServerSpec, Unprivileged } from './spec.ts'

/**
 * Queues hold up to 1,000,000 messages or 512 MB a session; beyond, the broker drops the newest (MQTT has no back-pressure to
 * publishers), which shows as a hole in the gateway's `seq`. The state is saved each 5 s and at the stop: after a kill -9 up to 5 s of
 * messages that the broker acknowledged and had not yet delivered are lost; a production broker clusters for that.
 */
function configuration(dir: string, port: number): string {
  const { passwords, access } = accessFiles(dir)
  return `listener ${port} 127.0.0.1
allow_anonymous false
password_file ${passwords}
acl_file ${access}
persistence true
persistence_location ${join(dir, 'data')}/
autosave_interval 5
max_inflight_messages 1000
max_queued_messages 1000000
max_queued_bytes 536870912
max_packet_size 4194304
sys_interval 0
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false
`
}

/** `dir` is mosquitto's own; `as` is the user to run as when we are root. */
export async function mosquittoSpec(dir: string, port: number, as: Unprivileged | undefined): Promise<ServerSpec> {
  mkdirSync(join(dir, 'data'), { recursive: true, mode: 0o755 })
  if (as !== undefined) chownSync(join(dir, 'data'), as.uid, as.gid)
  // Gateways get their users by `npm run mqtt-users`; what it has written stays.
  const { passwords, access } = accessFiles(dir)
  if (!existsSync(passwords) || !existsSync(access)) writeAccess(dir, [], { gateways: [] }, as)
  const config = join(dir, 'mosquitto.conf')
  writeFileSync(config, configuration(dir, port))
  return {
    name: 'mqtt',
    dir,
    command: findMosquitto() as string,
    args: ['-c', config],
    stopSignal: 'SIGTERM',
    stopMsMax: 15_000,
    readyMsMax: 15_000,
    ready: () => mqttReady(port),
    ...(as ?? {}),
  }
}

/** Address for our own services: with their user and password. Who else connects needs a user of the password file. */
export function mosquittoUrl(dir: string, port: number): string {
  return `mqtt://${SERVICE_USER}:${servicePassword(dir)}@127.0.0.1:${port}`
}

/** MQTT 3.1.1 CONNECT with an empty client id and a clean session; a server that answers CONNACK serves, be it to refuse us. */
const CONNECT = Buffer.from('100c00044d5154540402003c0000', 'hex')
const CONNACK = 0x20

function mqttReady(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(CONNECT))
    socket.setTimeout(1000, () => socket.destroy(new Error('no answer')))
    socket.once('error', reject)
    socket.once('data', (data) => {
      socket.end()
      if (data[0] === CONNACK) resolve()
      else reject(new Error('not an MQTT broker'))
    })
    socket.once('close', () => reject(new Error('closed')))
  })
}
