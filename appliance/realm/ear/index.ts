import { rm } from 'node:fs/promises'
import type { Clock, Timer } from '../../contracts/clock.ts'
import type { Hub } from '../../contracts/hub.ts'
import type { FromSpeech, UtteranceMessage } from '../../speech/messages.ts'
import type { Peers } from '../peers/port.ts'
import { Arbiter, type Contest } from './arbiter.ts'
import { meritOf } from './messages.ts'

/** Nobody says more after the wake word, and no answer is made out for longer: then the conversation is over, whatever became of it. */
const MOST_HELD_MS = 90_000
/** An answer that was begun in time ends this long after its time, or later. */
const ANSWER_TAIL_MS = 3_000

export interface RealmEarOptions {
  peers: Peers
  clock: Clock
  hub: Hub
  /** What this node is to act on: the conversation. */
  pass(message: FromSpeech): void
  /** Tells the speech process that what follows the wake word is for another node. */
  forget(): void
  /** Whether a sentence is an emergency stop. */
  isStop(text: string): boolean
  run?: string
}

/**
 * One ear: between the speech process and the conversation. A wake word is passed on once it is decided that this node is
 * the one that answers, and what follows it with it; at the others both are dropped, without a sound. From then on the
 * conversation stays here until it is over. Everything else passes at once, "stop" first of all.
 */
export class RealmEar {
  readonly #o: RealmEarOptions
  readonly #arbiter: Arbiter
  #off: (() => void)[] = []
  #contest: Contest | undefined
  /** What the conversation waits for: words after the wake word, what becomes of them, or an answer. */
  #waitsFor: 'words' | 'end' | 'answer' | undefined
  #answerForMs = 0
  #isSpeaking = false
  #timer: Timer | undefined

  constructor(options: RealmEarOptions) {
    this.#o = options
    const { peers, clock, run } = options
    this.#arbiter = new Arbiter({ peers, clock, ...(run === undefined ? {} : { run }), onAbdicated: (contest) => this.#abdicated(contest) })
  }

  start(): void {
    if (this.#off.length > 0) return
    const { hub } = this.#o
    this.#arbiter.start()
    this.#off = [
      // What was said is an intent now: its end is told here, but others may listen again.
      hub.onIntent(({ state, source, node }) => { if (this.#waitsFor === 'end' && state === 'accepted' && source?.kind === 'voice' && node === hub.node) this.#end() }),
      hub.onSystem(({ component, name }) => {
        if (component !== 'speech') return
        if (name === 'process.lost' || (this.#waitsFor === 'end' && name === 'answered')) this.#end()
      }),
    ]
  }

  stop(): void {
    for (const off of this.#off.splice(0)) off()
    this.#end()
    this.#arbiter.stop()
  }

  /** What the speech process says. */
  hear(message: FromSpeech): void {
    switch (message.kind) {
      case 'wake': return this.#woke(message)
      case 'utterance': {
        const contest = this.#contest
        if (message.how === 'command' && this.#o.isStop(message.text)) return this.#o.pass(message)
        // Without a wake word it answers a question of this node.
        if (message.timeline.wakeMs === undefined || !contest) return this.#words(message)
        // The word itself was registered before, and is passed on first.
        void contest.decided.then(() => { if (contest.take()) this.#words(message); else drop(message) })
        return
      }
      case 'wake-timeout':
        if (this.#contest?.mine === false) return
        this.#end()
        return this.#o.pass(message)
      case 'speaking':
        this.#isSpeaking = message.state === 'started'
        if (this.#waitsFor === 'answer') this.#keep('answer', this.#answerMs)
        return this.#o.pass(message)
      default: return this.#o.pass(message)
    }
  }

  /** The ears are open without a wake word for so long: somebody here was asked something. 0: not any more. */
  keep(forMs: number): void {
    if (forMs <= 0) { if (this.#waitsFor === 'answer') this.#end(); return }
    this.#answerForMs = forMs
    this.#keep('answer', this.#answerMs)
  }

  /** The time of an answer begins when the question has been said. */
  get #answerMs() { return this.#isSpeaking ? MOST_HELD_MS : this.#answerForMs + ANSWER_TAIL_MS }

  #woke(message: Extract<FromSpeech, { kind: 'wake' }>): void {
    const { hub, clock, pass, forget } = this.#o
    const contest = this.#arbiter.enter({ merit: meritOf(message), heardMs: message.atMs, wordEndMs: message.endMs ?? message.atMs })
    this.#contest = contest
    void contest.decided.then((mine) => {
      hub.system({
        severity: 'debug', component: 'realm', name: mine ? 'ear.mine' : 'ear.elsewhere',
        data: { levelDb: message.levelDb, confidence: message.confidence, merit: contest.merit, waitedMs: contest.decidedMs - contest.sinceMs, sinceWakeMs: clock.monoMs() - message.atMs, ...(contest.winner === undefined ? {} : { node: contest.winner }) },
      })
      if (!mine) { forget(); return }
      this.#keep('words')
      pass(message)
    })
  }

  #words(message: UtteranceMessage): void {
    this.#keep('end')
    this.#o.pass(message)
  }

  #abdicated(contest: Contest): void {
    const { hub, forget, pass, clock } = this.#o
    hub.system({ severity: 'debug', component: 'realm', name: 'ear.abdicated', data: { merit: contest.merit, ...(contest.winner === undefined ? {} : { node: contest.winner }) } })
    this.#end()
    forget()
    // Whoever was told of the wake word hears that nothing follows.
    pass({ kind: 'wake-timeout', atMs: clock.monoMs() })
  }

  #keep(waitsFor: 'words' | 'end' | 'answer', forMs = MOST_HELD_MS): void {
    const { clock } = this.#o
    this.#arbiter.hold()
    this.#waitsFor = waitsFor
    clock.clearTimeout(this.#timer)
    this.#timer = clock.setTimeout(() => this.#end(), forMs)
  }

  #end(): void {
    this.#o.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#waitsFor = undefined
    this.#arbiter.release()
  }
}

/** Sound that was kept for better ears goes with its words. */
function drop({ audio }: UtteranceMessage): void { if (audio !== undefined) void rm(audio, { force: true }).catch(() => {}) }
