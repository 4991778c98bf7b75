import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import { isCode } from '../../contracts/codes.ts'
import { MtorError } from '../../contracts/errors.ts'
import { difference } from '../equality.ts'
import type { TrustedModel } from '../manifest.ts'
import type { FromWorker, ToWorker } from '../messages.ts'
import type { Inference, TaskName, Tasks } from '../port.ts'

const WORKER = fileURLToPath(new URL('../worker.ts', import.meta.url))
const WAIT_MS = 60_000

/** Part of tests: one model in a real worker process, without the supervisor; what its known answers give is checked. */
export async function workerInference(t: ExecutionContext, model: TrustedModel): Promise<Pick<Inference, 'run'> & { provider: string }> {
  const child = fork(WORKER, [], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const open = new Map<number, PromiseWithResolvers<FromWorker>>()
  const failAll = (message: string) => { for (const { reject } of open.values()) reject(new MtorError('MODEL_UNAVAILABLE', message)); open.clear() }
  child.on('message', (message: FromWorker) => {
    if (!('requestId' in message) || message.kind === 'taken') return
    const waiting = open.get(message.requestId)
    open.delete(message.requestId)
    if (message.kind === 'failed') waiting?.reject(new MtorError(isCode(message.error.code) ? message.error.code : 'INTERNAL', message.error.message))
    else waiting?.resolve(message)
  })
  child.once('exit', (code, signal) => failAll(`the worker ended with ${signal ?? code}`))
  let requests = 0
  const ask = async (message: { kind: 'load' | 'run' } & Record<string, unknown>) => {
    const requestId = ++requests
    const waiting = Promise.withResolvers<FromWorker>()
    open.set(requestId, waiting)
    const timer = setTimeout(() => waiting.reject(new MtorError('DEADLINE', `no answer to ${message.kind} within ${WAIT_MS / 1000} s`)), WAIT_MS)
    child.send({ ...message, requestId } as unknown as ToWorker)
    try { return await waiting.promise } finally { clearTimeout(timer) }
  }
  const loaded = await ask({ kind: 'load', ...model, providers: ['cpu'], threads: 1 }) as Extract<FromWorker, { kind: 'loaded' }>
  for (const { index, output } of loaded.proofs) {
    const wrong = difference(model.manifest.task as TaskName, model.manifest.knownAnswers[index]!.output, output)
    if (wrong !== undefined) throw new MtorError('MODEL_UNTRUSTED', `known answer ${index}: ${wrong}`)
  }
  return {
    provider: loaded.provider,
    async run(_task, name, input) {
      const answer = await ask({ kind: 'run', model: name, input, prove: true }) as Extract<FromWorker, { kind: 'answer' }>
      return { output: answer.output as Tasks[typeof _task]['output'], model: name, version: model.manifest.version, provider: loaded.provider, queuedMs: 0, runMs: answer.runMs, attempts: 1 }
    },
  }
}
