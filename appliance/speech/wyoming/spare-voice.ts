import { MtorError } from '../../contracts/errors.ts'
import { MAX_SPOKEN_CHARS, splitSentences } from '../speak/sentences.ts'
import { synthesise, type SpeakEngine } from '../speak/synthesise.ts'
import { WavReader } from '../wav.ts'
import { PcmConverter, pcmOf } from './pcm.ts'

/** Synthesised at once for clients; the box's own sentences do not wait for these. */
const MOST_AT_ONCE = 2
/** A text without a letter has no sound; this is what the empty sound is said to be. */
const SILENT_RATE_HZ = 16_000

export interface SpareVoiceOptions {
  /** Undefined: nothing can speak here. */
  engine: SpeakEngine | undefined
  voice: string
  /** The neural voice, asked first; undefined from it: `engine` says the sentence. */
  better?: { model: string; say: (text: string, signal: AbortSignal) => Promise<Buffer | undefined> }
}

/** The box's own voice for others: sound instead of a loudspeaker. */
export class SpareVoice {
  readonly #o: SpareVoiceOptions
  #running = 0

  constructor(options: SpareVoiceOptions) { this.#o = options }

  /** What it is called; undefined where there is no voice. */
  get name(): string | undefined { return this.#o.better?.model ?? (this.#o.engine && `${this.#o.engine}-${this.#o.voice}`) }

  /**
   * A text, sentence by sentence, as PCM of 16 bits, mono, all at the rate of the first.
   * @throws MtorError BUSY, TOO_LARGE, ENGINE_MISSING, CANCELLED on abort
   */
  async *say(text: string, signal: AbortSignal): AsyncGenerator<{ rateHz: number; pcm: Buffer }> {
    if (this.#running >= MOST_AT_ONCE) throw new MtorError('BUSY', `more than ${MOST_AT_ONCE} texts are being spoken`)
    if (text.length > MAX_SPOKEN_CHARS) throw new MtorError('TOO_LARGE', `a text of ${text.length} characters; at most ${MAX_SPOKEN_CHARS} are spoken`, { hint: 'Send it in parts.' })
    this.#running++
    try {
      let rateHz: number | undefined
      for (const sentence of splitSentences(text)) {
        const wav = await WavReader.fromBuffer(await this.#synthesise(sentence, signal), 'speech')
        rateHz ??= wav.format.sampleRateHz
        const converter = new PcmConverter({ rateHz: wav.format.sampleRateHz, width: 2, channels: wav.format.channels }, rateHz)
        for (const samples of [...converter.push(pcmOf(await wav.all())), converter.flush()]) yield { rateHz, pcm: pcmOf(samples) }
      }
      if (rateHz === undefined) yield { rateHz: SILENT_RATE_HZ, pcm: Buffer.alloc(0) }
    } finally { this.#running-- }
  }

  async #synthesise(text: string, signal: AbortSignal): Promise<Buffer> {
    const { engine, voice, better } = this.#o
    const wav = await better?.say(text, signal)
    if (wav) return wav
    if (!engine) throw new MtorError('ENGINE_MISSING', 'neither flite nor espeak-ng is installed')
    return await synthesise(text, { engine, voice, signal })
  }
}
