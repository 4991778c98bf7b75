import type { Clock, Timer } from '../../contracts/clock.ts'
import type { Archiver } from './archiver.ts'
import type { EtcdClient } from './client.ts'
import type { Mirror } from './mirror.ts'
import type { Watch } from './watch.ts'

export interface HousekeepingOptions {
  client: EtcdClient
  clock: Clock
  mirror: Mirror
  watch: Watch
  archiver: Archiver
  node: string
  /** How much of etcd's history is kept, ms: a watch that was cut off goes on from there, and an archive copies from there. */
  historyMs: number
}

const ROUND_MS = 5_000

/** What keeps etcd small and known: its size, archiving, and forgetting of history, done by one node of those that live. */
export class Housekeeping {
  readonly #o: HousekeepingOptions
  #timer: Timer | undefined
  #running = false
  #stepping: Promise<void> | undefined
  /** Something changed while a step was under way. */
  #again = false
  /** Which revision was the newest when; oldest first. */
  #past: { atMs: number; revision: number }[] = []
  #compacted = 0
  dbBytes = 0

  constructor(options: HousekeepingOptions) { this.#o = options }

  async start(): Promise<void> {
    this.#running = true
    this.#past = []
    await this.#measure()
    this.#later()
  }

  async stop(): Promise<void> {
    this.#running = false
    this.#o.clock.clearTimeout(this.#timer)
    await this.#stepping
  }

  /** Something has ended: perhaps there is something to archive. */
  look() {
    const { archiver, watch } = this.#o
    this.#again = this.#stepping !== undefined
    if (!this.#running || this.#stepping || !this.#elected) return
    // What fails now is tried again with the next change, or the next round.
    this.#stepping = archiver.step(watch, () => this.#running).catch(() => {}).finally(() => {
      this.#stepping = undefined
      if (this.#again) this.look()
    })
  }

  /** The first of the living by name. Where two believe it of themselves, etcd's conditions keep them apart. */
  get #elected(): boolean { return [...this.#o.mirror.nodes.keys()].every((node) => node >= this.#o.node) }

  #later() {
    if (!this.#running) return
    this.#timer = this.#o.clock.setTimeout(() => {
      this.look()
      this.#compact().then(() => this.#measure()).catch(() => { /* next round */ }).finally(() => { this.#later() })
    }, ROUND_MS)
  }

  async #measure() { this.dbBytes = (await this.#o.client.status()).dbBytes }

  async #compact() {
    const { clock, watch, client, archiver, historyMs } = this.#o
    this.#past.push({ atMs: clock.monoMs(), revision: watch.revision })
    const old = this.#past.findLastIndex(({ atMs }) => atMs <= clock.monoMs() - historyMs)
    if (old < 0) return
    const { revision } = this.#past[old]!
    this.#past.splice(0, old + 1)
    const to = Math.min(revision, archiver.neededFrom ?? revision)
    if (!this.#elected || to <= this.#compacted) return
    await client.compact(to)
    this.#compacted = to
  }
}
