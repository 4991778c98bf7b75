import { writeFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Hub } from '../../contracts/hub.ts'
import type { WorkerHealth, WorkerOffer } from '../../contracts/telemetry.ts'
import type { Manifest } from '../../inference/manifest.ts'
import type { Answer, Inference, InferenceStatus, RunOptions, TaskName, Tasks, Throttle } from '../../inference/port.ts'
import type { Peers } from '../peers/port.ts'
import { Asking } from './asking.ts'
import { outputFile, packInput, withOutputFile } from './cargo.ts'
import { expectedMs } from './expected.ts'
import { identityOf } from './identity.ts'
import { Local, type LocalModel, type LocalOptions } from './local.ts'
import { CHANNEL, type PackedInput } from './messages.ts'
import { News } from './news.ts'
import { Others, type Candidate } from './others.ts'
import { firstRight, type Place } from './race.ts'
import { Serving } from './serving.ts'
import { Shelf } from './shelf.ts'
import { poll } from './voting.ts'

const DEFAULT_PRIORITY = 5
/** Somebody waits to hear an answer of this priority, or a lower number. */
const VOICE_PRIORITY = 2
/** Places asked for one request: what breaks one worker after the other must not go round the whole realm. */
const MOST_PLACES = 3
const MOST_VOTES = 9
const PROBE_TICK_MS = 250
const WARM_MS = 5 * 60_000

export interface RealmInferenceOptions extends Omit<LocalOptions, 'supervisor' | 'isHere'> {
  supervisor: Inference
  isHere?: LocalOptions['isHere']
  peers: Peers
  hub: Hub
  /** Of this process alone, for files of other nodes. */
  folder: string
  /** Votes of a model, where whoever asks gives no number. */
  votesOf?(model: string): number | undefined
  cores: number
}

type Answered = Answer<TaskName> & { aside?: string }
interface Job { task: TaskName; model: string; input: Record<string, unknown>; options: RunOptions; pack(): Promise<PackedInput>; target: string | undefined }

/**
 * Inference of the whole realm behind the port of one node's: here where that can be done at once, else at the node that is
 * likely to answer first. Whoever fails is left out at once. Other nodes are answered with this node's own workers.
 */
export class RealmInference implements Inference {
  readonly #o: RealmInferenceOptions
  readonly #local: Local
  readonly #others: Others
  readonly #asking: Asking
  readonly #shelf: Shelf
  readonly #serving: Serving
  readonly #news: News
  #off: (() => void)[] = []
  #timer: Timer | undefined
  #warming = new Set<string>()

  constructor(options: RealmInferenceOptions) {
    const { peers, hub, clock, folder, cores, isHere = async () => true } = options
    this.#o = options
    this.#local = new Local({ ...options, isHere })
    this.#others = new Others(peers, clock)
    this.#shelf = new Shelf(folder, clock)
    this.#serving = new Serving(this.#local, this.#shelf)
    this.#asking = new Asking({ peers, others: this.#others, clock, manifest: (model) => this.#local.manifest(model), report: (event) => { hub.system({ component: 'inference', ...event }) } })
    this.#news = new News({ peers, hub, clock, cores, local: this.#local, others: this.#others, onHeard: (node) => { this.#learn(node) } })
  }

