import { systemClock, type Clock, type Timer } from '../../appliance/contracts/clock.ts'
import type { Code } from '../../appliance/contracts/codes.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { FinalState, IntentEvent } from '../../appliance/contracts/events.ts'
import type { DeclaredIntent, Grant, HandlerOffer, HandlerReceipt, Task, Work } from '../../appliance/contracts/handlers.ts'
import { PROTOCOL_VERSION } from '../../appliance/contracts/protocol.ts'
import type { Topics } from '../../appliance/contracts/topics.ts'
import { encoded, type Connection, type Received } from './connection.ts'
import { parsed } from './json.ts'

/** An intent that this flow was given and has not ended yet. */
export interface Held { readonly task: Task; readonly instance: string; readonly msgid: string; attempt: number; untilMonoMs: number }
/** A node that carries out intents of one type. */
export interface Instance {
  id: string
  type: string
  /** Intents at once at the most. */
  limit: number
  /** Message id of the message that `begin` will send, so that nodes behind it find the intent again. */
  msgid(): string
  begin(held: Held): void
  /** It ended without this flow: stopped, cancelled, too late, or given to another. */
  ended(held: Held, event: IntentEvent): void
  changed(): void
  /** What is wrong with its type, as the appliance says after every offer; nothing, mostly. */
  told(problems: HandlerReceipt['problems']): void
}
export interface Declaration { intent: DeclaredIntent; told(problems: HandlerReceipt['problems'], unknownWords: readonly string[]): void }
export interface Report { state: Work['state']; code?: Code | undefined; message?: string | undefined; say?: string | undefined; data?: Record<string, unknown> | undefined }

/** One offer holds what all nodes of a deploy say; they start one after another. */
const OFFER_AFTER_MS = 100
/** A claim is answered at once or never. */
const CLAIM_MS = 5000
const MAX_ENDED = 1000, MAX_WAITING = 1000

const isFinal = (state: string): state is FinalState => state === 'succeeded' || state === 'failed' || state === 'expired' || state === 'aborted'
const isTask = (value: unknown): value is Task => { const task = value as Task | undefined; return typeof task?.id === 'string' && typeof task.type === 'string' && Number.isInteger(task.attempt) && typeof task.slots === 'object' }

interface Claimed { instance: string; task: Task; timer: Timer; shownMonoMs: number; /** Ends listening to what becomes of it. */ off(): void }

/** The handler's half of handing over intents. @see ../../appliance/contracts/handlers.ts */
export class Handler {
  readonly #connection: Connection
  readonly #topics: Topics
  readonly #clock: Clock
  readonly #instances = new Map<string, Instance>()
  readonly #declarations = new Map<string, Declaration>()
  readonly #answers = new Map<string, readonly string[]>()
  /** Shown, and not given to anybody as far as is known: for whoever becomes free. */
  readonly #waiting = new Map<string, { task: Task; untilMonoMs: number }>()
  readonly #claimed = new Map<string, Claimed>()
  readonly #held = new Map<string, Held & { off(): void }>()
  /** How the last ones ended; what this flow reported is kept, for an appliance that did not hear it. */
  readonly #ended = new Map<string, { how: string; work?: Work }>()
  #outbox: { topic: string; work: Work }[] = []
  #offerTimer: Timer | undefined
  #offers: (() => void)[] = []

  constructor(connection: Connection, topics: Topics, clock: Clock = systemClock) {
    this.#connection = connection
    this.#topics = topics
    this.#clock = clock
  }

  get #client() { return this.#connection.settings.clientId }

