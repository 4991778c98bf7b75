import type { Clock, Timer } from '../contracts/clock.ts'
import { CODES, type Code } from '../contracts/codes.ts'
import { AGREES, answerTokens, CONFIRMS, DECLINES, isFirm, plain } from './answers.ts'
import type { Asking } from './asking.ts'
import type { Understander } from './index.ts'
import type { Understanding } from './port.ts'
import { isQuantity } from './slots.ts'
import { quantityAnswer } from './quantities.ts'
import { NEGATIONS } from './words.ts'

/** What is to be done about a sentence. `say` is for the operator. */
export type DialogueAct =
  | { act: 'submit'; type: string; slots: Record<string, unknown> }
  /** `expects` 'answer': to a question of a program, asked once more. */
  | { act: 'ask'; say: string; expects: 'slot' | 'confirm' | 'choice' | 'answer' }
  /** It was for a question of a program, which says itself what is to be said; `say` is for who typed it, `code`: it was no answer. */
  | { act: 'answered'; say: string; code?: Code }
  | { act: 'refuse'; code: Code; say: string }
  | { act: 'cancelled'; say: string }

export interface DialogueOptions {
  understander: Understander
  clock: Clock
  /** An open question is dropped after this, ms. */
  answerTimeoutMs: number
  isHazardous: (type: string, slots: Record<string, unknown>) => boolean
  /** Ask "Did you mean …?" for what no template matches. Left out: yes. */
  proposals?: boolean
  /** Questions of programs: what answers the session's own question answers none of them. */
  asking?: Asking
}

interface Request { type: string; slots: Record<string, unknown>; missing: string[]; factors: Record<string, number>; sure: boolean; spoken: boolean }
interface Question { request: Request; expects: 'slot' | 'confirm' | 'choice'; say: string; misses: number; timer: Timer }

/** An objection at the beginning of an answer. */
const NO = /^\W*(?:no|nope|wrong|not that)\b\W*/i
const MOST_MISSES = 2
/** Below this a word was corrected, not only "please" left aside: what is hazardous is confirmed even when typed. */
const LEAST_SURE = 0.9

/**
 * What was said before decides what a sentence means: missing slots are asked for, hazardous requests confirmed,
 * proposals put as questions. One conversation for each session (the voice, each console); nothing but a template or
 * an answer to a question ever submits.
 */
export class Dialogue {
  readonly #o: DialogueOptions
  readonly #open = new Map<string, Question>()
  /** The last thing each session said while a proposal is being looked for, so that a late one asks nothing. */
  readonly #turns = new Map<string, number>()
  #heard = 0
  #whenClosed: (() => void)[] = []

