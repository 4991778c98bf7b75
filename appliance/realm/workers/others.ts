import type { Clock } from '../../contracts/clock.ts'
import type { Code } from '../../contracts/codes.ts'
import type { MtorError } from '../../contracts/errors.ts'
import type { WorkerHealth, WorkerOffer } from '../../contracts/telemetry.ts'
import { Circuit } from '../../inference/supervisor/circuit.ts'
import type { PeerInfo, Peers } from '../peers/port.ts'
import { expectedMs } from './expected.ts'
import type { Offer } from './messages.ts'

/** A node that has not said anything for so long is not asked, though its link may be up. */
const SILENT_MS = 20_000
/** One that was full is left alone for that long. */
const FULL_MS = 300

export type Offered = WorkerOffer['models'][number]

/** What is known of one model at one node. */
export class Track {
  readonly node: string
  readonly model: string
  readonly instance: string | undefined
  readonly identity: string
  readonly circuit: Circuit
  /** By execution provider, the digest of the first known answer that was seen together with a right output of it. */
  readonly digests = new Map<string, string>()
  /** For models that send no proof with an answer: a known answer came out right. */
  isProven = false
  inFlight = 0
  fullUntilMs = 0
  lastFault: { code: Code; message: string } | undefined
  #probing: Promise<boolean> | undefined

  constructor(of: { node: string; model: string; instance: string | undefined; identity: string }, clock: Clock) {
    this.node = of.node
    this.model = of.model
    this.instance = of.instance
    this.identity = of.identity
    this.circuit = new Circuit(clock)
  }

  accept(provider: string, digest: string | undefined): void {
    this.isProven = true
    if (digest !== undefined) this.digests.set(provider, digest)
  }

  /** One at a time; whoever asks meanwhile gets the same. */
  probe(run: () => Promise<boolean>): Promise<boolean> { return this.#probing ??= run().finally(() => { this.#probing = undefined }) }
}

/** A node that could run a request. */
export interface Candidate { node: string; offered: Offered; track: Track; rttMs: number; queue: number; expectedMs: number; p95Ms?: number }

interface Said { atMs: number; offer: WorkerOffer; health: WorkerHealth }

/** The other nodes as workers: what they offer, how they are, and what this node has found when it asked them. */
export class Others {
  readonly #peers: Peers
  readonly #clock: Clock
  readonly #said = new Map<string, Said>()
  readonly #tracks = new Map<string, Track>()

  constructor(peers: Peers, clock: Clock) { this.#peers = peers; this.#clock = clock }

  heard(node: string, { offer, health }: Offer): void { this.#said.set(node, { atMs: this.#clock.monoMs(), offer, health }) }

  /** Nodes that offer a model and may be asked now, the quickest first. */
  candidates(model: string, identity: string | undefined): Candidate[] {
    return this.#offering(model, identity).filter(({ track }) => track.circuit.isClosed && track.fullUntilMs <= this.#clock.monoMs()).sort((a, b) => a.expectedMs - b.expectedMs)
  }

  /** Those that are to be tried again now. */
  due(): Candidate[] {
    return [...this.#tracks.values()].filter(({ circuit }) => circuit.isProbeDue)
      .flatMap((track) => this.#offering(track.model, track.identity).filter((candidate) => candidate.track === track))
  }

  /** The identity under which most nodes offer a model that is unknown here. */
  identityOf(model: string): string | undefined {
    const counts = new Map<string, number>()
    for (const { offered } of this.#offers(model)) counts.set(offered.identity, (counts.get(offered.identity) ?? 0) + 1)
    return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))[0]?.[0]
  }

  /** A failure: from now on it is not asked, until a probe comes out right. True where that is news. */
  fault(track: Track, error: MtorError): boolean {
    track.lastFault = { code: error.code, message: error.message }
    track.isProven = false
    track.digests.clear()
    return track.circuit.open()
  }

  full(track: Track): void { track.fullUntilMs = this.#clock.monoMs() + FULL_MS }

  avoids(): WorkerHealth['avoids'] {
    return [...this.#tracks.values()].filter(({ circuit }) => !circuit.isClosed).map(({ node, model, lastFault }) => ({ node, model, code: lastFault?.code ?? 'MODEL_UNAVAILABLE' }))
  }

  /** All that one node offers and can run now. */
  offeredBy(node: string): Candidate[] { return (this.#said.get(node)?.offer.models ?? []).flatMap(({ model }) => this.#offering(model, undefined).filter((candidate) => candidate.node === node)) }

  #offers(model: string): { peer: PeerInfo; said: Said; offered: Offered }[] {
    const now = this.#clock.monoMs()
    return this.#peers.list().flatMap((peer) => {
      const said = this.#said.get(peer.node)
      const offered = said?.offer.models.find((one) => one.model === model)
      return peer.online && said && offered && now - said.atMs < SILENT_MS ? [{ peer, said, offered }] : []
    })
  }

  #offering(model: string, identity: string | undefined): Candidate[] {
    return this.#offers(model).flatMap(({ peer, said, offered }) => {
      const health = said.health.models.find((one) => one.model === model)
      if (!health || health.score === 0 || identity !== undefined && offered.identity !== identity) return []
      const track = this.#track(peer, offered)
      const rttMs = peer.rttMs ?? 0
      // What was asked since it last said how it is.
      const queue = Math.max(health.queue, track.inFlight)
      const { p50Ms, p95Ms } = health
      return [{ node: peer.node, offered, track, rttMs, queue, expectedMs: expectedMs({ p50Ms, queue, rttMs, isLoaded: offered.proven }), ...(p95Ms === undefined ? {} : { p95Ms: p95Ms + rttMs }) }]
    })
  }

  /** A process that was started anew, or another model under the name, is unknown. */
  #track({ node, instance }: PeerInfo, { model, identity }: Offered): Track {
    const key = `${node} ${model}`
    const known = this.#tracks.get(key)
    if (known && known.instance === instance && known.identity === identity) return known
    const track = new Track({ node, model, instance, identity }, this.#clock)
    this.#tracks.set(key, track)
    return track
  }
}
