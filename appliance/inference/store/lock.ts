import { createHash } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { MtorError } from '../../contracts/errors.ts'

const RETRY_MS = 50

/**
 * Lets one process at a time bring or change a model. The lock is an abstract UNIX socket: the kernel frees it when its
 * holder dies, however it dies, so that none is ever left behind as a lock file would be. It keeps two from fetching the
 * same thing twice; that nothing is ever half there rests on renames alone, so a machine that shares the store by network
 * can do no harm. @see unix(7), "abstract"
 */
export async function locked<R>(what: string, options: { signal?: AbortSignal; onWait?: () => void }, work: () => Promise<R>): Promise<R> {
  // The whole length of sun_path, so that every Node version means the same name.
  const name = `\0mtor-model-${createHash('sha256').update(what).digest('hex')}`.padEnd(108, '-')
  const waiting = new Set<Socket>()
  const server = createServer((socket) => { waiting.add(socket); socket.on('error', () => {}).on('close', () => waiting.delete(socket)) })
  server.unref()
  for (let told = false; ; told = true) {
    if (options.signal?.aborted) throw new MtorError('CANCELLED', `${what}: cancelled while waiting for another process`)
    if (await new Promise<boolean>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException) => { error.code === 'EADDRINUSE' ? resolve(false) : reject(error) }
      server.once('error', failed)
      server.listen(name, () => { server.off('error', failed); resolve(true) })
    })) break
    if (!told) options.onWait?.()
    // The connection ends when the holder is done or dead.
    await new Promise<void>((resolve) => {
      const socket = connect(name).on('error', () => {}).on('close', () => { options.signal?.removeEventListener('abort', stop); resolve() }).resume()
      const stop = () => { socket.destroy() }
      options.signal?.addEventListener('abort', stop, { once: true })
    })
    await sleep(RETRY_MS)
  }
  try { return await work() } finally {
    const closed = new Promise<void>((resolve) => { server.close(() => resolve()) })
    for (const socket of waiting) socket.destroy()
    await closed
  }
}
