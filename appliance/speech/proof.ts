import { setImmediate as others } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Clock, Timer } from '../contracts/clock.ts'
import { MtorError, toMtorError } from '../contracts/errors.ts'
import { textOf, type Recogniser } from './engine.ts'
import { STOP_DECOYS, WAKE_DECOYS } from './grammar.ts'
import type { FromSpeech } from './messages.ts'
import type { SpeechPipeline } from './pipeline.ts'
import { FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ, type VoiceActivity } from './vad.ts'
import { WavReader } from './wav.ts'

/** The known answer of the ears: a recording, and what they must make of it. */
export interface KnownUtterance {
  /** Mono, 16 kHz, WAV, with the silence that ends speech. */
  file: string
  text: string
  /** How long voice activity finds speech in it, ms. */
  speechMs: number
}

/** Made with flite's voice rms ("computer stop"). Voice activity finds 35 frames of speech in it. */
export const KNOWN_UTTERANCE: KnownUtterance = { file: fileURLToPath(new URL('./known/computer-stop.wav', import.meta.url)), text: 'computer stop', speechMs: 35 * FRAME_MS }

/** Voice activity may be this far off: other processors round otherwise. */
const SPEECH_MARGIN_MS = 4 * FRAME_MS
/** Between two blocks of the recording the microphone has its turn. */
const BLOCK_FRAMES = 4

export interface EarsProof { ok: boolean; text: string; tookMs: number; /** What was wrong. */ message?: string }

/**
 * Runs a known recording through the loaded models: a voice activity and a recogniser of its own, so that nothing it
 * hears counts as heard, among words that sound like those in the recording. Costs 0.035 s of processor time with Vosk,
 * in pieces of 3 ms.
 */
export class EarsProver {
  #known: KnownUtterance
  #samples: Int16Array
  #vad: VoiceActivity
  #recogniser: Recogniser

  private constructor(known: KnownUtterance, samples: Int16Array, parts: { vad: VoiceActivity; recogniser: Recogniser }) {
    this.#known = known
    this.#samples = samples
    this.#vad = parts.vad
    this.#recogniser = parts.recogniser
  }

  /** @throws MtorError AUDIO_INVALID where the recording is not there or is another kind */
  static async load(ears: SpeechPipeline, known: KnownUtterance = KNOWN_UTTERANCE): Promise<EarsProver> {
    const wav = await WavReader.open(known.file)
    try {
      const { channels, sampleRateHz } = wav.format
      if (channels !== 1 || sampleRateHz !== SAMPLE_RATE_HZ) throw new MtorError('AUDIO_INVALID', `${known.file}: expected one channel at ${SAMPLE_RATE_HZ} Hz, got ${channels} at ${sampleRateHz} Hz`)
      return new EarsProver(known, await wav.all(), await ears.proofParts([...WAKE_DECOYS, ...STOP_DECOYS]))
    } finally { await wav.close() }
  }

  /** One at a time. */
  async prove(): Promise<EarsProof> {
    const startMs = performance.now()
    let speechFrames = 0
    this.#vad.reset()
    this.#recogniser.reset()
    for (let at = 0; at + FRAME_SAMPLES <= this.#samples.length; at += FRAME_SAMPLES) {
      const frame = this.#samples.subarray(at, at + FRAME_SAMPLES)
      if ((await this.#vad.frame(frame)).speech) speechFrames++
      await this.#recogniser.accept(frame)
      if ((at / FRAME_SAMPLES) % BLOCK_FRAMES === 0) await others()
    }
    const text = textOf((await this.#recogniser.final()).words)
    const speechMs = speechFrames * FRAME_MS
    const wrong = text !== this.#known.text ? `“${text}” was heard in the known recording, “${this.#known.text}” is in it`
      : Math.abs(speechMs - this.#known.speechMs) > SPEECH_MARGIN_MS ? `${speechMs} ms of speech were found in the known recording, ${this.#known.speechMs} ms are in it` : undefined
    return { ok: wrong === undefined, text, tookMs: Math.round(performance.now() - startMs), ...wrong === undefined ? {} : { message: wrong } }
  }

  close(): void { this.#recogniser.close() }
}

/** A wrong answer is given once more, soon: it may have been a passing trouble. */
const AGAIN_MS = 1_000
/** While something is heard or said, it is asked this often whether it is quiet now. */
const QUIET_LOOK_MS = 1_000

export interface ProofRoundOptions {
  prover: Pick<EarsProver, 'prove'>
  periodMs: number
  clock: Clock
  /** Behind all that waits to be recognised: nothing is heard or said. */
  quiet(): Promise<boolean>
  report(message: Extract<FromSpeech, { kind: 'proven' }>): void
}

/**
 * Proves the ears at once and then once a period, in a quiet moment; where none comes for a whole further period (a
 * television), all the same: it disturbs nothing. So whoever hears of no proof for three periods knows that the ears hang.
 */
export class ProofRound {
  readonly #o: ProofRoundOptions
  #timer: Timer | undefined
  #dueMs = 0
  #running: Promise<void> = Promise.resolve()
  #stopped = true

  constructor(options: ProofRoundOptions) { this.#o = options }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#dueMs = this.#o.clock.monoMs()
    this.#in(0)
  }

  /** Resolves when the last proof has ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#o.clock.clearTimeout(this.#timer)
    await this.#running
  }

  #in(ms: number) {
    if (!this.#stopped) this.#timer = this.#o.clock.setTimeout(() => { this.#running = this.#turn() }, ms)
  }

  async #turn(): Promise<void> {
    const { prover, periodMs, clock, quiet, report } = this.#o
    // Asked in any case: behind a recogniser that hangs there is no answer, and then no proof.
    const isQuiet = await quiet()
    if (this.#stopped) return
    if (!isQuiet && clock.monoMs() - this.#dueMs < periodMs) return this.#in(Math.min(QUIET_LOOK_MS, periodMs))
    const proof = await prover.prove().catch((error: unknown): EarsProof => ({ ok: false, text: '', tookMs: 0, message: toMtorError(error).message }))
    if (this.#stopped) return
    report({ kind: 'proven', ...proof })
    const nextMs = proof.ok ? periodMs : Math.min(AGAIN_MS, periodMs)
    this.#dueMs = clock.monoMs() + nextMs
    this.#in(nextMs)
  }
}
