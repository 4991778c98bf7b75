import { SileroVad, FRAME_SAMPLES } from './vad/silero.ts'

export { FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE_HZ } from './vad/silero.ts'

/** Below this root mean square (of 32768, about −66 dBFS) a frame is silence without asking the model. */
const GATE_RMS = 16
/** After the last frame above the gate the model is still asked this often: it needs the decay to see an end. */
const GATE_HOLD_FRAMES = 8
/** Speech begins at this probability and goes on while it stays above the lower one (Silero's own hysteresis). */
const START = 0.5
const HOLD = 0.35

export interface Activity {
  speech: boolean
  /** 0 to 1. */
  probability: number
}

/** Voice activity of a stream of 512-sample frames: a cheap energy gate, then Silero, then hysteresis. */
export class VoiceActivity {
  #silero: SileroVad
  #hold = 0
  #speech = false

  private constructor(silero: SileroVad) { this.#silero = silero }

  static async load(modelFile: string): Promise<VoiceActivity> { return new VoiceActivity(await SileroVad.load(modelFile)) }

  /** Another stream through the same loaded model. Only the first one is closed. */
  beside(): VoiceActivity { return new VoiceActivity(this.#silero.beside()) }

  /** Frames must come in order, one call at a time. */
  async frame(frame: Int16Array): Promise<Activity> {
    if (rms(frame) >= GATE_RMS) this.#hold = GATE_HOLD_FRAMES
    else if (this.#hold > 0 && --this.#hold === 0) this.reset()
    if (this.#hold === 0) return { speech: false, probability: 0 }
    const probability = await this.#silero.probability(frame)
    this.#speech = probability >= (this.#speech ? HOLD : START)
    return { speech: this.#speech, probability }
  }

  reset(): void {
    this.#silero.reset()
    this.#hold = 0
    this.#speech = false
  }

  async close(): Promise<void> { await this.#silero.close() }
}

function rms(frame: Int16Array): number {
  let sum = 0
  for (let i = 0; i < FRAME_SAMPLES; i++) { const s = frame[i] ?? 0; sum += s * s }
  return Math.sqrt(sum / FRAME_SAMPLES)
}
