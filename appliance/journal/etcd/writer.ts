import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { EtcdClient } from './client.ts'
import { EtcdError } from './errors.ts'
import type { NodeLease } from './lease.ts'
import { absent, holds, nested, one, put, type Compare, type RequestOp, type Txn, type TxnReply } from './wire.ts'

/** One guarded change, and the keys it depends on. */
export interface Step {
  txn: Txn
  writes: string[]
  reads?: string[]
  /** What its success changes, for who follows the journal's own writes. */
  effects?: { kind: 'put' | 'delete'; key: string }[]
  bytes?: number
}

/**
 * Something to be written. `plan` may be called several times: what it depends on may have changed, or the reply of an
 * attempt was lost; then `settle` must know its own work when it finds it. Either may throw to reject it.
 */
export interface Operation<T> {
  plan(): Step | { value: T }
  settle(reply: TxnReply): { value: T } | 'again' | Promise<{ value: T } | 'again'>
  /** It was carried out and nobody knows with what result. Left out: another `plan` finds out. */
  lost?(): T
}

export interface WriterOptions {
  client: EtcdClient
  lease: NodeLease
  clock: Clock
  /** The key that says that this node lives; every group of writes moves it on. */
  sessionKey: string
  /** Names this life of the process. */
  instance: string
  /** A group not settled by then is given up, with an unknown outcome, ms. */
  timeoutMs: number
  onCommitted(step: Step, revision: number): void
  onDown(error: MtorError): void
  onUp(): void
}

interface Waiting { operation: Operation<unknown>; order: number; resolve(value: never): void; reject(error: unknown): void }
interface Taken { waiting: Waiting; step: Step }

/** More waiting writes than this are refused with BUSY. */
const MAX_WAITING = 20_000
/** etcd takes 128 operations in one transaction, those nested in it counted along the deepest way. */
const MAX_OPERATIONS = 126
/** etcd takes 1.5 MiB in one request. */
const MAX_GROUP_BYTES = 512 * 1024
const RECOVER_MS = 200
const RECOVER_TIMEOUT_MS = 700

/**
 * Writes to etcd in groups, one group at a time: everything that waits goes into one transaction, each change nested
 * with its own conditions. The whole is guarded by the session key, which every group moves on to a value of its own.
 * So a repeated attempt cannot be carried out twice, one that was delayed on its way cannot arrive after a later one,
 * and a node whose lease ran out writes nothing until it has a new one.
 */
export class Writer {
  readonly #o: WriterOptions
  #queue: Waiting[] = []
  /** Waiting or under way, oldest first. */
  readonly #pending = new Set<Waiting>()
  #barriers: { order: number; resolve: () => void }[] = []
  #order = 0
  #groups = 0
  #session: string | undefined
  #busy = false
  #running = false
  #down: MtorError | undefined
  #recovery: Timer | undefined
  #idle: (() => void)[] = []
  /** Duration of the last group, ms. */
  lastMs = 0

