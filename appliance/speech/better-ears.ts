import { rm } from 'node:fs/promises'
import type { Clock } from '../contracts/clock.ts'
import type { Code } from '../contracts/codes.ts'
import { toMtorError } from '../contracts/errors.ts'
import type { Hub } from '../contracts/hub.ts'
import type { Manifest } from '../inference/manifest.ts'
import type { Inference } from '../inference/port.ts'
import { chooseModel } from './choose-model.ts'
import type { UtteranceMessage } from './messages.ts'

/** Whoever spoke waits so long for better words: this, and for each second of sound … */
const BASE_MS = 2_000
const PER_AUDIO_SECOND_MS = 500
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

  /** Until this is done the engine's words stand. Never rejects. */
  async start(): Promise<void> {
    const { transcriber, inference, models, hub } = this.#o
    const measure = async (model: string) => {
      const { output, runMs } = await inference.run('transcribe', model, { file: { pattern: 'voice', wholeWindow: true } }, { deadlineMs: MEASURE_DEADLINE_MS, priority: 9 })
      return runMs / 1000 / output.audioS
    }
    this.#model = await chooseModel({ wanted: transcriber, task: 'transcribe', role: 'transcriber', otherwise: "the engine's words stand", inference, models, hub, measure })
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
      const text = plain(withoutLead(output.text, free.lead))
      if (text === '') return stands(undefined, 'it heard nothing')
      if (output.confidence < MIN_CONFIDENCE) return stands(undefined, `it is not sure of “${text}” (${output.confidence.toFixed(2)})`)
      if (text.split(' ').length > MAX_WORDS_PER_S * Math.max(1, output.audioS)) return stands(undefined, 'it heard more words than anybody says')
      hub.system({ severity: 'debug', component: 'speech', name: 'transcribed', message: text, data: { model: this.#model, provider, runMs, audioS: output.audioS, confidence: output.confidence, before: message.text } })
      return { ...message, text: `${free.lead} ${text}`.trim(), confidence: output.confidence, engine: this.#model, timeline: { ...message.timeline, transcriptMs: clock.monoMs() } }
    } catch (thrown) {
      const { code, message: why } = toMtorError(thrown)
      return stands(code, why)
    } finally { await rm(audio, { force: true }).catch(() => {}) }
  }
}

/** The sound begins a little before the lead has ended: what is heard of that again is no part of the text. */
function withoutLead(text: string, lead: string): string {
  const words = text.trim().split(/\s+/)
  const bare = words.map((word) => word.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ''))
  const end = lead.split(' ')
  for (let count = Math.min(end.length, words.length - 1); count > 0; count--) {
    if (end.slice(-count).every((word, i) => word === bare[i])) return words.slice(count).join(' ')
  }
  return text
}

/** Without the stop at the end, and without a capital that only begins the sentence: the text stands within another. */
function plain(text: string): string {
  const bare = text.trim().replace(/^[^\p{L}\p{N}]+|[.!?,;:…\s]+$/gu, '')
  return /^(I\b|\p{Lu}{2})/u.test(bare) ? bare : bare.charAt(0).toLowerCase() + bare.slice(1)
}
