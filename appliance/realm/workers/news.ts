import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Hub } from '../../contracts/hub.ts'
import type { WorkerHealth, WorkerOffer } from '../../contracts/telemetry.ts'
import type { Peers } from '../peers/port.ts'
import type { Local } from './local.ts'
import { CHANNEL, noticeValidator, type Notice } from './messages.ts'
import type { Others } from './others.ts'
import { boardOf, healthOf, isNews, lostHealth, offerOf } from './report.ts'

/** How often this node looks at itself; and how often it says so, where nothing has changed. */
const LOOK_MS = 1_000
const SAY_MS = 5_000
/** Of several things that happen together one report is made. */
const SOON_MS = 20

export interface NewsOptions { peers: Peers; hub: Hub; clock: Clock; cores: number; local: Local; others: Others; onHeard(node: string): void }
type Listener = (kind: 'offer' | 'health', payload: WorkerOffer | WorkerHealth) => void

/** Tells the other nodes and the bus what is offered here and how it is, and hears the same of them. */
export class News {
  readonly #o: NewsOptions
  readonly #online = new Set<string>()
  #last: { offer: WorkerOffer; health: WorkerHealth } | undefined
  #saidMs = -Infinity
  #timer: Timer | undefined
  #soon: Timer | undefined
  #off: (() => void)[] = []
  #listener: Listener | undefined
  #malformed = new Set<string>()

  constructor(options: NewsOptions) { this.#o = options }

  publish(listener: Listener): void {
    this.#listener = listener
    if (this.#last) { listener('offer', this.#last.offer); listener('health', this.#last.health) }
  }

  start(): void {
    const { peers } = this.#o
    this.#off = [peers.on(CHANNEL, (from, message) => { this.#hear(from, message) }), peers.onChange(() => { this.#peersChanged() })]
    this.#peersChanged()
    this.#say()
    // What the others said before somebody listened here.
    peers.send('*', CHANNEL, { op: 'ask' } satisfies Notice)
    this.#next()
  }

  stop(): void {
    const { clock } = this.#o
    clock.clearTimeout(this.#timer)
    clock.clearTimeout(this.#soon)
    this.#timer = this.#soon = undefined
    for (const off of this.#off.splice(0)) off()
  }

  /** A failure is told at once. */
  soon(): void {
    if (this.#soon || !this.#timer) return
    this.#soon = this.#o.clock.setTimeout(() => { this.#soon = undefined; this.#say() }, SOON_MS)
  }

  summary(): Record<string, unknown> {
    const { score, why, avoids } = this.#last?.health ?? {}
    return { health: score === undefined ? 'unknown' : `${score}${why === undefined ? '' : `, ${why}`}`, ...(avoids?.length ? { avoids: avoids.map(({ node, model, code }) => `${model} of ${node} (${code})`) } : {}) }
  }

  #next(): void {
    this.#timer = this.#o.clock.setTimeout(() => {
      void this.#o.local.look().catch((error: unknown) => { this.#o.hub.system({ severity: 'error', component: 'inference', name: 'look.failed', code: 'INTERNAL', message: toMtorError(error).message }) }).finally(() => {
        if (!this.#timer) return
        this.#say()
        this.#next()
      })
    }, LOOK_MS)
  }

  #say(): void {
    const { peers, hub, clock, cores, local, others } = this.#o
    const offer = offerOf(hub, local)
    const health = healthOf(hub, local, boardOf(cores), others.avoids())
    const news = isNews(this.#last, offer, health)
    if (!news && clock.monoMs() - this.#saidMs < SAY_MS) return
    const isNewOffer = JSON.stringify(this.#last?.offer.models) !== JSON.stringify(offer.models)
    this.#last = { offer, health }
    this.#saidMs = clock.monoMs()
    peers.send('*', CHANNEL, { op: 'offer', offer, health } satisfies Notice)
    if (isNewOffer) this.#listener?.('offer', offer)
    this.#listener?.('health', health)
  }

  #hear(from: string, message: unknown): void {
    const { others, hub, peers } = this.#o
    try {
      const notice = noticeValidator.assert(message, 'MALFORMED', `the offer of ${from}`)
      if (notice.op === 'ask') { if (this.#last) peers.send(from, CHANNEL, { op: 'offer', ...this.#last } satisfies Notice); return }
      if (notice.offer.node !== from || notice.health.node !== from) throw new MtorError('MALFORMED', `${from} offers in the name of ${notice.offer.node}`)
      others.heard(from, notice)
      this.#o.onHeard(from)
      this.#malformed.delete(from)
    } catch (thrown) {
      if (this.#malformed.has(from)) return
      this.#malformed.add(from)
      const { code, message: why } = toMtorError(thrown)
      hub.system({ severity: 'warning', component: 'inference', name: 'offer.malformed', code, message: why, data: { node: from } })
    }
  }

  /** A newcomer hears what is offered; that a node is lost is published, as it cannot say so itself. */
  #peersChanged(): void {
    const { peers, hub } = this.#o
    const list = peers.list()
    for (const { node, online } of list) {
      if (!online || this.#online.has(node)) continue
      this.#online.add(node)
      if (this.#last) peers.send(node, CHANNEL, { op: 'offer', ...this.#last } satisfies Notice)
    }
    for (const node of [...this.#online]) {
      const peer = list.find((one) => one.node === node)
      if (peer?.online) continue
      this.#online.delete(node)
      this.#listener?.('health', lostHealth(hub, node, peer ? `${hub.node} does not reach it${peer.offline ? `: ${peer.offline}` : ''}` : 'it has left the realm'))
    }
  }
}
