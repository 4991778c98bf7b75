import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError } from '../../appliance/contracts/errors.ts'
import type { FromSpeech } from '../../appliance/speech/messages.ts'
import { SpeechPipeline } from '../../appliance/speech/pipeline.ts'
import { concatenate, readMono, silence, synthesise, type TestVoice } from '../../appliance/speech/sounds.ts'
import { WavReader } from '../../appliance/speech/wav.ts'
import { Understander } from '../../appliance/understand/index.ts'
import type { MeasureContext } from '../harness.ts'

const RATE_HZ = 16_000
const FRAME_SAMPLES = 512
/** Silence before and behind a sound. */
export const PAUSE_S = 0.5
/** Two sounds are so far apart that nothing of one is still awaited in the next. */
const BETWEEN_MS = 2_000

/** A sound with a name to tell it by. */
export interface Sound { name: string; load(): Promise<Int16Array> }

export interface HearOptions {
  /** The box itself speaks all the while: `setSpeaking(true)`. */
  isSpeaking?: boolean
  /** What it says: the ears are told before, as the speaker tells them. */
  own?: Int16Array
}

/** The speech pipeline alone, on audio time, with what it emitted. */
export class PipelineEars {
  readonly #pipeline: SpeechPipeline
  readonly #messages: FromSpeech[]
  #atMs = 0
  /** Time of the first sample of the sound that was heard last. Messages carry times of the same clock. */
  soundFromMs = 0
  audioS = 0
  cpuS = 0

  private constructor(pipeline: SpeechPipeline, messages: FromSpeech[]) {
    this.#pipeline = pipeline
    this.#messages = messages
  }

  /** @throws MtorError USAGE for an unknown engine; MODEL_UNTRUSTED, ENGINE_MISSING. */
  static async open(engine?: string): Promise<PipelineEars> {
    if (engine !== undefined && engine !== 'vosk' && engine !== 'pocketsphinx') throw new MtorError('USAGE', `--engine: expected vosk or pocketsphinx, got ${engine}`)
    const understander = await Understander.load()
    const messages: FromSpeech[] = []
    const pipeline = await SpeechPipeline.load({
      engine: engine ?? 'auto', grammar: understander.speechGrammar(), completeness: (text) => understander.completeness(text), meaning: (text) => understander.meaning(text),
      endSilenceMs: 240, maxSilenceMs: 900, answerWindowMs: 8_000, emit: (message) => { messages.push(message) },
    })
    return new PipelineEars(pipeline, messages)
  }

  get engine() { return this.#pipeline.engine }

  /** What is said to a box that has heard nothing before. `samples`: 16 kHz mono; silence is added before and behind. */
  async hear(samples: Int16Array, { isSpeaking = false, own }: HearOptions = {}): Promise<FromSpeech[]> {
    this.#pipeline.reset()
    if (own) await this.#pipeline.aboutToSay(own)
    this.#pipeline.setSpeaking(isSpeaking)
    this.#messages.length = 0
    const before = process.cpuUsage()
    const audio = concatenate([silence(PAUSE_S), samples, silence(PAUSE_S)])
    this.soundFromMs = this.#atMs + 1000 * PAUSE_S
    for (let i = 0; i < audio.length; i += FRAME_SAMPLES) {
      const frame = audio.subarray(i, i + FRAME_SAMPLES)
      this.#atMs += frame.length / (RATE_HZ / 1000)
      await this.#pipeline.push(frame, this.#atMs)
    }
    this.#pipeline.setSpeaking(false)
    await this.#pipeline.flush()
    this.#atMs += BETWEEN_MS
    const { user, system } = process.cpuUsage(before)
    this.cpuS += (user + system) / 1e6
    this.audioS += audio.length / RATE_HZ
    return this.#messages.slice()
  }

  close(): void { this.#pipeline.close() }
}

/** All WAV files below a folder, in order of their names. @throws MtorError NOT_FOUND */
export async function wavFiles(folder: string): Promise<Sound[]> {
  const entries = await readdir(folder, { recursive: true }).catch(() => { throw new MtorError('NOT_FOUND', `${folder} is no folder that can be read`) })
  return entries.filter((name) => /\.wav$/i.test(name)).sort().map((name) => ({ name, load: async () => readMono(await WavReader.open(join(folder, name))) }))
}

/** A text in a synthetic voice. */
export const said = (text: string, voice: TestVoice): Sound => ({ name: `${voice} “${text}”`, load: () => synthesise(text, voice) })

/** With --quick `limit` of the list, chosen by the seed; else all of it. */
export function sample<T>(context: MeasureContext, list: readonly T[], limit: number): T[] {
  if (!context.quick || list.length <= limit) return [...list]
  const rest = [...list]
  return Array.from({ length: limit }, () => rest.splice(Math.floor(context.random() * rest.length), 1)[0]!)
}
