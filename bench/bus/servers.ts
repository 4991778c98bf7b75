import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../appliance/contracts/free-port.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'

export interface Running { name: string; port: number; stop(): Promise<void> }

const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto', '/usr/local/sbin/mosquitto']
const START_TIMEOUT_MS = 10_000

async function ended(child: ChildProcess) {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

/** One of ours (`bus`), or aedes alone (`aedes`), as a child process. */
export async function startNode(name: string, kind: 'bus' | 'aedes', folder: string): Promise<Running> {
  mkdirSync(join(folder, kind), { recursive: true })
  const child = spawn(process.execPath, [fileURLToPath(new URL('./server.ts', import.meta.url)), kind, join(folder, kind)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const stop = async () => { child.stdin.end(); await ended(child) }
  const lines = createInterface(child.stdout)
  const died = once(child, 'exit').then(([code]) => { throw new MtorError('INTERNAL', `server ${kind} ended at once with ${code}`) })
  const line = await Promise.race([once(lines, 'line'), died]) as [string]
  died.catch(() => {})
  return { name, port: (JSON.parse(line[0]) as { port: number }).port, stop }
}

/** Debian's mosquitto, without queue limits of its own; undefined where it is not installed. */
export async function startMosquitto(folder: string): Promise<Running | undefined> {
  const binary = MOSQUITTO.find((path) => existsSync(path))
  if (!binary) return undefined
  const port = await freePort()
  const file = join(folder, 'mosquitto.conf')
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages 0\nmax_queued_messages 0\npersistence false\nlog_type error\n`)
  const child = spawn(binary, ['-c', file], { stdio: ['ignore', 'ignore', 'inherit'] })
  const stop = async () => { child.kill('SIGTERM'); await ended(child) }
  for (const deadline = performance.now() + START_TIMEOUT_MS; ;) {
    const socket = connect({ host: '127.0.0.1', port })
    const open = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(() => false)
    socket.destroy()
    if (open) return { name: 'mosquitto', port, stop }
    if (performance.now() > deadline || child.exitCode !== null) { await stop(); throw new MtorError('DEADLINE', `mosquitto did not listen on port ${port} within ${START_TIMEOUT_MS} ms`) }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
