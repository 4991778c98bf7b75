import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { UtteranceMessage } from './messages.ts'
import { RecentSound } from './recent-sound.ts'
import { encodeWav } from './wav.ts'

/** The longest free speech there is, and what comes around it. */
const MEMORY_S = 66
/** Sound kept before the first word and after the last. */
const BEFORE_MS = 120
const AFTER_MS = 300
const NAME = /^free-speech-\d+-\d+\.wav$/

/**
 * The speech process' side of better ears: free speech as a WAV file in the run folder, from the end of its lead on. The
 * core removes each when it has been transcribed; what a killed core left is removed here.
 */
export class FreeSpeechFiles {
  readonly #folder: string
  readonly #heard = new RecentSound(MEMORY_S)
  readonly #ready: Promise<void>
  #count = 0

  constructor(folder: string) {
    this.#folder = folder
    this.#ready = this.#removeOld()
    this.#ready.catch(() => {})
  }

  push(samples: Int16Array, endMs: number): void { this.#heard.push(samples, endMs) }

  /** The message with its audio; as it is where nothing of the sound is left. Rejects where the file cannot be written. */
  async attach(message: UtteranceMessage): Promise<UtteranceMessage> {
    if (!message.free) return message
    const samples = this.#heard.between(message.free.fromMs - BEFORE_MS, message.timeline.speechEndMs + AFTER_MS)
    if (!samples) return message
    await this.#ready
    const audio = join(this.#folder, `free-speech-${process.pid}-${++this.#count}.wav`)
    await writeFile(audio, encodeWav(samples, { sampleRateHz: 16_000 }), { mode: 0o600 })
    return { ...message, audio }
  }

  async #removeOld(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    for (const name of await readdir(this.#folder)) if (NAME.test(name)) await rm(join(this.#folder, name), { force: true })
  }
}
