import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Answer, TaskName } from '../../inference/port.ts'
import { tally } from '../../inference/supervisor/vote.ts'
import type { Place } from './race.ts'

/** When a majority is there, the others have as long again as it took, and at least this, to say otherwise. */
const LEAST_GRACE_MS = 50

export interface Ballot { place: Place<Answer<TaskName>>; answer: Answer<TaskName> }
export interface PollOptions {
  task: TaskName
  model: string
  /** What the comparison needs to know of the input. */
  input: Record<string, unknown>
  places: readonly Place<Answer<TaskName>>[]
  /** Votes that were asked for; who is missing has none. */
  asked: number
  clock: Clock
  deadlineMs: number
  signal: AbortSignal | undefined
}
export interface Polled { winner: Ballot; agreed: number; dissenters: string[]; lost: number }

/**
 * Answers of different nodes to one input, compared by the task's own equality: more than half of all that were asked must say
 * the same. @throws MtorError NO_MAJORITY; DEADLINE, CANCELLED; where nobody answered, what the last said
 */
export function poll({ task, model, input, places, asked, clock, deadlineMs, signal }: PollOptions): Promise<Polled> {
  const open = Promise.withResolvers<Polled>()
  const cast: (Ballot & { worker: string; output: unknown })[] = []
  const controller = new AbortController()
  const startedMs = clock.monoMs()
  let out = places.length
  let last: MtorError | undefined
  let isSettled = false
  let grace: Timer | undefined

  const settle = (act: () => void) => {
    if (isSettled) return
    isSettled = true
    clock.clearTimeout(timer)
    clock.clearTimeout(grace)
    signal?.removeEventListener('abort', onAbort)
    act()
    controller.abort()
  }
  const onAbort = () => settle(() => open.reject(new MtorError('CANCELLED', `${model}: cancelled`, { cause: signal?.reason })))
  const decide = () => settle(() => {
    if (cast.length === 0 && last) { open.reject(last); return }
    const { winner, agreed, dissenters } = tally(task, cast, asked, input)
    const lost = asked - cast.length
    if (winner) open.resolve({ winner, agreed, dissenters, lost })
    else open.reject(new MtorError('NO_MAJORITY', `${model}: of ${asked} nodes ${agreed} agree at most, ${lost} gave no vote`, { data: { model, asked, agreed, lost } }))
  })
  const counted = () => {
    if (out === 0) decide()
    else if (!grace && tally(task, cast, asked, input).winner) grace = clock.setTimeout(decide, Math.max(LEAST_GRACE_MS, clock.monoMs() - startedMs))
  }
  const timer = clock.setTimeout(() => {
    if (tally(task, cast, asked, input).winner) decide()
    else settle(() => open.reject(new MtorError('DEADLINE', `${model}: no majority within ${Math.round(deadlineMs)} ms; ${out} nodes were at it`)))
  }, deadlineMs)

  if (signal?.aborted) { onAbort(); return open.promise }
  signal?.addEventListener('abort', onAbort, { once: true })
  for (const place of places) {
    place.run(controller.signal, deadlineMs).then((answer) => { out--; cast.push({ place, answer, worker: place.name, output: answer.output }); counted() }, (thrown: unknown) => {
      out--
      if (isSettled) return
      // Also what one says of the input is a vote lost: it may be the one that is broken.
      last = toMtorError(thrown)
      counted()
    })
  }
  return open.promise
}
