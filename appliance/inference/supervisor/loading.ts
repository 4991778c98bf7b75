import { isCode } from '../../contracts/codes.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { TrustedModel } from '../manifest.ts'
import type { PlainError } from '../messages.ts'
import type { ModelRecord } from './book.ts'
import { TAKE_MS, type Loss, type WorkerClient } from './client.ts'
import { judgeLoad, judgeProof } from './proof.ts'
import { demote, proven, type Shared } from './shared.ts'

/** The first load of a model, with its warm-up and all known answers. */
const LOAD_MS = 60_000
/** TensorRT builds an engine for this very GPU first; on a Jetson that takes minutes. */
const TENSORRT_LOAD_MS = 15 * 60_000

/** What cannot be had (files, providers) is tried again unasked after a pause that doubles; a request tries it at once. */
const FIRST_PAUSE_MS = 1_000
const LAST_PAUSE_MS = 60_000

/** Why a worker does not have a model: its process is lost, or the model cannot be had and the worker is as before. */
export type Problem = { loss: Loss } | { error: MtorError }

export const plainError = ({ code, message, data }: PlainError): MtorError => new MtorError(isCode(code) ? code : 'INTERNAL', message, data ? { data } : {})

/**
 * Loads a model in a worker and holds all its known answers against the manifest. Faults of it are recorded where they are seen: a lost
 * process by whoever is told of losses, all else here.
 */
export async function load(shared: Shared, worker: WorkerClient, record: ModelRecord): Promise<Problem | undefined> {
  const problem = await loadOnce(shared, worker, record)
  if (!problem) record.loadPauseMs = 0
  else if ('error' in problem) {
    record.loadPauseMs = Math.min(LAST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, record.loadPauseMs * 2))
    record.nextLoadMs = shared.clock.monoMs() + record.loadPauseMs
  }
  return problem
}

async function loadOnce(shared: Shared, worker: WorkerClient, record: ModelRecord): Promise<Problem | undefined> {
  const { policy, event } = shared
  let model: TrustedModel
  try { model = await shared.book.trusted(record) } catch (thrown) {
    const error = toMtorError(thrown, 'MODEL_UNAVAILABLE')
    if (error.code === 'MODEL_UNTRUSTED' && record.state !== 'untrusted') {
      record.state = 'untrusted'
      event({ severity: 'error', name: 'model.untrusted', code: error.code, message: `${record.name}: ${error.message}`, data: { model: record.name } })
    }
    return { error }
  }
  if (!worker.isUp) return { loss: { kind: 'lost', why: 'crash', detail: 'its process went while files were checked', pid: undefined, isKilled: false, isUnheard: true } }
  const { manifest } = model
  const allowed = policy.list(manifest, record.group)
  // Votes are worth most where nothing is shared: a further voter takes the providers the other way round.
  const providers = worker.role === 'extra' ? [...allowed].reverse() : allowed
  if (providers.length === 0) return { error: unavailable(record, 'all its execution providers are put aside for now') }
  if (worker.models.has(record.name)) worker.unload(record.name)
  if (record.state !== 'ready') record.state = 'loading'
  const reply = await worker.ask({ kind: 'load', manifest, folder: model.folder, providers, threads: shared.threads }, providers.includes('tensorrt') ? TENSORRT_LOAD_MS : LOAD_MS)
  if (reply.kind === 'lost') {
    // It is not told on which provider a process died; the first is the likeliest, and is left out of the next try.
    if (!reply.isUnheard && !reply.isKilled && (reply.why === 'crash' || reply.why === 'hang') && providers.length > 1) demote(shared, providers[0]!, { model: record.name }, `a worker was lost while it loaded ${record.name}: ${reply.detail}`)
    if (record.state === 'loading') record.state = 'broken'
    return { loss: reply }
  }
  if (reply.kind === 'failed') return notLoaded(shared, worker, record, providers, plainError(reply.error), reply.gpu ?? false)
  const judged = judgeLoad(manifest, reply.proofs)
  if ('wrong' in judged) {
    lied(shared, worker, record, reply.provider, judged.wrong)
    const loss = { kind: 'lost', why: 'wrong-answer', detail: judged.wrong, pid: worker.pid, isKilled: false } as const
    worker.kill('wrong-answer', judged.wrong)
    record.state = 'broken'
    return { loss }
  }
  for (const { provider, error, isShort } of reply.tried) {
    policy.stillFailing(provider, manifest, record.group)
    // Whoever has the memory now may give it back: without a pause that ends the model would stay where it is.
    if (!isShort) continue
    worker.isSpoilt = true
    demote(shared, provider, { group: record.group }, error)
  }
  if (record.provider !== undefined && record.provider !== reply.provider) { record.pace.forget(); record.proofPace.forget() }
  if (record.provider !== reply.provider || worker.role !== 'extra') { record.provider = reply.provider; record.nodeCounts = reply.nodeCounts }
  worker.models.set(record.name, {
    version: manifest.version, provider: reply.provider, offered: policy.list(manifest, record.group), reference: judged.reference,
    memoryMB: manifest.memoryMB, provenMs: shared.clock.monoMs(), proofMs: 0,
  })
  worker.healthy()
  const tried = reply.tried.length === 0 ? '' : `; not on ${reply.tried.map(({ provider, error }) => `${provider} (${error})`).join(', ')}`
  event({ severity: 'info', name: 'provider.chosen', message: `${worker.name}: ${record.name} runs on ${reply.provider} after ${Math.round(reply.loadMs)} ms${tried}`.slice(0, 1_000), data: { model: record.name, version: manifest.version, worker: worker.name, provider: reply.provider, nodeCounts: reply.nodeCounts, loadMs: Math.round(reply.loadMs) } })
  shared.onProvider({ model: record.name, version: manifest.version, worker: worker.name, provider: reply.provider, nodeCounts: reply.nodeCounts, tried: reply.tried.map(({ provider, error }) => ({ provider, error })) })
  proven(shared, record, worker.group, worker.role !== 'standby')
  return undefined
}

