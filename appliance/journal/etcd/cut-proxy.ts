import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP proxy for tests that can be cut, and that can swallow what etcd answers. */
export class CutProxy {
  readonly url: string
  readonly #server: Server
  readonly #pairs: Set<Socket>
  readonly #state: { open: boolean; swallow: number; delayMs: number }

  private constructor(server: Server, pairs: Set<Socket>, state: CutProxy['state']) {
    this.#server = server
    this.#pairs = pairs
    this.#state = state
    this.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
  }

  get state() { return this.#state }

  static async to(url: string): Promise<CutProxy> {
    const { hostname, port } = new URL(url)
    const pairs = new Set<Socket>()
    const state = { open: true, swallow: 0, delayMs: 0 }
    const server = createServer((near) => {
      if (!state.open) { near.destroy(); return }
      const far = connect(Number(port), hostname)
      for (const socket of [near, far]) { pairs.add(socket); socket.on('error', () => {}) }
      const close = () => { for (const socket of [near, far]) { pairs.delete(socket); socket.destroy() } }
      near.on('close', close)
      far.on('close', close)
      near.on('data', (data) => {
        // Only writes are of interest; a proof of life must not take the fault.
        const write = data.includes('/v3/kv/txn') && data.includes('request_put')
        if (write && state.delayMs > 0) {
          // It goes on its way alone, also when its sender has hung up.
          const { delayMs } = state
          state.delayMs = 0
          setTimeout(() => {
            const late = connect(Number(port), hostname)
            late.on('error', () => {}).once('data', () => { late.destroy() }).write(data)
          }, delayMs)
          return
        }
        if (write && state.swallow > 0) {
          state.swallow -= 1
          far.removeAllListeners('data')
          far.once('data', close)
        }
        far.write(data)
      })
      far.on('data', (data) => { near.write(data) })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new CutProxy(server, pairs, state)
  }

  /** Breaks every connection, and refuses new ones. */
  cut() {
    this.#state.open = false
    for (const socket of [...this.#pairs]) socket.destroy()
  }

  mend() { this.#state.open = true }

  /** The next write reaches etcd, and its reply is lost with the connection. */
  loseReply() { this.#state.swallow += 1 }

  /** The next write is held back for so long; its sender has given up on it by then. */
  holdBack(delayMs: number) { this.#state.delayMs = delayMs }

  async stop() {
    this.cut()
    await new Promise((resolve) => { this.#server.close(resolve) })
  }
}
