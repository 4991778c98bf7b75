import type { Clock } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import { manifestValidator, type Manifest } from '../../inference/manifest.ts'
import { difference } from '../../inference/equality.ts'
import type { Answer, TaskName } from '../../inference/port.ts'
import type { Peers } from '../peers/port.ts'
import { unpackOutput } from './cargo.ts'
import { identityOf } from './identity.ts'
import { CHANNEL, replyValidator, type PackedInput, type WorkerReply, type WorkerRequest } from './messages.ts'
import type { Candidate, Others } from './others.ts'
import { isAnswer } from './race.ts'

const MANIFEST_MS = 5_000
/** A known answer is tiny; what takes longer than this is no help. */
const PROBE_MS = 10_000
/** Only who had this many times what was to be expected is to blame for a deadline. */
const FAIR = 2
const BLAMELESS = new Set(['TOO_LARGE', 'NO_MAJORITY', 'MODEL_INVALID'])
/** Left for the answer of a node that gives up by its deadline to arrive. */
const LEAST_MS = 1

export interface AskingOptions {
  peers: Peers
  others: Others
  clock: Clock
  /** The manifest of a model as this node has it, whether its files are here or not. */
  manifest(model: string): Manifest | undefined
  report(event: Omit<SystemEventInput, 'component'>): void
}
export interface Ask { task: TaskName; packed: PackedInput; priority: number; vote?: number; remainingMs: number; signal: AbortSignal }
export interface Told { answer: Answer<TaskName>; file?: Uint8Array }

/**
 * Has other nodes run models, and believes none of it unseen: what comes is checked for its shape, and for the proof that a local
 * worker would have to give too (decision 008). Whoever fails is avoided from then on, until a known answer comes out right.
 */
export class Asking {
  readonly #o: AskingOptions
  readonly #manifests = new Map<string, Manifest>()

