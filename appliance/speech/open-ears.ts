import type { Recogniser, Word } from './engine.ts'
import type { SampleRing } from './ring.ts'

/** A decoder works in blocks of its own: larger pieces only save calls. */
const BLOCK_SAMPLES = 4096

/**
 * The open vocabulary on one utterance at a time. It costs several times what the grammar does, so it reads only as far as
 * it is wanted, and catches up when it is.
 */
export class OpenEars {
  readonly #open: () => Promise<Recogniser>
  readonly #ring: SampleRing
  /** The sample it has read to; undefined between utterances. */
  #at: number | undefined

  constructor(open: () => Promise<Recogniser>, ring: SampleRing) {
    this.#open = open
    this.#ring = ring
  }

  /** Reads what has been said so far of the utterance whose first sample has the number `from`. */
  async read(from: number): Promise<void> {
    const recogniser = await this.#open()
    const audio = this.#ring.slice(this.#at ?? from)
    this.#at = this.#ring.end
    for (let at = 0; at < audio.length; at += BLOCK_SAMPLES) await recogniser.accept(audio.subarray(at, at + BLOCK_SAMPLES))
  }

  /** Reads to the end. All words; the utterance is over. */
  async words(from: number): Promise<Word[]> {
    await this.read(from)
    const { words } = await (await this.#open()).final()
    this.#at = undefined
    return words
  }

  /** Drops the utterance. */
  reset(): void {
    if (this.#at === undefined) return
    this.#at = undefined
    void this.#open().then((open) => open.reset())
  }
}
