import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Answer, TaskName } from '../../inference/port.ts'
import { packOutput, unpackInput } from './cargo.ts'
import { identityOf } from './identity.ts'
import type { Local } from './local.ts'
import { requestValidator, type WorkerReply, type WorkerRequest } from './messages.ts'
import type { Shelf } from './shelf.ts'

/** Requests of other nodes at a time; each may have brought megabytes. */
export const MOST_SERVED = 8

type Run = Extract<WorkerRequest, { op: 'run' }>

/** Answers the other nodes with this node's own inference, never with that of a third. */
export class Serving {
  readonly #local: Local
  readonly #shelf: Shelf
  #served = 0
  #isStopped = false
  /** Requests answered with an output. */
  answered = 0

  constructor(local: Local, shelf: Shelf) { this.#local = local; this.#shelf = shelf }

  get running(): number { return this.#served }

  stop(): void { this.#isStopped = true }

  /** @throws MtorError MALFORMED, NOT_FOUND (not here, or another model under that name), BUSY, TOO_LARGE, and those of inference */
  async serve(message: unknown, signal: AbortSignal): Promise<unknown> {
    const { bytes, ...bare } = typeof message === 'object' && message !== null ? message as { bytes?: Uint8Array } : {}
    const request = requestValidator.assert(bare, 'MALFORMED', 'a request for inference')
    if (bytes !== undefined && !(bytes instanceof Uint8Array)) throw new MtorError('MALFORMED', 'bytes that are none')
    if (this.#isStopped) throw new MtorError('MODEL_UNAVAILABLE', 'the appliance is stopping')
    const model = this.#local.model(request.model)
    if (!model || identityOf(model.manifest) !== request.identity) throw new MtorError('NOT_FOUND', `${request.model} is not here${model ? ' as it is meant: another model has that name' : ''}`)
    if (request.op === 'manifest') return model.manifest
    if (request.op === 'warm') { await this.#local.warm(request.model); return {} }
    if (this.#served >= MOST_SERVED) throw new MtorError('BUSY', `${MOST_SERVED} requests of other nodes are under way`)
    this.#served++
    try {
      if (request.op === 'known') return await this.#known(request.model, model.task, model.manifest.knownAnswers[0]!.input, request.deadlineMs, signal)
      if (request.task !== model.task) throw new MtorError('MODEL_INVALID', `${request.model} is for the task ${model.task}, not for ${request.task}`)
      return await this.#run(request, bytes, signal)
    } finally { this.#served-- }
  }

  async #known(model: string, task: TaskName, input: Record<string, unknown>, deadlineMs: number, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#local.run(task, model, input as never, { deadlineMs, signal, vote: 1, priority: 3 })
    return reply(answer, await packOutput(task, answer.output as never, undefined))
  }

  async #run({ task, model, input: packed, deadlineMs, priority, vote }: Run, bytes: Uint8Array | undefined, signal: AbortSignal): Promise<unknown> {
    const folder = packed.file || packed.wants ? await this.#shelf.folder().catch((error: unknown) => { throw new MtorError('DISK_FULL', `nothing can be kept for another node: ${String(error)}`, { cause: error }) }) : undefined
    let isLate = false
    try {
      const { input, output } = await unpackInput(task, { ...packed, ...(bytes ? { bytes } : {}) }, folder ?? '')
      const answer = await this.#local.run(task, model, input as never, { deadlineMs, priority, signal, vote: vote ?? 1 })
      const cargo = await packOutput(task, answer.output as never, output)
      this.answered++
      return reply(answer, cargo)
    } catch (thrown) {
      const { code } = toMtorError(thrown)
      isLate = code === 'CANCELLED' || code === 'DEADLINE'
      throw thrown
    } finally { if (folder !== undefined) await this.#shelf.drop(folder, isLate) }
  }
}

function reply({ version, provider, queuedMs, runMs, attempts, proof, vote }: Answer<TaskName>, cargo: Awaited<ReturnType<typeof packOutput>>): WorkerReply {
  return { ...cargo, version, provider, queuedMs, runMs, attempts, ...(proof ? { proof } : {}), ...(vote ? { vote } : {}) }
}
