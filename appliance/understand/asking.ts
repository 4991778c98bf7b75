import type { Clock, Timer } from '../contracts/clock.ts'
import { CODES } from '../contracts/codes.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import type { Hub } from '../contracts/hub.ts'
import { answerOf, cancels, type AnswerForm, type AnswerValue } from './answers.ts'
import type { DialogueAct } from './dialogue.ts'

/** A question that a program has asked aloud. */
export interface Asked extends AnswerForm { question: string; /** From the end of the question to the beginning of the answer. */ timeoutMs: number }
export interface Answer { answer: AnswerValue; text: string }

/** How questions are spoken. */
export interface Mouth {
  /** False where the box is silent: the question is only told as an event. */
  readonly speaks: boolean
  /** Rejects where it could not be said. */
  say(text: string): Promise<void>
  /** An answer needs no wake word for this long; 0: it does again. */
  listen(forMs: number, form?: AnswerForm): void
  /** Resolves once the voice waits for no answer of its own, such as "confirm". */
  free(): Promise<void>
}

export interface AskingOptions { clock: Clock; hub: Hub; mouth: Mouth }

/** A sentence while a question is open. `heard`: it was heard as its answer; `inGrammar`: what the commands' grammar made of free speech. */
export interface Said { session: string; text: string; /** Of the text as a sentence. */ type: string | null; heard: boolean; inGrammarType?: string | null; /** It may be something else than was said: only a no, or free text, is taken. */ doubted?: boolean }

interface Open { asked: Asked; misses: number; settled: PromiseWithResolvers<Answer>; timer: Timer | undefined; untilMs: number }

const MOST_MISSES = 2
/** More questions than these waiting for their turn are refused. */
const MOST_WAITING = 4
/** Sound that ends without words may still be on its way as words. */
const GRACE_MS = 2_000
/** Nobody's answer is longer. */
const LONGEST_ANSWER_MS = 70_000

/**
 * Questions of programs (speech.ask), one at a time. The voice answers, and so does what is typed in any session, so that
 * a box without a microphone can be asked too. "Stop" and "cancel" end the question; another command is obeyed and the
 * question stays.
 */
export class Asking {
  readonly #o: AskingOptions
  readonly #waiting: PromiseWithResolvers<void>[] = []
  #busy = false
  #open: Open | undefined
  /** Answers that are being said or made out just now: no time runs out meanwhile. */
  #hearing = 0
  /** Resolves once what is being asked again was said. */
  saying: Promise<void> = Promise.resolve()

