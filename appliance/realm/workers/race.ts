import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'

/** Where a request may be run. */
export interface Place<R> {
  name: string
  /** After this long without an answer another place is asked as well; undefined where nothing is known of its pace. */
  p95Ms: number | undefined
  run(signal: AbortSignal, remainingMs: number): Promise<R>
}

export interface RaceOptions<R> {
  /** In the order in which they are asked. */
  places: readonly Place<R>[]
  clock: Clock
  what: string
  deadlineMs: number
  signal: AbortSignal | undefined
  /** Ask the next when one is slow, and not only when it fails. */
  hedge: boolean
  /** Places asked at the most: what breaks one worker after the other must not go round the whole realm. */
  most: number
  onHedge(slow: string): void
}

const LEAST_HEDGE_MS = 30
/** Of a place whose pace is unknown, share of the deadline; and at the most, so that the second has a chance. */
const HEDGE_SHARE = 1 / 3
const MOST_HEDGE_SHARE = 1 / 2

/** What is wrong with the request itself is an answer, wherever it comes from. POISON above all: elsewhere it would cost further workers. */
const ANSWERS = new Set(['IMAGE_INVALID', 'AUDIO_INVALID', 'INVALID_SLOTS', 'USAGE', 'POISON', 'CANCELLED', 'UNAUTHORISED'])
export const isAnswer = (error: MtorError): boolean => ANSWERS.has(error.code)

/** The first right answer; whoever else is still at it is cancelled. @throws MtorError what the last said, DEADLINE, CANCELLED */
export function firstRight<R>({ places, clock, what, deadlineMs, signal, hedge, most, onHedge }: RaceOptions<R>): Promise<R> {
  const open = Promise.withResolvers<R>()
  const left = [...places]
  const running = new Map<Place<R>, AbortController>()
  const timers: (Timer | undefined)[] = []
  const startedMs = clock.monoMs()
  let asked = 0
  let isSettled = false
  let last: MtorError | undefined

  const settle = (act: () => void) => {
    if (isSettled) return
    isSettled = true
    for (const timer of timers) clock.clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    act()
    for (const controller of running.values()) controller.abort()
  }
  const onAbort = () => settle(() => open.reject(new MtorError('CANCELLED', `${what}: cancelled`, { cause: signal?.reason })))
  const next = (): boolean => {
    const place = asked < most ? left.shift() : undefined
    const remainingMs = deadlineMs - (clock.monoMs() - startedMs)
    if (!place || remainingMs <= 0) return false
    asked++
    const controller = new AbortController()
    running.set(place, controller)
    if (hedge && left.length > 0) {
      const afterMs = Math.max(LEAST_HEDGE_MS, Math.min(place.p95Ms ?? remainingMs * HEDGE_SHARE, remainingMs * MOST_HEDGE_SHARE))
      timers.push(clock.setTimeout(() => { if (!isSettled && running.has(place) && next()) onHedge(place.name) }, afterMs))
    }
    place.run(controller.signal, remainingMs).then((answer) => { running.delete(place); settle(() => open.resolve(answer)) }, (thrown: unknown) => {
      running.delete(place)
      if (isSettled) return
      last = toMtorError(thrown)
      if (isAnswer(last) || !next() && running.size === 0) settle(() => open.reject(last))
    })
    return true
  }

  if (signal?.aborted) { onAbort(); return open.promise }
  signal?.addEventListener('abort', onAbort, { once: true })
  timers.push(clock.setTimeout(() => settle(() => open.reject(new MtorError('DEADLINE', `${what}: no answer within ${Math.round(deadlineMs)} ms`))), deadlineMs))
  if (!next()) settle(() => open.reject(new MtorError('DEADLINE', `${what}: no time is left`)))
  return open.promise
}
