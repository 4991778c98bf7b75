import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { SpeechTimeline } from './messages.ts'
import { RecentSound } from './recent-sound.ts'
import { encodeWav } from './wav.ts'

/** The longest stretch before now that an utterance can be cut from. */
const MEMORY_S = 30
/** Sound kept around the utterance, so that soft beginnings and ends are in. */
const MARGIN_MS = 300
const MAX_TOTAL_BYTES = 256 * 1024 * 1024

/**
 * Keeps each utterance as a WAV file, only where the operator turned speech.keepAudio on. The oldest files go when the
 * folder holds more than 256 MB of them. Only files of the form it writes itself are ever removed.
 */
export class AudioKeeper {
  readonly #folder: string
  readonly #maxTotalBytes: number
  readonly #heard = new RecentSound(MEMORY_S)

  constructor(folder: string, maxTotalBytes = MAX_TOTAL_BYTES) {
    this.#folder = folder
    this.#maxTotalBytes = maxTotalBytes
  }

  push(samples: Int16Array, endMs: number): void { this.#heard.push(samples, endMs) }

  /** Writes what was heard between the utterance's first and last speech; the file's path, or undefined where nothing is left of it. */
  async save(timeline: SpeechTimeline, wallMs: number): Promise<string | undefined> {
    const samples = this.#heard.between(timeline.speechStartMs - MARGIN_MS, timeline.speechEndMs + MARGIN_MS)
    if (!samples) return undefined
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    const file = join(this.#folder, `utterance-${new Date(wallMs).toISOString().replaceAll(':', '')}.wav`)
    await writeFile(file, encodeWav(samples, { sampleRateHz: 16_000 }), { mode: 0o600 })
    await this.#prune()
    return file
  }

  async #prune() {
    const names = (await readdir(this.#folder)).filter((name) => /^utterance-.*\.wav$/.test(name)).sort().reverse()
    let total = 0
    for (const name of names) {
      const path = join(this.#folder, name)
      total += (await stat(path)).size
      if (total > this.#maxTotalBytes) await rm(path, { force: true })
    }
  }
}
