import { createRequire } from 'node:module'

/** A sentence and the type it means. */
export interface Example { utterance: string; intent: string }
export interface Classification { intent: string; score: number }

/** nlp.js ships no types: this is the part of it that is used. @see https://github.com/axa-group/nlp.js, packages/nlu */
interface Neural {
  train(corpus: Example[], settings: object): Promise<unknown>
  process(utterance: string): Promise<{ classifications: Classification[] }>
  toJSON(): unknown
  fromJSON(json: unknown): void
}

/** A neural classifier of nlp.js with its English stemmer. Loads the library on first use only. */
export class Nlu {
  readonly #neural: Neural

  private constructor(neural: Neural) { this.#neural = neural }

  static async #create(): Promise<Nlu> {
    const require = createRequire(import.meta.url)
    const { containerBootstrap } = require('@nlpjs/core')
    const { LangEn } = require('@nlpjs/lang-en')
    const { NluNeural } = require('@nlpjs/nlu')
    const container = await containerBootstrap()
    container.use(LangEn)
    return new Nlu(new NluNeural({ locale: 'en', container, useNoneFeature: true, log: false }))
  }

  static async train(corpus: Example[]): Promise<Nlu> {
    const nlu = await Nlu.#create()
    await nlu.#neural.train(corpus, { log: false })
    return nlu
  }

  static async fromJSON(json: unknown): Promise<Nlu> {
    const nlu = await Nlu.#create()
    nlu.#neural.fromJSON(json)
    return nlu
  }

  toJSON(): unknown { return this.#neural.toJSON() }

  /** All types with their scores, 0 to 1, best first. */
  async classify(text: string): Promise<Classification[]> {
    const { classifications } = await this.#neural.process(text)
    return [...classifications].sort((a, b) => b.score - a.score)
  }
}