  constructor(options: AskingOptions) { this.#o = options }

  /** Manifests that other nodes have told. */
  get told(): readonly Manifest[] { return [...this.#manifests.values()] }

  /** @throws MtorError what the other said, NODE_UNREACHABLE, DEADLINE, CANCELLED, MODEL_UNAVAILABLE (its proof was wrong) */
  async run(candidate: Candidate, { task, packed, priority, vote, remainingMs, signal }: Ask): Promise<Told> {
    const { track, node, rttMs, offered } = candidate
    const { clock } = this.#o
    const { bytes, ...input } = packed
    const startedMs = clock.monoMs()
    track.inFlight++
    try {
      const reply = await this.#ask(candidate, { op: 'run', model: offered.model, identity: offered.identity, task, input, priority, deadlineMs: Math.max(LEAST_MS, Math.ceil(remainingMs - rttMs)), ...(vote === undefined ? {} : { vote }) }, bytes, Math.ceil(remainingMs), signal)
      await this.#believe(candidate, reply, Math.max(LEAST_MS, Math.ceil(remainingMs - (clock.monoMs() - startedMs))), signal)
      return toldBy(node, offered.model, reply)
    } catch (thrown) {
      const error = toMtorError(thrown)
      if (!signal.aborted) this.#judge(candidate, error, remainingMs)
      throw error
    } finally { track.inFlight-- }
  }

  /** One known answer; true where it came out right, and the node may be asked again. */
  async probe(candidate: Candidate, timeoutMs = PROBE_MS): Promise<boolean> {
    const { track, node, offered } = candidate
    return await track.probe(async () => {
      if (!track.circuit.isClosed) track.circuit.probe()
      try {
        await this.#known(candidate, timeoutMs)
        if (track.circuit.proven()) this.#o.report({ severity: 'info', name: 'worker.back', message: `${offered.model} of ${node} is proven and asked again`, data: { node, model: offered.model } })
        return true
      } catch (thrown) {
        const { code, message } = toMtorError(thrown)
        track.lastFault = { code, message }
        if (code === 'BUSY') this.#o.others.full(track)
        track.circuit.fault()
        return false
      }
    })
  }

  async warm({ node, offered }: Candidate, timeoutMs: number): Promise<void> {
    await this.#o.peers.request(node, CHANNEL, { op: 'warm', model: offered.model, identity: offered.identity } satisfies WorkerRequest, { timeoutMs })
  }

  /** The manifest under which a node offers a model: ours where it is the same, else the node's, which must be what its identity says. */
  async manifestOf({ node, offered }: Candidate): Promise<Manifest> {
    const own = this.#o.manifest(offered.model)
    if (own && identityOf(own) === offered.identity) return own
    const known = this.#manifests.get(offered.identity)
    if (known) return known
    const told = await this.#o.peers.request(node, CHANNEL, { op: 'manifest', model: offered.model, identity: offered.identity } satisfies WorkerRequest, { timeoutMs: MANIFEST_MS })
    const manifest = manifestValidator.assert(told, 'MALFORMED', `the manifest of ${offered.model} from ${node}`)
    if (identityOf(manifest) !== offered.identity || manifest.knownAnswers.length === 0) throw new MtorError('MODEL_UNTRUSTED', `${node} offers ${offered.model} under another identity than that of its manifest`)
    this.#manifests.set(offered.identity, manifest)
    return manifest
  }

  async #ask({ node }: Candidate, request: WorkerRequest, bytes: Uint8Array | undefined, timeoutMs: number, signal?: AbortSignal): Promise<WorkerReply & { bytes?: Uint8Array }> {
    const told = await this.#o.peers.request(node, CHANNEL, bytes ? { ...request, bytes } : request, { timeoutMs, ...(signal ? { signal } : {}) })
    const reply = replyValidator.assert(told, 'MALFORMED', `the answer of ${node}`)
    if (reply.bytes !== undefined && !(reply.bytes instanceof Uint8Array)) throw new MtorError('MALFORMED', `the answer of ${node}: bytes that are none`)
    return reply as WorkerReply & { bytes?: Uint8Array }
  }

  /** @throws MtorError MODEL_UNAVAILABLE: it does not prove itself as the load of the model would have to */
  async #believe(candidate: Candidate, { proof, version, provider }: WorkerReply, remainingMs: number, signal: AbortSignal): Promise<void> {
    const { track, node, offered } = candidate
    if (version !== offered.version) throw new MtorError('MODEL_UNAVAILABLE', `${node}: ${offered.model} is of version ${version} now, not ${offered.version}`)
    const manifest = await this.manifestOf(candidate)
    if (manifest.prove === 'idle') {
      // As a load is judged here before its first answer is given out.
      if (!track.isProven) await this.#known(candidate, remainingMs, signal)
      return
    }
    if (!proof) throw unproven(candidate, 'no proof came with the answer')
    const known = manifest.knownAnswers[proof.index]
    if (!known || proof.output === undefined && proof.digest === undefined) throw unproven(candidate, 'nothing came to judge it by')
    const wrong = proof.output === undefined ? undefined : difference(manifest.task as TaskName, known.output, proof.output, known.input)
    if (wrong !== undefined) throw unproven(candidate, `known answer ${proof.index}: ${wrong}`)
    if (proof.digest === undefined) return
    // Its first answer on that provider: what it makes of the known answer is looked at once, as a load is.
    if (!track.digests.has(provider)) {
      if (proof.output === undefined) await this.#known(candidate, remainingMs, signal)
      else track.accept(provider, proof.digest)
    }
    if (track.digests.get(provider) !== proof.digest) throw unproven(candidate, `known answer ${proof.index}: its raw outputs are not those of a right answer`)
  }

  /** Has the node run the first known answer, and judges what comes by our manifest. */
  async #known(candidate: Candidate, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const { offered, track } = candidate
    const manifest = await this.manifestOf(candidate)
    const known = manifest.knownAnswers[0]!
    const reply = await this.#ask(candidate, { op: 'known', model: offered.model, identity: offered.identity, deadlineMs: timeoutMs }, undefined, timeoutMs, signal)
    const wrong = difference(manifest.task as TaskName, known.output, unpackOutput(reply).output, known.input)
    if (wrong !== undefined) throw unproven(candidate, `known answer 0: ${wrong}`)
    if (manifest.prove === 'each' && !reply.proof) throw unproven(candidate, 'no proof came with the answer')
    track.accept(reply.provider, reply.proof?.digest)
  }

  #judge(candidate: Candidate, error: MtorError, givenMs: number): void {
    const { track, node, offered } = candidate
    // A request that is wrong, and what fits on no link, say nothing of the node; of a model that does not fit it its health tells.
    if (isAnswer(error) || BLAMELESS.has(error.code)) return
    if (error.code === 'BUSY') { this.#o.others.full(track); return }
    if (error.code === 'DEADLINE' && givenMs < FAIR * Math.max(candidate.expectedMs, candidate.p95Ms ?? 0)) return
    this.blame(candidate, error, `${node} failed at ${offered.model}`)
  }

  /** From now on the node is not asked for the model, until a probe comes out right. */
  blame({ track, node, offered }: Candidate, error: MtorError, what: string): void {
    if (!this.#o.others.fault(track, error)) return
    this.#o.report({ severity: 'warning', name: 'worker.avoided', code: error.code, message: `${what}: ${error.message}; it is not asked until a known answer comes out right`, data: { node, model: offered.model } })
  }
}

function toldBy(node: string, model: string, reply: WorkerReply & { bytes?: Uint8Array }): Told {
  const { output, file } = unpackOutput(reply)
  const { version, provider, queuedMs, runMs, attempts, proof, vote } = reply
  return { answer: { output: output as unknown as Answer<TaskName>['output'], model, version, provider, queuedMs, runMs, attempts, node, ...(proof ? { proof } : {}), ...(vote ? { vote } : {}) }, ...(file ? { file } : {}) }
}

const unproven = ({ node, offered }: Candidate, why: string) => new MtorError('MODEL_UNAVAILABLE', `${offered.model} of ${node}: ${why}; what it answered is thrown away`, { data: { model: offered.model, node } })