  constructor(options: AskingOptions) { this.#o = options }

  /** The question that is open. */
  get open(): Asked | undefined { return this.#open?.asked }

  /**
   * Asks, after what was asked before. Resolves with the answer, quantities in SI units.
   * @throws MtorError NO_ANSWER, NOT_UNDERSTOOD, CANCELLED, BUSY, or the signal's reason
   */
  async ask(asked: Asked, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    await this.#turn(signal)
    try {
      if (this.#o.mouth.speaks) await orAborted(this.#o.mouth.free(), signal)
      return await this.#put(asked, signal)
    } finally {
      const next = this.#waiting.shift()
      if (next) next.resolve()
      else this.#busy = false
    }
  }

  /** Takes a sentence as the answer; undefined where it is none, and means what it always does. */
  hear({ session, text, type, heard, inGrammarType, doubted = false }: Said): DialogueAct | undefined {
    const open = this.#open
    if (!open) return undefined
    if (cancels(text) || type === 'cancel' || inGrammarType === 'cancel') {
      open.settled.reject(new MtorError('CANCELLED', 'the question was cancelled'))
      return { act: 'cancelled', say: CODES.CANCELLED.say }
    }
    // To a question for any text every sentence is an answer, a command among it, where it was heard as one.
    const answer = open.asked.kind === 'text' && type !== null && !heard ? undefined : answerOf(open.asked, text)
    if (answer !== undefined && doubted && answer !== false && open.asked.kind !== 'text') return this.miss(session, text)
    if (answer !== undefined) {
      open.settled.resolve({ answer, text })
      return { act: 'answered', say: 'Thank you.' }
    }
    return type === null ? this.miss(session, text) : undefined
  }

  /** What was said is no answer: asked once more, then given up. */
  miss(session: string, text = ''): DialogueAct | undefined {
    const open = this.#open
    if (!open) return undefined
    const { kind, question } = open.asked
    const say = `Sorry. ${question}`
    if (++open.misses < MOST_MISSES) {
      if (session !== 'voice') return { act: 'ask', say, expects: 'answer' }
      void this.#say(open, say)
      return { act: 'answered', say, code: 'NOT_UNDERSTOOD' }
    }
    const code = kind === 'confirm' ? 'NOT_CONFIRMED' : 'NOT_UNDERSTOOD'
    if (kind === 'confirm') open.settled.resolve({ answer: false, text })
    else open.settled.reject(new MtorError(code, `“${text}” is no answer to “${question}”`))
    return { act: 'refuse', code, say: CODES[code].say }
  }

  /** An emergency stop ends the question. */
  stopped(): void { this.#open?.settled.reject(new MtorError('CANCELLED', 'the question ended at a stop')) }

  /** Somebody has begun to answer, or has ended, with words or without. */
  hearing(on: boolean): void {
    this.#hearing = Math.max(0, this.#hearing + (on ? 1 : -1))
    const open = this.#open
    if (!on && open) this.#arm(open, Math.max(open.untilMs, this.#o.clock.monoMs() + GRACE_MS))
  }

  /** Something else was heard meanwhile: the answer needs no wake word again. */
  again(): void { if (this.#open) this.#listen(this.#open) }

  /** The voice was lost and is back: nobody knows whether the question was heard, so it is asked again. */
  back(): void {
    this.#hearing = 0
    if (this.#open) void this.#say(this.#open, this.#open.asked.question)
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (!this.#busy) { this.#busy = true; return }
    if (this.#waiting.length >= MOST_WAITING) throw new MtorError('BUSY', `${MOST_WAITING} questions wait already`)
    const mine = Promise.withResolvers<void>()
    this.#waiting.push(mine)
    try { await orAborted(mine.promise, signal) } catch (error) {
      const at = this.#waiting.indexOf(mine)
      if (at >= 0) this.#waiting.splice(at, 1)
      // Its turn had come on this very moment: it goes to the next.
      else { const next = this.#waiting.shift(); if (next) next.resolve(); else this.#busy = false }
      throw error
    }
  }

  async #put(asked: Asked, signal: AbortSignal): Promise<Answer> {
    const { hub, clock, mouth } = this.#o
    const open: Open = { asked, misses: 0, settled: Promise.withResolvers<Answer>(), timer: undefined, untilMs: Infinity }
    this.#open = open
    this.#hearing = 0
    const { question, kind, values } = asked
    hub.system({ severity: 'info', component: 'speech', name: 'asked', message: question, ...(mouth.speaks ? {} : { say: question }), data: { kind, ...(values ? { values: [...values] } : {}) } })
    void this.#say(open, question)
    try { return await orAborted(open.settled.promise, signal) } finally {
      clock.clearTimeout(open.timer)
      this.#open = undefined
      mouth.listen(0)
    }
  }

  async #say(open: Open, text: string): Promise<void> {
    const { mouth, hub } = this.#o
    this.#o.clock.clearTimeout(open.timer)
    try { if (mouth.speaks) await mouth.say(text) } catch (error) {
      // It may be answered all the same; where the speech process is down, it asks when it is back.
      const { code, message } = toMtorError(error)
      if (this.#open === open) hub.system({ severity: 'warning', component: 'speech', name: 'ask.unsaid', code, message: `“${text}” could not be asked aloud: ${message}` })
    }
    if (this.#open === open) this.#listen(open)
  }

  #listen(open: Open): void {
    const { asked } = open
    this.#arm(open, this.#o.clock.monoMs() + asked.timeoutMs)
    this.#o.mouth.listen(asked.timeoutMs, { kind: asked.kind, ...(asked.values ? { values: asked.values } : {}) })
  }

  #arm(open: Open, untilMs: number): void {
    const { clock } = this.#o
    open.untilMs = untilMs
    clock.clearTimeout(open.timer)
    const expire = () => { open.settled.reject(new MtorError('NO_ANSWER', `nobody answered “${open.asked.question}” within ${open.asked.timeoutMs / 1000} s`)) }
    open.timer = clock.setTimeout(() => {
      if (this.#hearing > 0) open.timer = clock.setTimeout(expire, LONGEST_ANSWER_MS)
      else expire()
    }, Math.max(0, untilMs - clock.monoMs()))
  }
}

/** The promise, or the signal's reason as soon as it is aborted. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  aborted.promise.catch(() => {})
  const abort = () => aborted.reject(signal.reason as Error)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try { return await Promise.race([promise, aborted.promise]) } finally { signal.removeEventListener('abort', abort) }
}
