import type { Completeness } from '../understand/port.ts'
import type { Recogniser, SpeechEngine, Transcript } from './engine.ts'
import { commandPhrases, type CommandGrammar } from './grammar.ts'

/** A sentence is chosen among this many readings of a command. */
const READINGS = 8

export interface CommandEarsOptions { engine: SpeechEngine; recogniser: Recogniser; grammar: CommandGrammar; completeness(text: string): Completeness }

/** Hears the sentences of a grammar, and those learnt on top of it. */
export class CommandEars {
  readonly #o: CommandEarsOptions
  #recogniser: Recogniser
  /** What can be said now: the templates' grammar and what was learnt on top. */
  #grammar: CommandGrammar
  /** Answers such as "confirm" and bare numbers are in the grammar without being intents. */
  #phrases: ReadonlySet<string>
  /** A lesson that waits for the end of a command. */
  #lesson: { grammar: CommandGrammar; done: PromiseWithResolvers<{ tookMs: number }> } | undefined

  constructor(options: CommandEarsOptions) {
    this.#o = options
    this.#recogniser = options.recogniser
    this.#grammar = options.grammar
    this.#phrases = new Set(options.grammar.phrases)
  }

  static open(engine: SpeechEngine, phrases: readonly string[]): Promise<Recogniser> | Recogniser { return engine.open({ kind: 'phrases', phrases, readings: READINGS }) }

  get grammar(): CommandGrammar { return this.#grammar }
  get hasLesson(): boolean { return this.#lesson !== undefined }

  accept(samples: Int16Array): void | Promise<void> { return this.#recogniser.accept(samples) }
  partial(): string { return this.#recogniser.partial() }
  final(): Transcript | Promise<Transcript> { return this.#recogniser.final() }
  reset(): void { this.#recogniser.reset() }

  completeness(text: string): Completeness {
    const known = this.#o.completeness(text)
    if (known === 'complete' || known === 'extendable' || !this.#phrases.has(text)) return known
    return known === 'prefix' ? 'extendable' : 'complete'
  }

  /** To be heard from the next `settle` on, in place of what was learnt before. Resolves once it is. */
  teach(more: CommandGrammar): Promise<{ tookMs: number }> {
    const { phrases, words, freeTextLeads, usual = [] } = this.#o.grammar
    const grammar = { phrases: [...phrases, ...more.phrases], words: [...words, ...more.words], freeTextLeads: [...freeTextLeads, ...more.freeTextLeads], lateLeads: more.lateLeads ?? [], usual: [...usual, ...more.usual ?? []] }
    this.forgetLesson()
    this.#lesson = { grammar, done: Promise.withResolvers() }
    return this.#lesson.done.promise
  }

  /** Whoever waits for a lesson waits no longer. */
  forgetLesson(): void {
    this.#lesson?.done.resolve({ tookMs: 0 })
    this.#lesson = undefined
  }

  /** Learns what there is to learn. Only between commands: one that is being said is heard to its end as it began. */
  async settle(): Promise<void> {
    const lesson = this.#lesson
    if (!lesson) return
    this.#lesson = undefined
    const sinceMs = performance.now()
    const { engine } = this.#o
    try {
      const phrases = commandPhrases(engine, lesson.grammar)
      // Each one made anew leaves some memory behind in Vosk: the same again is not.
      if (phrases.join('\n') !== commandPhrases(engine, this.#grammar).join('\n')) {
        const recogniser = await CommandEars.open(engine, phrases)
        this.#recogniser.close()
        this.#recogniser = recogniser
      }
      this.#grammar = lesson.grammar
      this.#phrases = new Set(lesson.grammar.phrases)
      lesson.done.resolve({ tookMs: performance.now() - sinceMs })
    } catch (error) { lesson.done.reject(error) }
  }
}
