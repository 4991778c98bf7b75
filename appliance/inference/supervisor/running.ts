import { isCode } from '../../contracts/codes.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Answer, TaskName } from '../port.ts'
import type { Loss, WorkerClient } from './client.ts'
import type { Group } from './group.ts'
import { inputKey } from './input-key.ts'
import { failed, lied, plainError, unavailable } from './loading.ts'
import { judgeProof } from './proof.ts'
import type { LossKind, Quarantined } from './quarantine.ts'
import type { Request } from './request.ts'
import { proven } from './shared.ts'
import { tally } from './vote.ts'

/** A worker that has nothing to do takes a request within a millisecond or two; after this long another is asked as well. */
const SLOW_TO_TAKE_MS = 30
/** Runs of one request that may cost a worker, and times that anything else may be in its way. */
const MOST_LOSSES = 2
const MOST_MISHAPS = 3

/** One run of a request in one worker, from loading to the answer; what goes wrong is judged, and tried again where that makes sense. */
export async function carryOut(group: Group, request: Request, worker: WorkerClient): Promise<void> {
  const { record } = request
  const isFirst = request.attempts === 0
  request.begin(worker.name)
  try {
    const problem = await group.ensure(worker, record)
    if (problem) {
      request.running--
      if ('loss' in problem) await lost(group, request, worker, problem.loss, false)
      else refused(group, request, problem.error)
      return
    }
    // Its deadline passed, or somebody else was faster.
    if (request.isSettled) { request.running--; return }
    if (request.input === undefined) { request.running--; request.loaded(); return }
    await run(group, request, worker, request.input, isFirst)
  } catch (thrown) {
    // An input that cannot be sent to another process.
    request.fail(toMtorError(thrown, 'USAGE'))
  }
}

async function run(group: Group, request: Request, worker: WorkerClient, input: Record<string, unknown>, isFirst: boolean): Promise<void> {
  const { shared } = group
  const { record } = request
  const { manifest, pace } = record
  const loaded = worker.models.get(record.name)!
  const mostMs = shared.book.timeoutMs(record)
  const startedMs = shared.clock.monoMs()
  const isProven = manifest.prove === 'each'
  const reply = await worker.ask(
    { kind: 'run', model: record.name, input, prove: isProven }, isFirst && request.losses === 0 ? pace.limitMs(mostMs, request.inputBytes) : mostMs,
    { afterMs: pace.suspicionMs(request.inputBytes), takeMs: SLOW_TO_TAKE_MS, call: () => { group.hedge(request) } })
  request.running--
  if (reply.kind === 'lost') { await lost(group, request, worker, reply, true); return }
  if (reply.kind === 'failed') {
    const error = plainError(reply.error)
    // What the task says of the input is an answer. All else is a fault of the model or of its provider.
    if (!reply.gpu && isCode(reply.error.code) && error.code !== 'MODEL_UNAVAILABLE' && error.code !== 'INTERNAL') {
      if (request.votes > 1) noVote(group, request, error)
      else request.fail(error)
      return
    }
    failed(shared, worker, record, reply.error, reply.gpu ?? false)
    await again(group, request, unavailable(record, reply.error.message), reply.gpu ? 'mishap' : 'loss')
    return
  }
  const wrong = isProven ? judgeProof(manifest, loaded.reference, reply.proof) : undefined
  if (wrong !== undefined) {
    lied(shared, worker, record, loaded.provider, wrong)
    worker.kill('wrong-answer', wrong)
    await again(group, request, unavailable(record, wrong), 'mishap')
    return
  }
  const nowMs = shared.clock.monoMs()
  if (!reply.prepared) pace.add(nowMs - startedMs, request.inputBytes)
  if (isProven) { loaded.provenMs = nowMs; worker.isProofUrgent = false }
  proven(shared, record, group.name, worker.role !== 'standby' || request.attempts > 1, true)
  if (shared.quarantine.suspects(record.name)) shared.quarantine.right(await inputKey(record.task, record.name, manifest.version, input))
  const answer: Answer<TaskName> = {
    output: reply.output as Answer<TaskName>['output'], model: record.name, version: loaded.version, provider: loaded.provider,
    queuedMs: request.queuedMs ?? 0, runMs: reply.runMs, attempts: request.attempts, ...(reply.proof ? { proof: reply.proof } : {}),
  }
  if (request.votes === 1) { request.succeed(answer); return }
  request.cast.push({ worker: worker.name, output: answer.output, answer })
  count(group, request)
}