  /** Tells what is offered here, and how this node and those it has lost are; all that was told last at once. */
  publish(listener: (kind: 'offer' | 'health', payload: WorkerOffer | WorkerHealth) => void): void { this.#news.publish(listener) }

  async start(): Promise<void> {
    if (this.#timer) return
    await this.#shelf.start()
    this.#off = [this.#o.peers.serve(CHANNEL, (_, message, signal) => this.#serving.serve(message, signal))]
    this.#tick()
    // Files may have to be hashed, which nobody waits for.
    void this.#local.look().catch((error: unknown) => { this.#report('warning', 'look.failed', toMtorError(error).message, {}) }).then(() => { if (this.#timer) this.#news.start() })
  }

  /** Stopping twice is fine. */
  async stop(): Promise<void> {
    this.#o.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    for (const off of this.#off.splice(0)) off()
    this.#serving.stop()
    this.#news.stop()
    await this.#shelf.stop()
  }

  async run<T extends TaskName>(task: T, model: string, input: Tasks[T]['input'], options: RunOptions): Promise<Answer<T>> {
    const votes = Math.min(MOST_VOTES, Math.max(1, Math.floor(options.vote ?? this.#o.votesOf?.(model) ?? 1)))
    const local = this.#local.model(model)
    const candidates = this.#candidates(model).filter(({ offered }) => offered.task === task)
    // As in a realm of one node.
    if (candidates.length === 0) return { ...await this.#local.run(task, model, input, { ...options, vote: votes }), node: this.#o.peers.self }
    const fields = input as Record<string, unknown>
    let packed: Promise<PackedInput> | undefined
    const job: Job = { task, model, input: fields, options, pack: () => packed ??= packInput(task, fields), target: outputFile(task, fields) }
    const nodes = candidates.length + (local && local.score > 0 ? 1 : 0)
    const { aside, ...answer } = votes > 1 && 2 * Math.min(nodes, votes) > votes ? await this.#vote(job, votes, local, candidates) : await this.#first(job, votes, local, candidates)
    if (aside !== undefined && job.target !== undefined) await this.#shelf.moveOut(aside, job.target)
    return answer as Answer<T>
  }

  async warm(model: string): Promise<void> {
    const [candidate] = this.#candidates(model)
    if (this.#local.model(model) || !candidate) await this.#local.warm(model)
    else await this.#asking.warm(candidate, WARM_MS)
  }

  throttle(throttle: Throttle): void { this.#o.supervisor.throttle(throttle) }
  /** Of this node. */
  status(): InferenceStatus { return this.#o.supervisor.status() }

  /** Models of the library, and those that only other nodes have. */
  models(): Manifest[] {
    const own = this.#o.library.list()
    return [...own, ...this.#asking.told.filter(({ name }) => !own.some((manifest) => manifest.name === name))]
  }

  /** Something has happened to inference here: what is known of it is looked at anew, and told. */
  touch(): void {
    this.#local.forget()
    this.#news.soon()
  }

  /** Nodes that would be asked for a model now, the quickest first. */
  seen(model: string): string[] { return this.#candidates(model).map(({ node }) => node) }

  /** In short, for the state of the box. */
  summary(): Record<string, unknown> { return { ...this.#news.summary(), serving: this.#serving.running, served: this.#serving.answered } }

  /** A model that is here is only ever taken to be the same elsewhere; one that is not may be of another version than this appliance came with. */
  #candidates(model: string): Candidate[] {
    const own = this.#local.manifest(model)
    const same = own ? this.#others.candidates(model, identityOf(own)) : []
    if (same.length > 0 || this.#local.isHere(model)) return same
    const identity = this.#others.identityOf(model)
    return identity === undefined ? [] : this.#others.candidates(model, identity)
  }

  /** One answer: here where that goes at once, else the quickest first. */
  async #first(job: Job, votes: number, local: LocalModel | undefined, candidates: readonly Candidate[]): Promise<Answered> {
    const { model, options } = job
    const places = this.#ranked(job, local, candidates, votes)
    return await firstRight({
      places, clock: this.#o.clock, what: model, deadlineMs: options.deadlineMs, signal: options.signal, most: MOST_PLACES,
      hedge: votes === 1 && (options.hedge ?? (options.priority ?? DEFAULT_PRIORITY) <= VOICE_PRIORITY),
      onHedge: (slow) => { this.#report('debug', 'hedged', `${model}: ${slow} is slow; another node is asked too`, { model, node: slow }) },
    })
  }

  async #vote(job: Job, votes: number, local: LocalModel | undefined, candidates: readonly Candidate[]): Promise<Answered> {
    const { task, model, input, options } = job
    const { hub, peers, clock } = this.#o
    const places = this.#ranked(job, local, candidates, 1).slice(0, votes)
    try {
      const { winner, agreed, dissenters, lost } = await poll({ task, model, input, places, asked: votes, clock, deadlineMs: options.deadlineMs, signal: options.signal })
      for (const node of dissenters) {
        const what = `${model}: ${node} was outvoted by ${agreed} of ${votes}`
        this.#report('warning', 'vote.dissent', what, { model, node, asked: votes, agreed, lost })
        const candidate = candidates.find((one) => one.node === node)
        if (candidate) this.#asking.blame(candidate, new MtorError('MODEL_UNAVAILABLE', what), `${node} dissents`)
      }
      return { ...winner.answer, vote: { asked: votes, agreed, dissenters } }
    } catch (thrown) {
      const error = toMtorError(thrown)
      if (error.code === 'NO_MAJORITY') hub.system({ severity: 'warning', component: 'inference', name: 'vote.undecided', code: error.code, message: error.message, data: { ...error.data, node: peers.self } })
      throw error
    }
  }

  #ranked(job: Job, local: LocalModel | undefined, candidates: readonly Candidate[], votes: number): Place<Answered>[] {
    const all: { expectedMs: number; place: Place<Answered> }[] = candidates.map((candidate) => ({ expectedMs: candidate.expectedMs, place: this.#there(job, candidate, votes) }))
    if (local) {
      const { status: { state, p50Ms }, queue, score } = local
      const isLoaded = state === 'ready'
      const isFree = isLoaded && score > 0 && queue < this.#local.workerCount
      if (!isLoaded && score > 0) this.#warmSoon(local.manifest.name)
      all.push({ expectedMs: isFree ? 0 : score > 0 ? expectedMs({ p50Ms, queue, rttMs: 0, isLoaded }) : Infinity, place: this.#here(job, local, votes) })
    }
    return all.sort((a, b) => a.expectedMs - b.expectedMs).map(({ place }) => place)
  }

  #here({ task, model, input, options, target }: Job, { status: { p95Ms } }: LocalModel, vote: number): Place<Answered> {
    const { self } = this.#o.peers
    return {
      name: self, p95Ms,
      run: async (signal, deadlineMs) => {
        // Two may write: each writes aside, and only the one whose answer is used counts.
        const aside = target === undefined ? undefined : this.#shelf.place(extname(target))
        const given = aside === undefined ? input : withOutputFile(task, input, aside)
        try {
          return { ...await this.#local.run(task, model, given as never, { ...options, deadlineMs, signal, vote }), node: self, ...(aside === undefined ? {} : { aside }) }
        } catch (error) {
          if (aside !== undefined) await this.#shelf.drop(aside, true)
          this.#news.soon()
          throw error
        }
      },
    }
  }

  #there({ task, pack, options, target }: Job, candidate: Candidate, vote: number): Place<Answered> {
    return {
      name: candidate.node, p95Ms: candidate.p95Ms,
      run: async (signal, remainingMs) => {
        const packed = await pack()
        if (signal.aborted) throw new MtorError('CANCELLED', `${candidate.offered.model}: cancelled before ${candidate.node} was asked`)
        const { answer, file } = await this.#asking.run(candidate, { task, packed, priority: options.priority ?? DEFAULT_PRIORITY, remainingMs, signal, ...(vote > 1 ? { vote } : {}) })
        if (file === undefined || target === undefined || signal.aborted) return answer
        const aside = this.#shelf.place(extname(target))
        await writeFile(aside, file).catch((error: unknown) => { throw new MtorError('DISK_FULL', `${aside}: ${String(error)}`, { cause: error }) })
        return { ...answer, aside }
      },
    }
  }

  /** What a node offers under a name that is unknown here is judged by its own manifest, which is asked for ahead. */
  #learn(node: string): void {
    for (const candidate of this.#others.offeredBy(node)) this.#asking.manifestOf(candidate).catch(() => { /* Told when it is asked to run. */ })
  }

  /** It is loaded here meanwhile, so that the next request finds it. */
  #warmSoon(model: string): void {
    if (this.#warming.has(model)) return
    this.#warming.add(model)
    this.#local.warm(model).catch(() => { /* The supervisor has told why. */ }).finally(() => { this.#warming.delete(model) })
  }

  /** Tries again whom it avoids, when that is due. */
  #tick(): void {
    this.#timer = this.#o.clock.setTimeout(() => {
      for (const candidate of this.#others.due()) void this.#asking.probe(candidate)
      this.#tick()
    }, PROBE_TICK_MS)
  }

  #report(severity: 'debug' | 'warning', name: string, message: string, data: Record<string, unknown>): void { this.#o.hub.system({ severity, component: 'inference', name, message, data }) }
}
