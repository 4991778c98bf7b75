import { createHash } from 'node:crypto'
import { createServer, connect } from 'node:net'
import { say } from './steps.mjs'

/**
 * Lets one set-up of a folder run at a time. The lock is an abstract UNIX socket: the kernel frees it when its
 * holder dies, however it dies, so a lock can never be left behind. @see unix(7), "abstract"
 * @returns {Promise<() => void>} frees the lock
 */
export async function lock(folder) {
  // The whole length of sun_path: older Nodes pad a shorter name with zeros and newer do not, so they would not meet.
  const name = `\0mtor-setup-${createHash('sha256').update(folder).digest('hex')}`.padEnd(108, '-')
  for (let told = false; ; told = true) {
    const server = createServer()
    const held = await new Promise((resolve, reject) => {
      server.once('error', (error) => error.code === 'EADDRINUSE' ? resolve(false) : reject(error))
      server.listen(name, () => resolve(true))
    })
    if (held) {
      const waiting = new Set()
      server.on('connection', (socket) => { waiting.add(socket); socket.on('error', () => {}).on('close', () => waiting.delete(socket)) })
      server.unref()
      return () => { server.close(); for (const socket of waiting) socket.destroy() }
    }
    if (!told) say('  another set-up of this folder is running; waiting for it …')
    // The connection ends when the holder is done or dead; then all who waited try again.
    await new Promise((resolve) => connect(name).on('error', () => {}).on('close', () => setTimeout(resolve, 50)).resume())
  }
}