/** A worker's process was lost over it, while it loaded the model or ran the input. */
async function lost(group: Group, request: Request, worker: WorkerClient, loss: Loss, isRun: boolean): Promise<void> {
  const { shared } = group
  const { record, input } = request
  if (loss.isUnheard) { await again(group, request, unavailable(record, loss.detail), 'nothing'); return }
  const kind: LossKind | undefined = loss.isKilled ? 'killed' : loss.why === 'crash' || loss.why === 'hang' || loss.why === 'memory' ? loss.why : undefined
  // Answered by another meanwhile: then the input is not to blame.
  if (isRun && kind && input && !request.isAnswered) {
    const { name: model, task, manifest: { version } } = record
    const entry = shared.quarantine.lost({ key: await inputKey(task, model, version, input), task, model, version, input }, kind, `${worker.name}: ${loss.detail}`)
    if (entry) {
      shared.event({ severity: 'warning', name: 'model.poison', code: 'POISON', message: `${model}: an input has cost two workers and is run no more: ${entry.input}`, data: { model, key: entry.key, reasons: entry.reasons } })
      request.fail(poison(entry))
      return
    }
  }
  await again(group, request, unavailable(record, `${loss.why}: ${loss.detail}`), isRun && loss.why !== 'stopped' && loss.why !== 'provider' ? 'loss' : 'mishap')
}

/** Once more, where there has not been too much of it and nobody else is still at it. */
async function again(group: Group, request: Request, error: MtorError, what: 'loss' | 'mishap' | 'nothing'): Promise<void> {
  if (what === 'loss') request.losses++
  if (what === 'mishap') request.mishaps++
  if (request.isSettled || request.running > 0 && request.votes === 1) return
  if (request.votes > 1) noVote(group, request, error)
  else if (request.losses >= MOST_LOSSES || request.mishaps >= MOST_MISHAPS) request.fail(error)
  else group.retry(request)
}

/** The model cannot be had in this worker. */
function refused(group: Group, request: Request, error: MtorError): void {
  if (request.votes > 1) noVote(group, request, error)
  else if (request.running === 0) request.fail(error)
}

function noVote(group: Group, request: Request, error: MtorError): void {
  request.lostVotes++
  request.problem = error
  count(group, request)
}

/** When all votes are in or lost, the majority of all that were asked is answered, and who said otherwise is restarted. */
function count(group: Group, request: Request): void {
  const { record, cast, votes, lostVotes } = request
  if (request.isSettled || cast.length + lostVotes < votes) return
  const { shared } = group
  if (cast.length === 0 && request.problem) { request.fail(request.problem); return }
  const { winner, agreed, dissenters } = tally(record.task, cast, votes, request.input)
  const data = { model: record.name, asked: votes, agreed, lost: lostVotes }
  if (!winner) {
    const error = new MtorError('NO_MAJORITY', `${record.name}: of ${votes} workers ${agreed} agree at most, ${lostVotes} gave no vote`, { data })
    shared.event({ severity: 'warning', name: 'vote.undecided', code: error.code, message: error.message, data })
    request.fail(error)
    return
  }
  for (const name of dissenters) {
    shared.event({ severity: 'warning', name: 'vote.dissent', message: `${record.name}: ${name} was outvoted by ${agreed} of ${votes}, and is restarted`, data: { ...data, worker: name } })
    group.worker(name)?.kill('wrong-answer', `outvoted by ${agreed} of ${votes}`)
  }
  request.succeed({ ...winner.answer, attempts: request.attempts, vote: { asked: votes, agreed, dissenters } })
}

export const poison = (entry: Quarantined): MtorError => new MtorError('POISON', `${entry.model}: this input has cost two workers (${entry.reasons.join('; ')}) and is run no more`, { data: { model: entry.model, key: entry.key } })
