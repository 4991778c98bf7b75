import type { Clock, Timer } from '../contracts/clock.ts'
import { CODES, type Code } from '../contracts/codes.ts'
import {
  AGREES, answerTokens, CONFIRMS, DECLINES, isFirm, isName, isNumberFirst, isYes, lacksUnit, plain, quantityOf,
} from './answers.ts'
import type { Asking } from './asking.ts'
import type { Understander } from './index.ts'
import { forbids, makesSafer, takesBack } from './caution.ts'
import type { Doubt, Understanding } from './port.ts'
import { isQuantity } from './slots.ts'
import { NEGATIONS } from './words.ts'

/** What is to be done about a sentence. `say` is for the operator. */
export type DialogueAct =
  /** `confirmed`: the operator has confirmed this very request. */
  | { act: 'submit'; type: string; slots: Record<string, unknown>; confirmed?: true }
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
  /** Spoken numbers beyond these are read back before anything moves. Left out: none is. */
  readBack?: { distanceM: number; angleDeg: number }
  /** Questions of programs: what answers the session's own question answers none of them. */
  asking?: Asking
}

/** How a sentence came. */
export interface HearOptions {
  spoken: boolean
  /**
   * It was heard as the answer to a program's question; what the commands' grammar made of it where it was free speech.
   */
  answer?: { inGrammar?: string | undefined } | undefined
  /** It may be something else than was said. */
  doubt?: Doubt | undefined
  /** The sender has asked already whether a hazardous request is to be carried out. Counts for this sentence alone. */
  confirmed?: boolean | undefined
}

interface Request {
  type: string
  slots: Record<string, unknown>
  missing: string[]
  factors: Record<string, number>
  spoken: boolean
  /** Stays until a clear yes. */
  doubt: Doubt | undefined
  /** The operator has said yes to the request in words. */
  agreed: boolean
  confirmed: boolean
}
interface Question {
  request: Request
  expects: 'slot' | 'confirm' | 'choice'
  say: string
  misses: number
  timer: Timer
}

