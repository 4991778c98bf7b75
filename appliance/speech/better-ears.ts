import { rm } from 'node:fs/promises'
import type { Clock } from '../contracts/clock.ts'
import type { Code } from '../contracts/codes.ts'
import { toMtorError } from '../contracts/errors.ts'
import type { Hub } from '../contracts/hub.ts'
import type { Manifest } from '../inference/manifest.ts'
import type { Inference } from '../inference/port.ts'
import type { UtteranceMessage } from './messages.ts'

/** Whoever spoke waits so long for better words: this, and for each second of sound … */
const BASE_MS = 2_000
const PER_AUDIO_SECOND_MS = 500
/** Takes longer than this per second of sound: the board is too slow for the model. */
export const MAX_REAL_TIME_FACTOR = 0.5
/** A model that is not sure of its words has heard a noise. Geometric mean of the probability of each token. */
const MIN_CONFIDENCE = 0.35
/** Nobody says more; a decoder that goes round in circles does. */
const MAX_WORDS_PER_S = 6
const MEASURE_DEADLINE_MS = 60_000

export interface BetterEarsOptions {
  /** `speech.transcriber`: a model, or 'auto'. */
  transcriber: string
  inference: Pick<Inference, 'run' | 'warm'>
  models(): Manifest[]
  hub: Hub
  clock: Clock
}

/** How fast a model is here: seconds of work for a second of sound, or why it does not work. */
export interface Measured { model: string; realTimeFactor?: number; error?: string }

/** The first that keeps up; undefined where none does. */
export const chooseTranscriber = (measured: readonly Measured[]): string | undefined =>
  measured.find(({ realTimeFactor }) => realTimeFactor !== undefined && realTimeFactor <= MAX_REAL_TIME_FACTOR)?.model

/**
 * The core's side of better ears: free speech that the engine has understood is heard once more by a larger model. It may
 * be missing, slow, broken or unsure: then what the engine understood stands, and an event says why.
 */
export class BetterEars {
  readonly #o: BetterEarsOptions
  #model: string | undefined

  constructor(options: BetterEarsOptions) { this.#o = options }

  /** The model in use; undefined while none has been found fit. */
  get model(): string | undefined { return this.#model }

  /** Loads the model, or measures those that are there and takes the largest that keeps up. Never rejects; until it is done the engine's words stand. */
  async start(): Promise<void> {
    const { transcriber, inference, hub } = this.#o
    const system = (severity: 'info' | 'warning', name: string, message: string, data?: Record<string, unknown>) => hub.system({ severity, component: 'speech', name, message, data })
    if (transcriber !== 'auto') {
      await inference.warm(transcriber).then(
        () => { this.#model = transcriber; system('info', 'transcriber.ready', `free speech is heard by ${transcriber}`) },
        (error: unknown) => {
          // It is asked all the same: it may be there later.
          this.#model = transcriber
          const { code, message, hint } = toMtorError(error)
          hub.system({ severity: 'warning', component: 'speech', name: 'transcriber.missing', code, message: `${transcriber}: ${message}. The engine's words stand. ${hint}` })
        })
      return
    }
    const measured: Measured[] = []
    const candidates = this.#o.models().filter(({ task }) => task === 'transcribe').sort((a, b) => b.memoryMB - a.memoryMB)
    for (const { name } of candidates) measured.push(await this.#measure(name))
    this.#model = chooseTranscriber(measured)
    system('info', 'transcriber.chosen', this.#model === undefined ? "no transcriber is there that keeps up; the engine's words stand" : `free speech is heard by ${this.#model}`, { measured })
  }

  /** The second of two runs over a full window: the first also fills caches. */
  async #measure(model: string): Promise<Measured> {
    const { inference } = this.#o
    try {
      await inference.warm(model)
      let realTimeFactor = Infinity
      for (let round = 0; round < 2; round++) {
        const { output, runMs } = await inference.run('transcribe', model, { file: { pattern: 'voice', wholeWindow: true } }, { deadlineMs: MEASURE_DEADLINE_MS, priority: 9 })
        realTimeFactor = runMs / 1000 / output.audioS
      }
      return { model, realTimeFactor }
    } catch (error) { return { model, error: toMtorError(error).message } }
  }

  /** The message with better words, where there are any. Its audio is removed. Never rejects. */
  async hear(message: UtteranceMessage): Promise<UtteranceMessage> {
    const { audio, free } = message
    if (audio === undefined || free === undefined) return message
    const { inference, clock, hub } = this.#o
    const audioS = (message.timeline.speechEndMs - free.fromMs) / 1000
    const stands = (code: Code | undefined, why: string): UtteranceMessage => {
      hub.system({ severity: 'info', component: 'speech', name: 'transcriber.passed', code, message: `${this.#model}: ${why}; the words of ${message.engine} stand` })
      return message
    }
    try {
      if (this.#model === undefined) return message
      const { output, runMs, provider } = await inference.run('transcribe', this.#model, { file: audio }, { deadlineMs: BASE_MS + PER_AUDIO_SECOND_MS * audioS, priority: 2 })
      const text = plain(output.text)
      if (text === '') return stands(undefined, 'it heard nothing')
      if (output.confidence < MIN_CONFIDENCE) return stands(undefined, `it is not sure of “${text}” (${output.confidence.toFixed(2)})`)
      if (text.split(' ').length > MAX_WORDS_PER_S * Math.max(1, output.audioS)) return stands(undefined, 'it heard more words than anybody says')
      hub.system({ severity: 'debug', component: 'speech', name: 'transcribed', message: text, data: { model: this.#model, provider, runMs, audioS: output.audioS, confidence: output.confidence, before: message.text } })
      return { ...message, text: `${free.lead} ${text}`, confidence: output.confidence, engine: this.#model, timeline: { ...message.timeline, transcriptMs: clock.monoMs() } }
    } catch (thrown) {
      const { code, message: why } = toMtorError(thrown)
      return stands(code, why)
    } finally { await rm(audio, { force: true }).catch(() => {}) }
  }
}

/** Without the stop at the end, and without a capital that only begins the sentence: the text stands within another. */
function plain(text: string): string {
  const bare = text.trim().replace(/^[^\p{L}\p{N}]+|[.!?,;:…\s]+$/gu, '')
  return /^(I\b|\p{Lu}{2})/u.test(bare) ? bare : bare.charAt(0).toLowerCase() + bare.slice(1)
}
