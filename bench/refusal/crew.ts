import { fork, type ChildProcess } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { Outcome } from './box.ts'
import type { FromWorker, Task } from './worker.ts'

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))
/** More processes than this only take memory: the ears of one need 250 MB. */
const MOST_WORKERS = 4
/** A sentence takes about a second, or longer where it waits for the proposer. Opening a box takes seconds. */
const HUNG_MS = 180_000
const OPEN_MS = 300_000

export interface CrewOptions {
  /** False: sentences are typed. */
  ears: boolean
  signal: AbortSignal
  /** No further task is begun after this; performance.now(). */
  untilMs?: number
  /** Nothing more is spoken after this: what is typed comes next. */
  spokenUntilMs?: number
  jobs?: number
}

/** Has the tasks done by several boxes at once, and tells each outcome. Resolves to how many were done. */
export async function each<T extends Task>(
  tasks: readonly T[],
  options: CrewOptions,
  done: (task: T, outcome: Outcome) => void,
): Promise<number> {
  const jobs = Math.max(
    1,
    Math.min(options.jobs ?? (options.ears ? availableParallelism() : 1), MOST_WORKERS, tasks.length),
  )
  const queue = tasks.values()
  let count = 0
  const runWorker = async (_: unknown, index: number) => {
    // The first trains the proposer at once, where that must be; the others find its model on disk when they need it.
    const args = [options.ears ? 'ears' : 'typed', index === 0 ? 'prepare' : 'later']
    const child = fork(WORKER, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    try {
      const first = await answerOf(child, options.signal, OPEN_MS)
      if ('error' in first) throw new MtorError('INTERNAL', `a box could not be opened: ${first.error}`)
      while (performance.now() < (options.untilMs ?? Infinity)) {
        const { value: task } = queue.next()
        if (!task) return
        const { text, voice, openers, isAwake, yes } = task
        if (voice && performance.now() > (options.spokenUntilMs ?? Infinity)) continue
        const answered = answerOf(child, options.signal, HUNG_MS)
        child.send({ text, voice, openers, isAwake, yes })
        const answer = await answered
        if (!('outcome' in answer))
          throw new MtorError('INTERNAL', `“${text}”: ${'error' in answer ? answer.error : 'no outcome'}`)
        count++
        done(task, answer.outcome)
      }
    } finally {
      if (child.connected) child.disconnect()
    }
  }
  await Promise.all(Array.from({ length: jobs }, runWorker))
  return count
}

/** The next message of a process. @throws MtorError where it ends or hangs; the signal's reason */
function answerOf(child: ChildProcess, signal: AbortSignal, withinMs: number): Promise<FromWorker> {
  const { promise, resolve, reject } = Promise.withResolvers<FromWorker>()
  const hung = setTimeout(() => {
    child.kill('SIGKILL')
    reject(new MtorError('INTERNAL', `a box said nothing for ${withinMs / 1000} s`))
  }, withinMs)
  const ended = (code: number | null) => reject(new MtorError('INTERNAL', `a box has ended with code ${code}`))
  const aborted = () => reject(signal.reason)
  child.once('message', resolve).once('exit', ended)
  signal.addEventListener('abort', aborted, { once: true })
  if (signal.aborted) aborted()
  return promise.finally(() => {
    clearTimeout(hung)
    child.off('message', resolve).off('exit', ended)
    signal.removeEventListener('abort', aborted)
  })
}