/** An objection at the beginning of an answer. */
const NO = /^\W*(?:no|nope|wrong|not that)\b\W*/i
/** A command that begins with its direction, or with an amount, has no verb: it may be a part of an answer. */
const VERBLESS = /^(?:an?|left|right|forward|ahead|straight|back|backward|rearward|clockwise|counterclockwise|anticlockwise)$/
const MOST_MISSES = 2

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
  async hear(session: string, text: string, options: HearOptions): Promise<DialogueAct> {
    const turn = ++this.#heard
    this.#turns.set(session, turn)
    try {
      return await this.#hear(session, text, options, turn)
    } finally {
      if (this.#turns.get(session) === turn) this.#turns.delete(session)
    }
  }

  /** True while the session has been asked something. */
  isOpen(session: string): boolean { return this.#open.has(session) }

  /** Resolves once the session has no open question. */
  async closed(session: string): Promise<void> {
    while (this.#open.has(session)) await new Promise<void>((resolve) => { this.#whenClosed.push(resolve) })
  }

  /** Drops all open questions, and those that are just being made: after a stop no answer moves anything. */
  stop() {
    this.#turns.clear()
    for (const session of [...this.#open.keys()]) this.#close(session)
  }

  async #hear(session: string, text: string, how: HearOptions, turn: number): Promise<DialogueAct> {
    const { understander, asking } = this.#o
    const { answer: heard, doubt } = how
    let meant = understander.match(text)
    const inGrammar = heard?.inGrammar === undefined ? undefined : understander.match(heard.inGrammar)
    if ((meant.type === 'stop' && !this.#isForbidden(meant, text, doubt)) || inGrammar?.type === 'stop') {
      this.stop()
      asking?.stopped()
      return { act: 'submit', type: 'stop', slots: {} }
    }
    const question = this.#open.get(session)
    if (question) {
      const answer = this.#answer(session, question, text, meant, how)
      if (answer === 'not that') {
        // "no, turn right": what is said after the no is what is wanted; where that is nothing, nothing is.
        this.#close(session)
        meant = understander.match(text.replace(NO, ''))
        if (!meant.type) return cancelled()
      } else if (answer) return answer
    } else {
      const act = asking?.hear({
        session, text, type: meant.type, heard: heard !== undefined, doubted: doubt !== undefined,
        ...(inGrammar ? { inGrammarType: inGrammar.type } : {}),
      })
      if (act) return act
    }
    if (this.#isTakenBack(meant, text, doubt)) return refuse('NOT_MEANT')
    if (meant.by === 'proposal') {
      return this.#ask(session, requestOf(meant, how), 'choice', `Did you mean: ${meant.question}?`)
    }
    if (meant.type) return this.#proceed(session, requestOf(meant, how))
    const said = plain(text)
    if (this.#o.proposals !== false && !AGREES.has(said) && !DECLINES.has(said)) {
      let proposal: Understanding | undefined
      // A proposer that cannot be had (no room to train, library missing) leaves only "not understood".
      try { proposal = await understander.propose(text) } catch { proposal = undefined }
      if (proposal && this.#isTakenBack(proposal, text, doubt)) return refuse('NOT_MEANT')
      if (proposal?.type && this.#turns.get(session) === turn) {
        const question = proposal.question ?? understander.describe(proposal.type, proposal.slots, proposal.factors)
        return this.#ask(session, requestOf(proposal, how), 'choice', `Did you mean: ${question}?`)
      }
    }
    return refuse('NOT_UNDERSTOOD')
  }

  /** True where the other reading of the sound forbids what was understood, and is not the same command itself. */
  #isForbidden(meant: Understanding, text: string, doubt: Doubt | undefined): boolean {
    if (doubt?.heard === undefined || !forbids(doubt.heard, text)) return false
    const other = this.#o.understander.match(doubt.heard)
    return other.type !== meant.type || JSON.stringify(other.slots) !== JSON.stringify(meant.slots)
  }

  /** True where the other reading has words that take back what was understood: nothing is done, and nothing asked. */
  #isTakenBack(meant: Understanding, text: string, doubt: Doubt | undefined): boolean {
    const { type, slots } = meant
    if (!type || doubt?.heard === undefined || this.#o.understander.takesFreeText(type)) return false
    if (this.#o.understander.isConsequential(type) && !makesSafer(type, slots)) return takesBack(doubt.heard, text)
    const isHeld = makesSafer(type, slots) || this.#o.understander.changesState(type)
    return isHeld && this.#isForbidden(meant, text, doubt)
  }

  /** What a sentence does to an open question; undefined when it is a new command instead, 'not that' when it objects. */
  #answer(
    session: string, question: Question, text: string, meant: Understanding, how: HearOptions,
  ): DialogueAct | 'not that' | undefined {
    const { spoken, doubt, confirmed = false } = how
    const { request, expects } = question
    const said = plain(text)
    const isRetracted = doubt?.heard !== undefined && takesBack(doubt.heard, text)
    const filled = expects === 'slot' && !isRetracted ? this.#fill(request, text, meant) : undefined
    if (filled) {
      return this.#proceed(session, {
        ...filled,
        spoken: request.spoken || spoken,
        doubt: request.doubt ?? doubt,
        confirmed,
      })
    }
    if (meant.type === 'cancel' || DECLINES.has(said)) {
      this.#close(session)
      return cancelled()
    }
    // What may have been something else is no yes.
    const isClear = doubt === undefined
    if (isClear && expects === 'confirm' && isYes(CONFIRMS, text)) {
      this.#close(session)
      return submit({ ...request, confirmed: true })
    }
    // Agreeing to a guess makes it a request like any other: what is missing is asked for, what is hazardous confirmed.
    if (isClear && expects === 'choice' && isYes(AGREES, text)) {
      return this.#proceed(session, { ...request, doubt: undefined, agreed: true, confirmed })
    }
    if (meant.type && !(expects === 'slot' && this.#isPart(request, text, meant))) {
      this.#close(session)
      return undefined
    }
    if (answerTokens(text).some(({ word }) => NEGATIONS.has(word))) return 'not that'
    if (question.misses + 1 >= MOST_MISSES) {
      this.#close(session)
      return refuse(expects === 'confirm' ? 'NOT_CONFIRMED' : 'NOT_UNDERSTOOD')
    }
    // Said in full again, since what was not understood may have been a correction: "turn left" … "right".
    const { understander } = this.#o
    const described = understander.describe(request.type, request.slots, request.factors)
    const say = expects === 'slot' ? `To ${described}: ${lower(question.say)}` : question.say
    const kind = expects === 'slot' ? understander.slotInfo(request.type, request.missing[0]!)?.kind : undefined
    const hint = isQuantity(kind) && lacksUnit(kind, text) ? ' Say the unit too.' : ''
    return this.#ask(session, request, expects, `${say}${hint}`, question.misses + 1)
  }

  /**
   * True for a command that may be meant as a part of the answer: it begins with a number where one is asked for, or it
   * moves something and has no verb. It is a command all the same where it says what was asked for, in the direction
   * that was said.
   */
  #isPart({ type, missing, factors }: Request, text: string, meant: Understanding): boolean {
    const { understander } = this.#o
    const slot = missing[0]!
    const isNumber = isQuantity(understander.slotInfo(type, slot)?.kind) && isNumberFirst(text)
    const isVerbless = isNumberFirst(text) || VERBLESS.test(answerTokens(text)[0]?.word ?? '')
    if (!isNumber && !(isVerbless && understander.isConsequential(meant.type!))) return false
    const value = meant.slots[slot]
    return meant.type !== type || typeof value !== 'number' || value * (factors[slot] ?? value) < 0
  }

  /** The request with its first missing slot filled from an answer, or undefined. */
  #fill(request: Request, text: string, meant: Understanding): Request | undefined {
    const slot = request.missing[0]!
    const info = this.#o.understander.slotInfo(request.type, slot)
    const withValue = (value: unknown): Request => ({ ...request, slots: { ...request.slots, [slot]: value }, missing: request.missing.slice(1) })
    if (isQuantity(info?.kind)) {
      const value = quantityOf(info.kind, text)
      const factor = request.factors[slot]
      // "Drive forward" … "minus two metres" contradicts itself: a sign decides only where no direction was said.
      return value === undefined || (factor !== undefined && value < 0) ? undefined : withValue(value * (factor ?? 1))
    }
    const said = plain(text)
    const isText = this.#o.understander.isFreeText(request.type, slot)
    // A note may well be a question.
    if (!isText && !isFirm(text)) return undefined
    if (meant.type === request.type && slot in meant.slots) return withValue(meant.slots[slot])
    if (info?.values) {
      const value = info.values.find((each) => (typeof each === 'boolean' ? (each ? ['on', 'yes', 'true'] : ['off', 'no', 'false']) : [String(each), `${each} ${slot}`].map(plain)).includes(said))
      return value === undefined ? undefined : withValue(value)
    }
    if (meant.type === 'cancel' || DECLINES.has(said) || said === '') return undefined
    // A name is no command; a note may well be one.
    if (isText) return withValue(text.trim())
    return meant.type || !isName(text) ? undefined : withValue(text.trim().replace(/^(the|a|an|my|our)\s+/i, ''))
  }

  #proceed(session: string, request: Request): DialogueAct {
    this.#close(session)
    const { type, slots, missing } = request
    const { understander, isHazardous } = this.#o
    const slot = missing[0]
    if (slot !== undefined) return this.#ask(session, request, 'slot', understander.questionFor(type, slot))
    const described = understander.describe(type, slots)
    if (this.#isInDoubt(request)) return this.#ask(session, request, 'choice', `Did you say: ${described}?`)
    const hazardous = isHazardous(type, slots)
    if (hazardous && !request.confirmed) return this.#ask(session, request, 'confirm', `Say confirm to ${described}.`)
    return submit({ ...request, confirmed: hazardous })
  }

  /**
   * True for what is asked back before it is done: it may not be what was said, or its number is beyond what is usual.
   */
  #isInDoubt({ type, slots, doubt, agreed, spoken }: Request): boolean {
    if (agreed || makesSafer(type, slots)) return false
    // A number that may be another is asked about whatever it is for.
    if (doubt?.reason === 'number') return true
    if (!this.#o.understander.isConsequential(type)) return false
    return doubt !== undefined || (spoken && this.#isBeyondUsual(type, slots))
  }

  #isBeyondUsual(type: string, slots: Record<string, unknown>): boolean {
    const { readBack, understander } = this.#o
    if (!readBack) return false
    return Object.entries(slots).some(([slot, value]) => {
      const kind = understander.slotInfo(type, slot)?.kind
      const limit = kind === 'length' ? readBack.distanceM : kind === 'angle' ? readBack.angleDeg : Infinity
      return typeof value === 'number' && Math.abs(value) > limit
    })
  }

  #ask(session: string, request: Request, expects: Question['expects'], say: string, misses = 0): DialogueAct {
    this.#close(session)
    const timer = this.#o.clock.setTimeout(() => { if (this.#open.get(session)?.timer === timer) this.#close(session) }, this.#o.answerTimeoutMs)
    // That the sender has asked already was about the sentence, and not about what is answered next.
    this.#open.set(session, { request: { ...request, confirmed: false }, expects, say, misses, timer })
    return { act: 'ask', say: misses > 0 ? `Sorry. ${say}` : say, expects }
  }

  #close(session: string) {
    this.#o.clock.clearTimeout(this.#open.get(session)?.timer)
    if (this.#open.delete(session)) for (const closed of this.#whenClosed.splice(0)) closed()
  }
}

const submit = ({ type, slots, confirmed }: Request): DialogueAct => (confirmed ? { act: 'submit', type, slots, confirmed } : { act: 'submit', type, slots })
const cancelled = (): DialogueAct => ({ act: 'cancelled', say: CODES.CANCELLED.say })
const lower = (say: string) => say.charAt(0).toLowerCase() + say.slice(1)
const refuse = (code: Code): DialogueAct => ({ act: 'refuse', code, say: CODES[code].say })
const requestOf = (meant: Understanding, { spoken, doubt, confirmed }: HearOptions): Request => ({
  type: meant.type!,
  slots: meant.slots,
  missing: meant.missing,
  factors: meant.factors ?? {},
  spoken,
  doubt,
  agreed: false,
  confirmed: confirmed === true,
})
