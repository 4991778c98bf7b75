import type { Clock, Timer } from '../contracts/clock.ts'
import { isCode } from '../contracts/codes.ts'
import { PROTOCOL_VERSION, type Source } from '../contracts/envelope.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import { definitionOf, NOBODY, type Claim, type DeclaredIntent, type Grant, type HandlerOffer, type HandlerReceipt, type Task, type Work } from '../contracts/handlers.ts'
import type { Hub } from '../contracts/hub.ts'
import { uuidv7 } from '../contracts/ids.ts'
import { declareIntents, intentDefinition, intentPolicy, isBuiltIn } from '../contracts/intents.ts'
import type { Topics } from '../contracts/topics.ts'
import type { SkillResult } from '../skills/port.ts'

/** A task that nobody claims is shown again after this: a subscriber may have come since. */
const SHOW_AGAIN_MS = 500
/** How long a type may be without a handler before its intents fail: a flow runtime that is started again is back by then. */
const WITHOUT_HANDLER_MS = 10_000
const KEY = 'handlers/'
const MOST_OVER = 1_000

export type DeclarationProblem = HandlerReceipt['problems'][number]
/** What a handler has said, as far as it is in force. Kept over restarts, so that an intent of a declared type is never of an unknown one. */
interface Known { handles: string[]; declares: DeclaredIntent[]; answers: string[]; name?: string | undefined }
export interface HandlerStatus { client: string; name?: string | undefined; online: boolean; handles: string[]; declares: string[] }

export interface HandlersOptions {
  hub: Hub
  clock: Clock
  topics: Topics
  values: { put(key: string, value: unknown): Promise<void>; read(key: string): Promise<unknown>; keys(prefix: string): Promise<string[]> }
  publish(topic: string, payload: unknown, options?: { retain?: boolean; qos?: 0 | 1 }): void
  /** What is wrong with the sentences of `declares` beside those of `others`. */
  check(declares: readonly DeclaredIntent[], others: readonly DeclaredIntent[]): readonly DeclarationProblem[]
  /** Understanding and ears learn these sentences in place of those before. */
  learn(declares: readonly DeclaredIntent[], answers: readonly string[]): Promise<{ unknownWords: readonly string[] }>
  /** Built-in types that a handler may carry out, since the box itself cannot. */
  isVacant(type: string): boolean
}

/** One intent on its way to, or with, a handler. */
interface Open {
  task: Omit<Task, 'deadlineMs'>
  untilMs: number
  holder?: { handler: string; instance: string }
  ended: PromiseWithResolvers<SkillResult>
  progress(data: Record<string, unknown>): void
  timer?: Timer
  withoutSinceMs: number
  /** A proof that the handlers of this node work: those of others prove nothing. */
  isProbe: boolean
}

/**
 * The core's side of handlers: who declares and handles which types, and which one has which intent. It alone grants, on
 * one thread, so an intent has one holder at most; who claims late is told who has it.
 */
export class Handlers {
  readonly #o: HandlersOptions
  readonly #known = new Map<string, Known>()
  readonly #online = new Set<string>()
  /** Of what is in force: told with every receipt, since an editor may come later. */
  #unknownWords: readonly string[] = []
  /** Those of them that are connected to another node. */
  readonly #elsewhere = new Set<string>()
  readonly #open = new Map<string, Open>()
  /** Intents that were shown here and are over: who asks for one late is told so. Of others this node knows nothing, another may have given them away. */
  readonly #over = new Set<string>()
  readonly #listeners: (() => void)[] = []
  /** Offers are taken one after another. */
  #turn: Promise<void> = Promise.resolve()

