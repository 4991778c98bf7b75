import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { EmergencyStop } from './emergency-stop.ts'
import { DatagramSocket } from './unix-datagram.ts'

/**
 * The datagram socket of the emergency stop: any datagram is a stop, its text is the reason. A sender with an address
 * is answered "stopped" after every driver was told.
 */
export class StopSocket {
  readonly #socket: DatagramSocket
  constructor(path: string, stop: EmergencyStop) {
    this.#socket = new DatagramSocket(path, (text, reply) => {
      stop.trigger(`socket: ${text.replaceAll(/[^\x20-\x7e]/g, ' ').trim().slice(0, 80) || 'no reason given'}`)
      reply('stopped')
    })
  }
  start() { this.#socket.start() }
  stop() { this.#socket.stop() }
}

/** Who carried out a stop: the daemon, or the last resort (a stop frame written straight to the line). */
export interface StopAnswer { by: 'daemon' | 'line'; ms: number }

/**
 * Asks the daemon to stop everything; if it does not confirm in time (dead, hung), `lastResort` writes the stop to the
 * devices' lines itself. Resolves undefined when neither could be reached.
 * @param timeoutMs how long the daemon may take to confirm; ≪ the 200 ms in which a stop must be through
 */
export async function requestStop(options: { socketPath: string; reason: string; timeoutMs?: number; lastResort?: () => Promise<boolean> }): Promise<StopAnswer | undefined> {
  const { socketPath, reason, timeoutMs = 60, lastResort } = options
  const startedMs = performance.now()
  const took = (by: StopAnswer['by']): StopAnswer => ({ by, ms: performance.now() - startedMs })
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const own = new DatagramSocket(join(dirname(socketPath), `.stop-${process.pid}-${randomBytes(3).toString('hex')}`), (text) => resolve(text === 'stopped'), 0o600)
  try {
    own.start()
    const timer = setTimeout(() => resolve(false), timeoutMs)
    const confirmed = own.send(socketPath, reason) && await promise
    clearTimeout(timer)
    if (confirmed) return took('daemon')
  } catch { /* No run folder, no permission: what is left is the line. */ } finally { own.stop() }
  return await lastResort?.() ? took('line') : undefined
}