function notLoaded(shared: Shared, worker: WorkerClient, record: ModelRecord, providers: readonly string[], error: MtorError, isGpu: boolean): Problem {
  const detail = `${error.code}: ${error.message}`
  if (isGpu) {
    demote(shared, providers[0]!, { group: record.group }, detail)
    const loss = { kind: 'lost', why: 'provider', detail, pid: worker.pid, isKilled: false } as const
    worker.kill('provider', detail)
    return { loss }
  }
  const isUntrusted = error.code === 'MODEL_UNTRUSTED'
  if (record.state !== 'untrusted') shared.event({ severity: 'error', name: isUntrusted ? 'model.untrusted' : 'model.not-loaded', code: isUntrusted ? error.code : 'MODEL_UNAVAILABLE', message: `${worker.name}: ${record.name} cannot be loaded: ${detail}`, data: { model: record.name, worker: worker.name } })
  const pid = worker.pid
  shared.faults.add({ group: worker.group, worker: worker.name, ...(pid === undefined ? {} : { pid }), model: record.name, kind: 'load', detail, done: 'tried again when it is next asked for, or by a proof after a pause' })
  record.lastFault = { atMs: shared.clock.monoMs(), code: 'load', message: detail }
  record.state = isUntrusted ? 'untrusted' : 'broken'
  // What no provider can load now will not be loadable at the next request either; files may be mended at any time.
  if (!isUntrusted) record.circuit.open()
  return { error: isUntrusted || error.code === 'MODEL_INVALID' ? error : unavailable(record, detail) }
}

/** Runs known answers in a worker that has the model. False where that cost the process, or it had to be ended. */
export async function prove(shared: Shared, worker: WorkerClient, record: ModelRecord): Promise<boolean> {
  const loaded = worker.models.get(record.name)
  if (!loaded) return false
  const { clock } = shared
  const startedMs = clock.monoMs()
  const reply = await worker.ask({ kind: 'prove', model: record.name }, record.proofPace.limitMs(shared.book.timeoutMs(record) * record.manifest.knownAnswers.length + TAKE_MS))
  if (reply.kind === 'lost') return false
  if (reply.kind === 'failed') {
    failed(shared, worker, record, reply.error, reply.gpu ?? false)
    return false
  }
  const wrong = reply.proofs.length === 0 ? 'no proof came' : reply.proofs.map((proof) => judgeProof(record.manifest, loaded.reference, proof)).find((problem) => problem !== undefined)
  if (wrong !== undefined) {
    lied(shared, worker, record, loaded.provider, wrong)
    worker.kill('wrong-answer', wrong)
    return false
  }
  loaded.provenMs = clock.monoMs()
  loaded.proofMs = loaded.provenMs - startedMs
  worker.isProofUrgent = false
  record.proofPace.add(loaded.proofMs)
  proven(shared, record, worker.group, worker.role !== 'standby')
  return true
}

/** The model's own code or its provider failed: the process is of no more use. */
export function failed(shared: Shared, worker: WorkerClient, record: ModelRecord, error: PlainError, isGpu: boolean): void {
  const provider = worker.models.get(record.name)?.provider
  if (isGpu && provider !== undefined) demote(shared, provider, { group: record.group }, error.message)
  worker.kill(isGpu ? 'provider' : 'failed', error.message)
}

/** A known answer came out wrong. */
export function lied(shared: Shared, worker: WorkerClient, record: ModelRecord, provider: string, wrong: string): void {
  shared.event({ severity: 'error', name: 'model.lied', code: 'MODEL_UNAVAILABLE', message: `${worker.name}: ${record.name} on ${provider}: ${wrong}; what it answered is thrown away`, data: { model: record.name, worker: worker.name, provider } })
  demote(shared, provider, { model: record.name }, wrong)
}

export function unavailable(record: ModelRecord, why: string): MtorError {
  const { retryAfterMs } = record.circuit
  return new MtorError('MODEL_UNAVAILABLE', `${record.name}: ${why}`, { data: { model: record.name, ...(retryAfterMs > 0 ? { retryAfterMs: Math.round(retryAfterMs) } : {}) } })
}
