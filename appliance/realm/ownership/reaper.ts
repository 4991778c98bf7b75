import { connect } from 'node:net'
import type { Clock } from '../../contracts/clock.ts'
import { toMtorError } from '../../contracts/errors.ts'
import type { Hub } from '../../contracts/hub.ts'
import type { Peers } from '../peers/port.ts'

export interface ReaperOptions {
  peers: Pick<Peers, 'list' | 'onChange'>
  clock: Clock
  hub: Hub
  /** Ends the lease of a node before its time. */
  expel(node: string): Promise<void>
}

/** How a link ends that was not ended in order; on a busy machine a killed node may first count as silent. */
const GONE = new Set(['closed', 'silent', 'unheard'])
/** Its kernel refuses connections this often in a row: nobody listens there any more. */
const REFUSALS = 3
const BETWEEN_MS = 30
const TIMEOUT_MS = 300
const AGAIN_MS = 200
/** By then its lease has decided, ms. */
const DECIDED_MS = 3_000
/** Without a majority for this long there is nothing to hurry for, ms. */
const EXPEL_MS = 10_000

/**
 * A node whose process was killed is not waited for until its lease runs out: its kernel answers that nobody listens.
 * Where no answer comes, or a stopped process still listens, nothing is proved, and the lease decides. Should the node
 * live after all, it finds that its lease is gone, and its devices refuse its epochs.
 */
export class Reaper {
  readonly #o: ReaperOptions
  readonly #online = new Set<string>()
  readonly #probing = new Set<string>()
  #off: (() => void) | undefined

  constructor(options: ReaperOptions) { this.#o = options }

  start(): void {
    this.#off = this.#o.peers.onChange(() => { this.#look() })
    this.#look()
  }

  stop(): void { this.#off?.(); this.#off = undefined }

  #look() {
    for (const { node, online, offline, address } of this.#o.peers.list()) {
      if (online) { this.#online.add(node); continue }
      if (!this.#online.delete(node) || !GONE.has(offline ?? '') || this.#probing.has(node)) continue
      this.#probing.add(node)
      void this.#probe(node, address).finally(() => { this.#probing.delete(node) })
    }
  }

  async #probe(node: string, address: string): Promise<void> {
    const { clock, hub, peers, expel } = this.#o
    const isOffline = () => this.#off !== undefined && !peers.list().find((peer) => peer.node === node)?.online
    const pause = (ms: number) => new Promise<void>((resolve) => { clock.setTimeout(resolve, ms) })
    // A busy machine may answer late, or still be closing what the process had open: that is no answer yet.
    const decidedMs = clock.monoMs() + DECIDED_MS
    for (let refusals = 0; refusals < REFUSALS;) {
      if (!isOffline() || clock.monoMs() > decidedMs) return
      const refused = await refuses(address)
      refusals = refused ? refusals + 1 : 0
      await pause(refused ? BETWEEN_MS : AGAIN_MS)
    }
    // A node that led the realm leaves it without a leader for a moment, and the next one gives every lease its full time again.
    const untilMs = clock.monoMs() + EXPEL_MS
    while (isOffline() && clock.monoMs() < untilMs) {
      try {
        await expel(node)
        hub.system({ severity: 'warning', component: 'realm', name: 'node.dead', code: 'NODE_UNREACHABLE', message: `${node} has ended: its lease is taken from it`, data: { node } })
        return
      } catch (error) {
        hub.system({ severity: 'debug', component: 'realm', name: 'node.not-expelled', code: toMtorError(error).code, message: toMtorError(error).message })
        await pause(BETWEEN_MS)
      }
    }
  }
}

/** True when there is a kernel that says that nobody listens. */
function refuses(address: string): Promise<boolean> {
  const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? []
  return new Promise((resolve) => {
    const socket = connect({ host: host!, port: Number(port), timeout: TIMEOUT_MS })
    const end = (refused: boolean) => { socket.destroy(); resolve(refused) }
    socket.on('connect', () => { end(false) })
    socket.on('timeout', () => { end(false) })
    socket.on('error', (error: NodeJS.ErrnoException) => { end(error.code === 'ECONNREFUSED') })
  })
}