  start(): void {
    const listen = (filter: string, take: (id: string, value: unknown) => void) => this.#connection.subscribe(filter, (message) => take(message.topic.split('/').at(-2)!, parsed(message)))
    this.#offers = [
      listen(this.#topics.task('+'), (_, task) => { if (isTask(task)) this.#shown(task) }).off,
      listen(this.#topics.grant('+'), (id, grant) => this.#granted(id, grant as Grant | undefined)).off,
      listen(this.#topics.handlerReceipt(this.#client), (_, receipt) => this.#receipt(receipt as HandlerReceipt | undefined)).off,
      this.#connection.onState(() => {
        if (this.#connection.ready) void this.#offer()
        else for (const id of [...this.#claimed.keys()]) this.#unclaim(id)?.off()
      }),
    ]
  }

  /** @param withdraw what was declared is gone for good, instead of away until this handler comes back */
  async stop(withdraw: boolean): Promise<void> {
    this.#clock.clearTimeout(this.#offerTimer)
    for (const id of [...this.#claimed.keys()]) this.#unclaim(id)?.off()
    for (const off of this.#offers.splice(0)) off()
    if (!this.#connection.ready) return
    const topic = this.#topics.handlerOffer(this.#client)
    const offline: HandlerOffer = { v: PROTOCOL_VERSION, online: false }
    try { await (withdraw ? this.#connection.publish(topic, undefined, { retain: true }) : this.#connection.publish(topic, offline)) } catch { /* the will says the same */ }
  }

  handle(instance: Instance): () => void {
    this.#instances.set(instance.id, instance)
    this.#offerSoon()
    return () => {
      this.#instances.delete(instance.id)
      for (const held of [...this.#held.values()]) if (held.instance === instance.id) this.report(held.task.id, { state: 'failed', code: 'INTERRUPTED', message: 'the flow was stopped or deployed anew while it carried this out' })
      this.#offerSoon()
    }
  }

  declare(node: string, declaration: Declaration): () => void {
    this.#declarations.set(node, declaration)
    this.#offerSoon()
    return () => {
      this.#declarations.delete(node)
      this.#offerSoon()
    }
  }

  /** Words that a question of this node expects as answer. */
  expect(node: string, answers: readonly string[]): () => void {
    this.#answers.set(node, answers)
    this.#offerSoon()
    return () => {
      this.#answers.delete(node)
      this.#offerSoon()
    }
  }

  running(instance: string): Held[] { return [...this.#held.values()].filter((held) => held.instance === instance) }
  /** Left until the intent must have ended, ms. */
  leftMs(held: Held): number { return Math.max(0, held.untilMonoMs - this.#clock.monoMs()) }
  /** The intent that a message is of: by its id, else by that of the message, which every node keeps. */
  heldBy(reference: { intent?: string | undefined; msgid?: string | undefined }): Held | undefined {
    if (reference.intent !== undefined) return this.#held.get(reference.intent)
    return [...this.#held.values()].find(({ msgid }) => msgid === reference.msgid)
  }
  /** How an intent ended that this handler had, as far as it remembers. */
  endOf(intent: string): string | undefined { return this.#ended.get(intent)?.how }

  /** @throws MtorError ALREADY_FINAL, NOT_FOUND for an intent that is not held, TOO_LARGE for data that cannot be sent */
  report(id: string, { state, code, message, say, data }: Report): void {
    const held = this.#held.get(id)
    if (!held) {
      const end = this.#ended.get(id)?.how
      throw end === undefined ? new MtorError('NOT_FOUND', `this flow does not have the intent ${id}`) : new MtorError('ALREADY_FINAL', `the intent ${id} is finished already: ${end}`)
    }
    const work: Work = {
      v: PROTOCOL_VERSION, handler: this.#client, instance: held.instance, attempt: held.attempt, state,
      ...(code === undefined ? {} : { code }), ...(message ? { message: message.slice(0, 1000) } : {}), ...(say ? { say: say.slice(0, 1000) } : {}), ...(data ? { data } : {}),
    }
    encoded(work)
    if (state !== 'progress') this.#release(held, `this flow reported ${state}`, work)
    this.#outbox.push({ topic: this.#topics.work(id), work })
    void this.#flush()
    this.#becameFree(held.instance)
  }

  async #flush(): Promise<void> {
    while (this.#connection.ready && this.#outbox.length > 0) {
      const first = this.#outbox.shift()!
      // Without acknowledgement it goes again with the connection: the appliance hears a result once.
      try { await this.#connection.publish(first.topic, first.work) } catch { this.#outbox.unshift(first); return }
    }
  }

  #release(held: Held & { off?(): void }, how: string, work?: Work): void {
    held.off?.()
    this.#held.delete(held.task.id)
    this.#ended.set(held.task.id, { how, ...(work ? { work } : {}) })
    if (this.#ended.size > MAX_ENDED) this.#ended.delete(this.#ended.keys().next().value!)
  }

  #offerSoon(): void {
    this.#clock.clearTimeout(this.#offerTimer)
    this.#offerTimer = this.#clock.setTimeout(() => { void this.#offer() }, OFFER_AFTER_MS)
  }

  async #offer(): Promise<void> {
    if (!this.#connection.ready) return
    const declares: DeclaredIntent[] = []
    for (const { intent, told } of this.#declarations.values()) {
      if (declares.some(({ type }) => type === intent.type)) told([{ type: intent.type, code: 'TYPE_TAKEN', message: `${intent.type} is declared by another node already` }], [])
      else declares.push(intent)
    }
    const offer: HandlerOffer = {
      v: PROTOCOL_VERSION, online: true, name: this.#connection.settings.name.slice(0, 80),
      handles: [...new Set([...this.#instances.values()].map(({ type }) => type))].slice(0, 200),
      declares: declares.slice(0, 100), answers: [...new Set([...this.#answers.values()].flat())].slice(0, 200),
    }
    try { await this.#connection.publish(this.#topics.handlerOffer(this.#client), offer, { retain: true }) } catch (error) {
      // Otherwise it is offered again with the next connection.
      if (error instanceof MtorError && error.code === 'TOO_LARGE') for (const { told } of this.#declarations.values()) told([{ code: error.code, message: error.message }], [])
      return
    }
    await this.#flush()
  }

  #receipt(receipt: HandlerReceipt | undefined): void {
    if (!Array.isArray(receipt?.problems)) return
    for (const instance of this.#instances.values()) instance.told(receipt.problems.filter(({ type }) => type === instance.type))
    const seen = new Set<string>()
    for (const { intent, told } of this.#declarations.values()) {
      if (seen.has(intent.type)) continue
      seen.add(intent.type)
      told(receipt.problems.filter(({ type }) => type === intent.type || (type === undefined && !receipt.accepted)), receipt.unknownWords ?? [])
    }
  }

  #shown(task: Task): void {
    const untilMonoMs = this.#clock.monoMs() + task.deadlineMs
    const held = this.#held.get(task.id)
    // The appliance thought us lost: what still runs here goes on, it is not begun a second time.
    if (held) { if (task.attempt > held.attempt) this.#claim(held.instance, task); return }
    const reported = this.#ended.get(task.id)?.work
    if (reported && task.attempt > reported.attempt) return this.#claim(reported.instance, task)
    if (![...this.#instances.values()].some(({ type }) => type === task.type)) return
    this.#waiting.set(task.id, { task, untilMonoMs })
    if (this.#waiting.size > MAX_WAITING) this.#waiting.delete(this.#waiting.keys().next().value!)
    if (this.#claimed.get(task.id)?.task.attempt === task.attempt) return
    const free = [...this.#instances.values()].filter(({ type, id, limit }) => type === task.type && this.#load(id) < limit).sort((a, b) => this.#load(a.id) - this.#load(b.id))[0]
    if (free) this.#claim(free.id, task)
  }

  #load(instance: string): number {
    return this.running(instance).length + [...this.#claimed.values()].filter((claim) => claim.instance === instance).length
  }

  #claim(instance: string, task: Task): void {
    this.#unclaim(task.id)?.off()
    const timer = this.#clock.setTimeout(() => { this.#unclaim(task.id)?.off(); this.#waiting.delete(task.id); this.#becameFree(instance) }, CLAIM_MS)
    const { there, off } = this.#connection.subscribe(this.#topics.intentEvent(task.id), (message) => this.#event(message))
    this.#claimed.set(task.id, { instance, task, timer, shownMonoMs: this.#clock.monoMs(), off })
    // First the ears, then the claim: it may be stopped in the moment it is granted.
    there.then(() => this.#connection.publish(this.#topics.claim(task.id), { v: PROTOCOL_VERSION, handler: this.#client, instance, attempt: task.attempt })).catch(() => { /* shown again */ })
  }

  #unclaim(id: string): Claimed | undefined {
    const claim = this.#claimed.get(id)
    if (claim) this.#clock.clearTimeout(claim.timer)
    this.#claimed.delete(id)
    return claim
  }

  #granted(id: string, grant: Grant | undefined): void {
    if (typeof grant?.handler !== 'string') return
    this.#waiting.delete(id)
    const claim = this.#unclaim(id)
    const held = this.#held.get(id)
    const isOurs = grant.handler === this.#client && grant.attempt === (claim?.task.attempt ?? held?.attempt) && grant.instance === (claim?.instance ?? held?.instance)
    if (held && isOurs) {
      held.attempt = grant.attempt
      if (claim) held.untilMonoMs = claim.shownMonoMs + claim.task.deadlineMs
      claim?.off()
      return
    }
    if (held && grant.attempt > held.attempt) {
      this.#release(held, 'given to another')
      const { type, node } = held.task
      this.#instances.get(held.instance)?.ended(held, { v: PROTOCOL_VERSION, id, type, state: 'aborted', code: 'OUTCOME_UNKNOWN', message: 'given to another handler while the connection was away', node, at: { boot: 0, mono: this.#clock.monoMs() } })
    }
    const reported = this.#ended.get(id)?.work
    if (!held && isOurs && claim && reported && grant.attempt > reported.attempt) {
      // It was done already, and the appliance did not hear so.
      reported.attempt = grant.attempt
      this.#outbox.push({ topic: this.#topics.work(id), work: reported })
      void this.#flush()
    } else if (!held && isOurs && claim) return this.#begin(claim)
    claim?.off()
    if (!held && !claim && grant.handler === this.#client && !this.#ended.has(id)) this.#refuse(id, grant)
    if (claim) this.#becameFree(claim.instance)
  }

  /** It was given to us after we had stopped waiting for it. */
  #refuse(id: string, { instance, attempt }: Grant): void {
    this.#outbox.push({ topic: this.#topics.work(id), work: { v: PROTOCOL_VERSION, handler: this.#client, instance, attempt, state: 'failed', code: 'INTERRUPTED', message: 'granted too late to be begun' } })
    void this.#flush()
  }

  #begin({ task, instance: id, shownMonoMs, off }: Claimed): void {
    const instance = this.#instances.get(id)
    const held = { task, instance: id, msgid: instance?.msgid() ?? '', attempt: task.attempt, untilMonoMs: shownMonoMs + task.deadlineMs, off }
    this.#held.set(task.id, held)
    this.#ended.delete(task.id)
    if (!instance) return this.report(task.id, { state: 'failed', code: 'INTERRUPTED', message: 'the flow was taken away before it began' })
    instance.changed()
    instance.begin(held)
  }

  #event(message: Received): void {
    const event = parsed(message) as IntentEvent | undefined
    if (!event || !isFinal(event.state)) return
    const claim = this.#unclaim(event.id)
    claim?.off()
    if (claim) this.#becameFree(claim.instance)
    const held = this.#held.get(event.id)
    if (!held) return
    this.#release(held, event.code ?? event.state)
    this.#instances.get(held.instance)?.ended(held, event)
    this.#becameFree(held.instance)
  }

  #becameFree(id: string): void {
    const instance = this.#instances.get(id)
    if (!instance) return
    instance.changed()
    const nowMs = this.#clock.monoMs()
    for (const [intent, { task, untilMonoMs }] of this.#waiting) {
      if (untilMonoMs <= nowMs) { this.#waiting.delete(intent); continue }
      if (this.#load(id) >= instance.limit) return
      if (task.type === instance.type && !this.#claimed.has(intent)) this.#claim(id, task)
    }
  }
}