  constructor(options: HandlersOptions) { this.#o = options }

  /** Takes up what was declared before the restart. To be called before accepted intents are taken up again. */
  async start(): Promise<void> {
    for (const key of await this.#o.values.keys(KEY)) {
      const known = await this.#o.values.read(key) as Known | undefined
      if (known) this.#known.set(key.slice(KEY.length), known)
    }
    if (this.#known.size > 0) void this.#apply().catch((error: unknown) => this.#told('declarations.broken', error))
  }

  stop(): void {
    for (const open of this.#open.values()) this.#o.clock.clearTimeout(open.timer)
  }

  /** Called after types or handlers have come or gone. */
  onChange(listener: () => void): void { this.#listeners.push(listener) }

  status(): HandlerStatus[] { return [...this.#known].map(([client, { name, handles, declares }]) => ({ client, ...(name === undefined ? {} : { name }), online: this.#online.has(client), handles, declares: declares.map(({ type }) => type) })) }
  declared(): { client: string; intent: DeclaredIntent }[] { return [...this.#known].flatMap(([client, { declares }]) => declares.map((intent) => ({ client, intent }))) }
  /** True where some handler is there for the type. */
  handles(type: string): boolean { return [...this.#online].some((client) => this.#known.get(client)?.handles.includes(type)) }
  /** True where intents of the type are for handlers: declared ones always, those that the box cannot carry out while a handler is there. */
  takes(type: string): boolean { return isBuiltIn(type) ? this.#o.isVacant(type) && this.handles(type) : intentDefinition(type) !== undefined }

  /**
   * What a client offers; undefined: it withdraws everything. What becomes of it is published on its receipt topic. Never rejects.
   * @param isElsewhere it is connected to another node of the realm
   */
  offer(client: string, offer: HandlerOffer | undefined, isElsewhere = false): Promise<void> {
    if (isElsewhere) this.#elsewhere.add(client); else this.#elsewhere.delete(client)
    if (offer && !offer.online) { this.gone(client); return Promise.resolve() }
    if (offer) this.#online.add(client)
    return this.#turn = this.#turn.then(() => this.#take(client, offer)).catch((error: unknown) => {
      const { code, message } = toMtorError(error)
      this.#receipt(client, { accepted: false, problems: [{ code, message }] })
    })
  }

  /** Forgets a handler that will not come back. @throws MtorError NOT_FOUND */
  async forget(client: string): Promise<void> {
    if (!this.#known.has(client)) throw new MtorError('NOT_FOUND', `no handler ${client}`)
    await this.offer(client, undefined)
  }

  /** Its connection is gone: what it holds ends, what it declared stays. */
  gone(client: string): void {
    if (!this.#online.delete(client)) return
    for (const open of this.#open.values()) if (open.holder?.handler === client) this.#lost(open, `handler ${client} went away`)
    this.#changed()
  }

  async #take(client: string, offer: Extract<HandlerOffer, { online: true }> | undefined): Promise<void> {
    const before = this.#known.get(client)
    if (!offer) {
      if (!before) return
      await this.#o.values.put(KEY + client, undefined)
      this.#known.delete(client)
      this.#online.delete(client)
      await this.#apply()
      return this.#receipt(client, { accepted: true, problems: [] })
    }
    const problems: DeclarationProblem[] = []
    const others = [...this.#known].filter(([other]) => other !== client).flatMap(([other, { declares }]) => declares.map((intent) => ({ other, intent })))
    const mine: DeclaredIntent[] = []
    for (const intent of offer.declares) {
      const { type } = intent
      const taken = isBuiltIn(type) ? 'the appliance itself' : mine.some((each) => each.type === type) ? 'this flow already' : others.find((each) => each.intent.type === type && JSON.stringify(each.intent) !== JSON.stringify(intent))?.other
      if (taken) problems.push({ type, code: 'TYPE_TAKEN', message: `${type} is declared by ${taken}` })
      else mine.push(intent)
    }
    const foreign = others.map(({ intent }) => intent).filter(({ type }) => !mine.some((each) => each.type === type))
    problems.push(...this.#o.check(mine, foreign))
    const declares = mine.filter(({ type }) => !problems.some((problem) => problem.type === type))
    for (const type of offer.handles) if (isBuiltIn(type) && !this.#o.isVacant(type)) problems.push({ type, code: 'TYPE_TAKEN', message: `${type} is carried out by the appliance itself; a flow can watch it with the node "event in", or submit it` })
    const known: Known = { handles: offer.handles.filter((type) => !isBuiltIn(type) || this.#o.isVacant(type)), declares, answers: offer.answers, ...(offer.name === undefined ? {} : { name: offer.name }) }
    if (JSON.stringify(known) !== JSON.stringify(before)) {
      await this.#o.values.put(KEY + client, known)
      this.#known.set(client, known)
      if (JSON.stringify([known.declares, known.answers]) !== JSON.stringify([before?.declares ?? [], before?.answers ?? []])) await this.#apply()
    }
    this.#changed()
    this.#receipt(client, { accepted: true, problems, ...(this.#unknownWords.length > 0 ? { unknownWords: [...this.#unknownWords] } : {}) })
    for (const { type, code, message } of problems) this.#o.hub.system({ severity: 'warning', component: 'dispatch', name: 'declaration.refused', code, message, data: { handler: client, ...(type === undefined ? {} : { type }) } })
  }

  /** Makes everything that is declared known. */
  async #apply(): Promise<void> {
    const byType = new Map(this.declared().map(({ intent }) => [intent.type, intent]))
    declareIntents([...byType.values()].map(definitionOf))
    this.#changed()
    const { unknownWords } = await this.#o.learn([...byType.values()], [...new Set([...this.#known.values()].flatMap(({ answers }) => answers))])
    this.#unknownWords = unknownWords
  }

  #changed(): void {
    for (const open of this.#open.values()) if (!open.holder) this.#show(open)
    for (const listener of this.#listeners) listener()
  }

  #receipt(client: string, told: Pick<HandlerReceipt, 'accepted' | 'problems' | 'unknownWords'>): void {
    const receipt: HandlerReceipt = { v: PROTOCOL_VERSION, ...told, at: this.#o.hub.now() }
    this.#o.publish(this.#o.topics.handlerReceipt(client), receipt, { qos: 1 })
  }

  #told(name: string, thrown: unknown): void {
    const { code, message } = toMtorError(thrown)
    this.#o.hub.system({ severity: 'error', component: 'dispatch', name, code, message })
  }

  /** An intent of no journal, for proofs: goes the same way to a handler and back. @throws MtorError NO_HANDLER, DEADLINE or what the handler reports */
  async probe(type: string, slots: Record<string, unknown>, timeoutMs: number): Promise<SkillResult> {
    const late = new AbortController()
    const timer = this.#o.clock.setTimeout(() => late.abort(new MtorError('DEADLINE', `${type} was not answered within ${timeoutMs} ms`)), timeoutMs)
    try {
      return await this.run({ id: uuidv7(), type, slots, source: { kind: 'system', node: this.#o.hub.node } }, { deadlineMs: timeoutMs, signal: late.signal, progress: () => {}, isProbe: true })
    } finally { this.#o.clock.clearTimeout(timer) }
  }

  /**
   * Has exactly one handler carry out an intent. The signal takes it away from whoever has it; that one learns so by the
   * intent's final event.
   * @throws MtorError NO_HANDLER where nobody is there for it, or it was lost and may be done again; OUTCOME_UNKNOWN where it was lost and may not
   */
  async run({ id, type, slots, source }: { id: string; type: string; slots: Record<string, unknown>; source: Source }, { deadlineMs, signal, progress, isProbe = false }: { deadlineMs: number; signal: AbortSignal; progress(data: Record<string, unknown>): void; isProbe?: boolean }): Promise<SkillResult> {
    const { clock, hub } = this.#o
    signal.throwIfAborted()
    const nowMs = clock.monoMs()
    const open: Open = { task: { v: PROTOCOL_VERSION, id, type, slots, source, attempt: 1, node: hub.node }, untilMs: nowMs + deadlineMs, ended: Promise.withResolvers(), progress, withoutSinceMs: nowMs, isProbe }
    this.#open.set(id, open)
    const abort = () => open.ended.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#show(open)
    try { return await open.ended.promise } finally {
      signal.removeEventListener('abort', abort)
      clock.clearTimeout(open.timer)
      this.#open.delete(id)
      this.#over.add(id)
      if (this.#over.size > MOST_OVER) this.#over.delete(this.#over.values().next().value!)
    }
  }

  #show(open: Open): void {
    const { clock, publish, topics } = this.#o
    const { type, id } = open.task
    clock.clearTimeout(open.timer)
    const nowMs = clock.monoMs()
    if (this.handles(type)) {
      open.withoutSinceMs = nowMs
      const task: Task = { ...open.task, deadlineMs: Math.max(0, Math.round(open.untilMs - nowMs)) }
      publish(topics.task(id), task, { qos: 1 })
    } else if (nowMs - open.withoutSinceMs >= WITHOUT_HANDLER_MS) return open.ended.reject(new MtorError('NO_HANDLER', `no flow that handles ${type} is running`))
    open.timer = clock.setTimeout(() => this.#show(open), SHOW_AGAIN_MS)
  }

  /** A handler asks for an intent. Every claim is answered by a grant that says who has it: nobody where it is over, or where a later attempt is shown. */
  claim(id: string, { handler, instance, attempt }: Claim): void {
    const open = this.#open.get(id)
    if (!open && !this.#over.has(id)) return
    if (!open || attempt !== open.task.attempt) {
      const over: Grant = { v: PROTOCOL_VERSION, handler: NOBODY, instance: NOBODY, attempt }
      return this.#o.publish(this.#o.topics.grant(id), over, { qos: 1 })
    }
    if (!open.holder && !(open.isProbe && this.#elsewhere.has(handler)) && this.#online.has(handler) && this.#known.get(handler)?.handles.includes(open.task.type)) {
      open.holder = { handler, instance }
      this.#o.clock.clearTimeout(open.timer)
    }
    if (!open.holder) return
    const grant: Grant = { v: PROTOCOL_VERSION, ...open.holder, attempt }
    this.#o.publish(this.#o.topics.grant(id), grant, { qos: 1 })
  }

  /** What a holder reports; of anybody else it is not heard. */
  work(id: string, { handler, instance, attempt, state, code, message, say, data }: Work): void {
    const open = this.#open.get(id)
    if (open?.holder?.handler !== handler || open.holder.instance !== instance || attempt !== open.task.attempt) return
    if (state === 'progress') open.progress({ ...data, ...(message === undefined ? {} : { message }) })
    else if (state === 'succeeded') open.ended.resolve({ say: say ?? 'Done.', ...(data ? { data } : {}) })
    else open.ended.reject(new MtorError(isCode(code) ? code : 'FLOW_INVALID', message ?? `the flow that handles ${open.task.type} failed`, { ...(say === undefined ? {} : { say }), ...(data ? { data } : {}) }))
  }

  #lost(open: Open, why: string): void {
    const { task } = open
    // A probe is of no catalogue and harms nobody.
    if (intentPolicy(task.type)?.repeatable === false) return open.ended.reject(new MtorError('OUTCOME_UNKNOWN', `${task.type}: ${why} while it had it`))
    delete open.holder
    open.task = { ...task, attempt: task.attempt + 1 }
    open.withoutSinceMs = this.#o.clock.monoMs()
    this.#show(open)
  }
}
