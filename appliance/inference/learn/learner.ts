import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isCode } from '../../contracts/codes.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { Manifest } from '../manifest.ts'
import { LastWords, tied } from '../child.ts'
import type { ModelStore } from '../store/index.ts'
import type { Draft, FromLearner, LearnedNormal, LearnedWord, NormalOptions, ToLearner, WordOptions } from './messages.ts'

const PROCESS_FILE = fileURLToPath(new URL('./process.ts', import.meta.url))
/** Learning a word takes 2 to 3 minutes on two slow cores; beyond this it hangs. */
const LONGEST_MS = 30 * 60_000

export type LearnProgress = Extract<FromLearner, { kind: 'progress' }>
export interface LearnOptions { store: Pick<ModelStore, 'install'>; onProgress(progress: LearnProgress): void; signal?: AbortSignal }

/**
 * Learns a word in a process of its own and puts the model into the store.
 * @throws MtorError LEARN_FAILED (the figures are worse than the limits), ENGINE_MISSING, CANCELLED …; the store is unchanged then
 */
export const learnWordInto = (options: WordOptions, learn: LearnOptions): Promise<{ manifest: Manifest; result: LearnedWord }> =>
  learnInto(learn, (folder) => ({ kind: 'word', options, folder }), (message) => message.kind === 'learned-word' ? message.result : undefined)

/** Likewise what is normal of the readings. */
export const learnNormalInto = (options: NormalOptions, learn: LearnOptions): Promise<{ manifest: Manifest; result: LearnedNormal }> =>
  learnInto(learn, (folder) => ({ kind: 'normal', options, folder }), (message) => message.kind === 'learned-normal' ? message.result : undefined)

async function learnInto<R extends { draft: Draft }>({ store, onProgress, signal }: LearnOptions, task: (folder: string) => ToLearner, resultOf: (message: FromLearner) => R | undefined): Promise<{ manifest: Manifest; result: R }> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-learn-'))
  try {
    const result = await inProcess(task(folder), onProgress, resultOf, signal)
    return { manifest: await store.install(result.draft, folder, { signal }), result }
  } finally { await rm(folder, { recursive: true, force: true }) }
}

function inProcess<R>(task: ToLearner, onProgress: (progress: LearnProgress) => void, resultOf: (message: FromLearner) => R | undefined, signal: AbortSignal | undefined): Promise<R> {
  const [execPath, execArgv] = tied(process.execPath, ['--max-old-space-size=2048'])
  const child = fork(PROCESS_FILE, [], { execPath, execArgv, detached: true, serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const words = new LastWords(child)
  return new Promise<R>((resolve, reject) => {
    const kill = () => { child.kill('SIGKILL') }
    const timer = setTimeout(kill, LONGEST_MS)
    signal?.addEventListener('abort', kill, { once: true })
    if (signal?.aborted) kill()
    child.on('message', (message: FromLearner) => {
      if (message.kind === 'progress') return onProgress(message)
      if (message.kind === 'failed') return reject(errorOf(message.error))
      const result = resultOf(message)
      if (result !== undefined) resolve(result)
    })
    const gone = (reason: string) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', kill)
      // Where the result came first this changes nothing.
      reject(signal?.aborted ? new MtorError('CANCELLED', 'learning was cancelled') : new MtorError('LEARN_FAILED', `the learning process ended (${reason})`))
    }
    child.once('error', (error) => gone(error.message))
    child.once('exit', (code, by) => gone(by ? `killed by ${by}` : `with ${code}: ${words}`))
    child.send(task, () => { /* A child that is gone is told by its exit. */ })
  })
}

const errorOf = ({ code, message, hint, data }: Extract<FromLearner, { kind: 'failed' }>['error']) => new MtorError(isCode(code) ? code : 'INTERNAL', message, { hint, data })