  constructor(options: DialogueOptions) { this.#o = options }

  /** Takes one sentence of a session. "stop" passes through at once, whatever is open. */
  async hear(session: string, text: string, { spoken, answer }: { spoken: boolean; /** It was heard as the answer to a program's question; what the commands' grammar made of it where it was free speech. */ answer?: { inGrammar?: string | undefined } | undefined }): Promise<DialogueAct> {
    const turn = ++this.#heard
    this.#turns.set(session, turn)
    try { return await this.#hear(session, text, spoken, turn, answer) } finally { if (this.#turns.get(session) === turn) this.#turns.delete(session) }
  }

  /** True while the session has been asked something. */
  isOpen(session: string): boolean { return this.#open.has(session) }

  /** Resolves once the session has no open question. */
  async closed(session: string): Promise<void> {
    while (this.#open.has(session)) await new Promise<void>((resolve) => { this.#whenClosed.push(resolve) })
  }

  /** Drops all open questions. */
  stop() { for (const session of [...this.#open.keys()]) this.#close(session) }

  async #hear(session: string, text: string, spoken: boolean, turn: number, heard: { inGrammar?: string | undefined } | undefined): Promise<DialogueAct> {
    const { understander, asking } = this.#o
    let meant = understander.match(text)
    const inGrammar = heard?.inGrammar === undefined ? undefined : understander.match(heard.inGrammar)
    if (meant.type === 'stop' || inGrammar?.type === 'stop') {
      this.#close(session)
      asking?.stopped()
      return { act: 'submit', type: 'stop', slots: {} }
    }
    const question = this.#open.get(session)
    if (question) {
      const answer = this.#answer(session, question, text, meant, spoken)
      if (answer === 'not that') {
        // "no, turn right": what is said after the no is what is wanted; where that is nothing, nothing is.
        this.#close(session)
        meant = understander.match(text.replace(NO, ''))
        if (!meant.type) return cancelled()
      } else if (answer) return answer
    } else {
      const act = asking?.hear({ session, text, type: meant.type, heard: heard !== undefined, ...(inGrammar ? { inGrammarType: inGrammar.type } : {}) })
      if (act) return act
    }
    if (meant.by === 'proposal') return this.#ask(session, requestOf(meant, spoken), 'choice', `Did you mean: ${meant.question}?`)
    if (meant.type) return this.#proceed(session, requestOf(meant, spoken))
    const said = plain(text)
    if (this.#o.proposals !== false && !AGREES.has(said) && !DECLINES.has(said)) {
      let proposal: Understanding | undefined
      // A proposer that cannot be had (no room to train, library missing) leaves only "not understood".
      try { proposal = await understander.propose(text) } catch { proposal = undefined }
      if (proposal?.type && this.#turns.get(session) === turn) {
        return this.#ask(session, requestOf(proposal, spoken), 'choice', `Did you mean: ${proposal.question ?? understander.describe(proposal.type, proposal.slots, proposal.factors)}?`)
      }
    }
    return refuse('NOT_UNDERSTOOD')
  }

  /** What a sentence does to an open question; undefined when it is a new command instead, 'not that' when it objects. */
  #answer(session: string, question: Question, text: string, meant: Understanding, spoken: boolean): DialogueAct | 'not that' | undefined {
    const { request, expects } = question
    const said = plain(text)
    const filled = expects === 'slot' ? this.#fill(request, text, meant) : undefined
    if (filled) return this.#proceed(session, { ...filled, spoken: request.spoken || spoken })
    if (meant.type === 'cancel' || DECLINES.has(said)) {
      this.#close(session)
      return cancelled()
    }
    const firm = isFirm(text)
    if (firm && expects === 'confirm' && CONFIRMS.has(said)) { this.#close(session); return submit(request) }
    // Agreeing to a guess makes it a request like any other: what is missing is asked for, what is hazardous confirmed.
    if (firm && expects === 'choice' && AGREES.has(said)) return this.#proceed(session, { ...request, sure: true })
    if (meant.type) { this.#close(session); return undefined }
    if (answerTokens(text).some(({ word }) => NEGATIONS.has(word))) return 'not that'
    if (question.misses + 1 >= MOST_MISSES) {
      this.#close(session)
      return refuse(expects === 'confirm' ? 'NOT_CONFIRMED' : 'NOT_UNDERSTOOD')
    }
    // Said in full again, since what was not understood may have been a correction: "turn left" … "right".
    const say = expects === 'slot' ? `To ${this.#o.understander.describe(request.type, request.slots, request.factors)}: ${lower(question.say)}` : question.say
    return this.#ask(session, request, expects, question.misses > 0 ? question.say : say, question.misses + 1)
  }

  /** The request with its first missing slot filled from an answer, or undefined. */
  #fill(request: Request, text: string, meant: Understanding): Request | undefined {
    const slot = request.missing[0]!
    const info = this.#o.understander.slotInfo(request.type, slot)
    const withValue = (value: unknown): Request => ({ ...request, slots: { ...request.slots, [slot]: value }, missing: request.missing.slice(1) })
    if (isQuantity(info?.kind)) {
      const value = quantityAnswer(info.kind, answerTokens(text))
      const factor = request.factors[slot] ?? 1
      // "drive back" … "minus two metres" says the direction twice.
      return value === undefined || (factor !== 1 && value < 0) ? undefined : withValue(value * factor)
    }
    const said = plain(text)
    if (meant.type === request.type && slot in meant.slots) return withValue(meant.slots[slot])
    if (info?.values) {
      const value = info.values.find((each) => (typeof each === 'boolean' ? (each ? ['on', 'yes', 'true'] : ['off', 'no', 'false']) : [String(each), `${each} ${slot}`].map(plain)).includes(said))
      return value === undefined ? undefined : withValue(value)
    }
    if (meant.type === 'cancel' || DECLINES.has(said) || said === '') return undefined
    // A name is no command; a note may well be one.
    const isText = this.#o.understander.isFreeText(request.type, slot)
    return meant.type && !isText ? undefined : withValue(isText ? text.trim() : text.trim().replace(/^(the|a|an|my|our)\s+/i, ''))
  }

  #proceed(session: string, request: Request): DialogueAct {
    this.#close(session)
    const slot = request.missing[0]
    if (slot !== undefined) return this.#ask(session, request, 'slot', this.#o.understander.questionFor(request.type, slot))
    if (this.#o.isHazardous(request.type, request.slots) && (request.spoken || !request.sure)) return this.#ask(session, request, 'confirm', `Say confirm to ${this.#o.understander.describe(request.type, request.slots)}.`)
    return submit(request)
  }

  #ask(session: string, request: Request, expects: Question['expects'], say: string, misses = 0): DialogueAct {
    this.#close(session)
    const timer = this.#o.clock.setTimeout(() => { if (this.#open.get(session)?.timer === timer) this.#close(session) }, this.#o.answerTimeoutMs)
    this.#open.set(session, { request, expects, say, misses, timer })
    return { act: 'ask', say: misses > 0 ? `Sorry. ${say}` : say, expects }
  }

  #close(session: string) {
    this.#o.clock.clearTimeout(this.#open.get(session)?.timer)
    if (this.#open.delete(session)) for (const closed of this.#whenClosed.splice(0)) closed()
  }
}

const submit = ({ type, slots }: Request): DialogueAct => ({ act: 'submit', type, slots })
const cancelled = (): DialogueAct => ({ act: 'cancelled', say: CODES.CANCELLED.say })
const lower = (say: string) => say.charAt(0).toLowerCase() + say.slice(1)
const refuse = (code: Code): DialogueAct => ({ act: 'refuse', code, say: CODES[code].say })
const requestOf = (meant: Understanding, spoken: boolean): Request => ({ type: meant.type!, slots: meant.slots, missing: meant.missing, factors: meant.factors ?? {}, sure: meant.by === 'template' && meant.confidence > LEAST_SURE, spoken })