  constructor(options: WriterOptions) { this.#o = options }

  get waiting(): number { return this.#pending.size }
  get down(): MtorError | undefined { return this.#down }

  /** Takes the session key, also from an earlier life of this node. */
  async start(): Promise<void> {
    this.#running = true
    this.#down = undefined
    const lease = await this.#o.lease.acquire()
    await this.#establish(lease, [], this.#o.timeoutMs)
  }

  /** Finishes what waits, for at most `timeoutMs`. */
  async stop(timeoutMs: number): Promise<void> {
    if (!this.#running) return
    const { clock } = this.#o
    clock.clearTimeout(this.#recovery)
    if (this.#busy || this.#queue.length) {
      await new Promise<void>((resolve) => {
        const timer = clock.setTimeout(resolve, timeoutMs)
        this.#idle.push(() => { clock.clearTimeout(timer); resolve() })
      })
    }
    this.#running = false
    this.#rejectAll(new MtorError('JOURNAL_UNAVAILABLE', 'The journal was stopped'))
  }

  submit<T>(operation: Operation<T>): Promise<T> {
    if (!this.#running) return Promise.reject(new MtorError('JOURNAL_UNAVAILABLE', 'The journal is not started'))
    if (this.#down) return Promise.reject(this.#down)
    if (this.#pending.size >= MAX_WAITING) return Promise.reject(new MtorError('BUSY', `${MAX_WAITING} writes already wait for etcd`))
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = { operation, order: ++this.#order, resolve, reject }
      this.#pending.add(waiting)
      this.#queue.push(waiting)
      if (this.#busy) return
      this.#busy = true
      // Everything that is submitted in this turn goes along.
      setImmediate(() => { void this.#run() })
    })
  }

  /** Resolves when everything submitted so far is settled: what is read then is not older than what was written before. */
  settled(): Promise<void> {
    if (this.#pending.size === 0) return Promise.resolve()
    return new Promise((resolve) => { this.#barriers.push({ order: this.#order, resolve }) })
  }

  async #run() {
    while (this.#queue.length && !this.#down) {
      const group = this.#take()
      if (!group.length) continue
      const { clock } = this.#o
      const startMs = clock.monoMs()
      try {
        await this.#commit(group)
        this.lastMs = clock.monoMs() - startMs
      } catch (error) { this.#failed(group, toMtorError(error)) }
    }
    this.#busy = false
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Takes from the queue what may go together: nothing that depends on what another one of the group, or one left behind, writes. */
  #take(): Taken[] {
    const taken: Taken[] = []
    const left: Waiting[] = []
    const written = new Set<string>()
    const read = new Set<string>()
    let deepest = 0
    let bytes = 0
    let at = 0
    for (; at < this.#queue.length && left.length < MAX_OPERATIONS; at++) {
      const waiting = this.#queue[at]!
      let step: Step | { value: unknown }
      try { step = waiting.operation.plan() } catch (error) { this.#reject(waiting, error); continue }
      if ('value' in step) { this.#resolve(waiting, step.value); continue }
      const { writes, reads = [], txn } = step
      const depth = Math.max(deepest, txn.compare.length, txn.success.length, txn.failure.length)
      const clash = writes.some((key) => written.has(key) || read.has(key)) || reads.some((key) => written.has(key))
      for (const key of writes) written.add(key)
      for (const key of reads) read.add(key)
      const full = taken.length > 0 && (taken.length + 2 + depth > MAX_OPERATIONS || bytes + (step.bytes ?? 0) > MAX_GROUP_BYTES)
      if (clash || full) { left.push(waiting); if (full) { at += 1; break } continue }
      deepest = depth
      bytes += step.bytes ?? 0
      taken.push({ waiting, step })
    }
    this.#queue = left.concat(this.#queue.slice(at))
    return taken
  }

  async #commit(group: Taken[]): Promise<void> {
    const { client, clock, lease, sessionKey, instance, timeoutMs } = this.#o
    const untilMs = clock.monoMs() + timeoutMs
    const token = `${instance}:${++this.#groups}`
    const changes = group.map(({ step }) => nested(step.txn))
    for (;;) {
      const leftMs = Math.max(1, untilMs - clock.monoMs())
      const leaseId = await lease.acquire()
      let reply: TxnReply
      try {
        if (this.#session === undefined) await this.#establish(leaseId, [absent(sessionKey)], leftMs)
        reply = await client.txn({ compare: [holds(sessionKey, this.#session!)], success: [put(sessionKey, token, leaseId), ...changes], failure: [one(sessionKey)] }, { timeoutMs: leftMs })
      } catch (error) {
        if (!(error instanceof EtcdError && error.leaseGone)) throw error
        lease.gone(leaseId)
        this.#session = undefined
        continue
      }
      if (reply.succeeded) {
        this.#session = token
        return this.#settle(group, reply)
      }
      if (this.#found(reply.parts[0]!.kvs[0]?.value.toString()) === token) return this.#lost(group)
    }
  }

  /** Takes over what the session key turned out to hold. Throws where another process has it. */
  #found(session: string | undefined): string | undefined {
    if (session !== undefined && !session.startsWith(`${this.#o.instance}:`)) {
      throw new MtorError('ALREADY_RUNNING', `${this.#o.sessionKey} was taken over by another process: two daemons run with one node name`)
    }
    this.#session = session
    return session
  }

  async #establish(leaseId: string, compare: Compare[], timeoutMs: number) {
    const { client, sessionKey, instance } = this.#o
    const session = `${instance}:${++this.#groups}`
    const failure: RequestOp[] = [one(sessionKey)]
    const reply = await client.txn({ compare, success: [put(sessionKey, session, leaseId)], failure }, { timeoutMs })
    if (reply.succeeded) this.#session = session
    else this.#found(reply.parts[0]!.kvs[0]?.value.toString())
  }

  async #settle(group: Taken[], reply: TxnReply) {
    await this.#each(group, async ({ waiting, step }, i) => {
      const part = reply.parts[i + 1]!.txn!
      if (part.succeeded) this.#o.onCommitted(step, reply.revision)
      return await waiting.operation.settle(part)
    })
  }

  /** The group was carried out by an attempt whose reply never came: each finds out for itself what became of it. */
  async #lost(group: Taken[]) {
    await this.#each(group, ({ waiting: { operation } }) => Promise.resolve(operation.lost ? { value: operation.lost() } : 'again'))
  }

  async #each(group: Taken[], work: (taken: Taken, i: number) => Promise<{ value: unknown } | 'again'>) {
    const again: Waiting[] = []
    await Promise.all(group.map(async (taken, i) => {
      const { waiting } = taken
      try {
        const outcome = await work(taken, i)
        if (outcome === 'again') again.push(waiting)
        else this.#resolve(waiting, outcome.value)
      } catch (error) { this.#reject(waiting, error) }
    }))
    if (again.length) this.#queue = [...again, ...this.#queue].sort((a, b) => a.order - b.order)
  }

  #failed(group: Taken[], error: MtorError) {
    // What etcd refuses says nothing about the others.
    const refused = error instanceof EtcdError && error.trouble === 'refused' && error.code !== 'DISK_FULL'
    const told = refused || error.code === 'NO_QUORUM' || error.code === 'JOURNAL_UNAVAILABLE' ? error : new MtorError('JOURNAL_UNAVAILABLE', error.message, { cause: error, hint: error.hint })
    for (const { waiting } of group) this.#reject(waiting, told)
    if (!refused) this.#goDown(told)
  }

  /** From now on requests are refused at once, until a write has gone round again. */
  #goDown(error: MtorError) {
    this.#down = error
    this.#rejectAll(error)
    this.#o.onDown(error)
    this.#recoverLater()
  }

  #recoverLater() {
    if (!this.#running) return
    this.#recovery = this.#o.clock.setTimeout(() => { void this.#recover() }, RECOVER_MS)
  }

  async #recover() {
    const { client, lease, sessionKey } = this.#o
    try {
      this.#found((await client.range(one(sessionKey), { timeoutMs: RECOVER_TIMEOUT_MS })).kvs[0]?.value.toString())
      await lease.acquire()
      await this.#commit([])
      if (!this.#running) return
      this.#down = undefined
      this.#o.onUp()
    } catch (error) {
      const now = toMtorError(error)
      if (this.#down && now.code === 'NO_QUORUM') this.#down = now
      this.#recoverLater()
    }
  }

  #rejectAll(error: MtorError) {
    this.#queue = []
    for (const waiting of [...this.#pending]) this.#reject(waiting, error)
  }

  #resolve(waiting: Waiting, value: unknown) { this.#done(waiting); waiting.resolve(value as never) }
  #reject(waiting: Waiting, error: unknown) { this.#done(waiting); waiting.reject(error) }

  #done(waiting: Waiting) {
    this.#pending.delete(waiting)
    if (!this.#barriers.length) return
    let oldest = Infinity
    for (const { order } of this.#pending) { oldest = order; break }
    const due = this.#barriers.filter(({ order }) => order < oldest)
    if (due.length) this.#barriers = this.#barriers.filter(({ order }) => order >= oldest)
    for (const { resolve } of due) resolve()
  }
}
