import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { EtcdClient, type EtcdStatus } from '../../journal/etcd/client.ts'
import type { EtcdTls } from '../../journal/etcd/endpoint.ts'
import { one, put } from '../../journal/etcd/wire.ts'

/** ok: a write went round. no-quorum: it runs without a leader. full: over its quota. silent: it answers nothing. down: it does not run. */
export type EtcdHealth = 'starting' | 'ok' | 'no-quorum' | 'full' | 'silent' | 'down'

export interface HealthProbeOptions {
  clock: Clock
  name: string
  /** This member's own address: what others can do says nothing about it. */
  url: string
  tls?: EtcdTls
  probeMs: number
  hungMs: number
  onChange(health: EtcdHealth, before: EtcdHealth): void
  /** Not even its own state was told for `hungMs`. */
  onHung(): void
}

const PROOF_TIMEOUT_MS = 1_000
const EAGER_MS = 100

/** Proof of work of one member: a write through it, and a linearizable read of what was written. An open port proves nothing. */
export class HealthProbe {
  readonly #o: HealthProbeOptions
  #client: EtcdClient | undefined
  #timer: Timer | undefined
  #n = 0
  /** The last time that the member said anything. */
  #heardMs = 0
  #waiting: { resolve(): void; timer: Timer }[] = []
  health: EtcdHealth = 'down'

  constructor(options: HealthProbeOptions) { this.#o = options }

  start() {
    if (this.#client) return
    const { clock, url, tls } = this.#o
    this.#client = new EtcdClient({ endpoints: [url], clock, tls, timeoutMs: PROOF_TIMEOUT_MS })
    this.health = 'starting'
    this.#heardMs = clock.monoMs()
    this.#later(0)
  }

  stop() {
    this.#o.clock.clearTimeout(this.#timer)
    this.#client?.close()
    this.#client = undefined
    this.health = 'down'
  }

  /** The process has ended, and another one will be started. */
  down() {
    this.#heardMs = this.#o.clock.monoMs()
    this.#become('down')
  }

  status(): Promise<EtcdStatus> {
    if (!this.#client) return Promise.reject(new MtorError('NOT_RUNNING', 'etcd was not started'))
    return this.#client.status()
  }

  async ready(timeoutMs: number): Promise<void> {
    if (this.health === 'ok') return
    await new Promise<void>((resolve, reject) => {
      const timer = this.#o.clock.setTimeout(() => {
        this.#waiting = this.#waiting.filter((one) => one.timer !== timer)
        const leaderless = this.health === 'no-quorum'
        reject(new MtorError(leaderless ? 'NO_QUORUM' : 'JOURNAL_UNAVAILABLE', `etcd was not ready within ${timeoutMs} ms: it is ${this.health}`))
      }, timeoutMs)
      this.#waiting.push({ resolve, timer })
    })
  }

  #later(delayMs: number) { this.#timer = this.#o.clock.setTimeout(() => { void this.#round() }, delayMs) }

  async #round() {
    const client = this.#client
    if (!client) return
    const { clock, hungMs, probeMs } = this.#o
    const health = await this.#prove(client)
    if (client !== this.#client) return
    if (health !== 'silent') this.#heardMs = clock.monoMs()
    else if (clock.monoMs() - this.#heardMs >= hungMs) {
      this.#heardMs = clock.monoMs()
      this.#o.onHung()
    }
    if (!(health === 'silent' && (this.health === 'starting' || this.health === 'down'))) this.#become(health)
    this.#later(health === 'ok' ? probeMs : Math.min(probeMs, EAGER_MS))
  }

  async #prove(client: EtcdClient): Promise<EtcdHealth> {
    const key = `/mtor/1/health/${this.#o.name}`
    const nonce = String(++this.#n)
    try {
      await client.txn({ compare: [], success: [put(key, nonce)], failure: [] })
      return (await client.range(one(key))).kvs[0]?.value.toString() === nonce ? 'ok' : 'silent'
    } catch (error) {
      const { code } = toMtorError(error)
      if (code === 'DISK_FULL') return 'full'
      if (code === 'NO_QUORUM') return 'no-quorum'
      return await client.status().then(({ leaderId }) => leaderId === undefined ? 'no-quorum' : 'silent', () => 'silent' as const)
    }
  }

  #become(health: EtcdHealth) {
    const before = this.health
    if (health === before) return
    this.health = health
    this.#o.onChange(health, before)
    if (health !== 'ok') return
    for (const { resolve, timer } of this.#waiting.splice(0)) { this.#o.clock.clearTimeout(timer); resolve() }
  }
}
