import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError } from '../../../contracts/errors.ts'
import type { FromSpeech } from '../../messages.ts'
import { Requests } from '../../requests.ts'
import { SENTENCE_DEADLINE_MS } from './better-voice.ts'

/** The core answers in time, or it is busy with its own end. */
const PATIENCE_MS = SENTENCE_DEADLINE_MS + 500
/** After a sentence that did not come, the next ones are not asked for so long. */
const REST_MS = 10_000
const NAME = /^spoken-\d+-\d+\.wav$/

/** The speech process' side of a neural voice: asks the core for each sentence, as a WAV file in the run folder. */
export class AskedVoice {
  readonly #folder: string
  readonly #send: (message: Extract<FromSpeech, { kind: 'synthesise' }>) => void
  readonly #requests = new Requests<boolean>()
  readonly #ready: Promise<void>
  readonly #answered = new Set<number>()
  /** Files of sentences that were cut off: they may still be written. */
  readonly #late = new Map<number, string>()
  #restUntilMs = -Infinity

  constructor(folder: string, send: (message: Extract<FromSpeech, { kind: 'synthesise' }>) => void) {
    this.#folder = folder
    this.#send = send
    this.#ready = this.#removeOld()
    this.#ready.catch(() => {})
  }

  /** The sentence as WAV; undefined where the other voice must say it. Rejects CANCELLED on abort. */
  async synthesise(text: string, signal: AbortSignal): Promise<Buffer | undefined> {
    const startedMs = performance.now()
    if (startedMs < this.#restUntilMs) return undefined
    await this.#ready.catch(() => {})
    if (signal.aborted) throw new MtorError('CANCELLED', 'cut off')
    const { requestId, answer } = this.#requests.open()
    const file = join(this.#folder, `spoken-${process.pid}-${requestId}.wav`)
    const cut = () => { this.#requests.settle(requestId, { error: new MtorError('CANCELLED', 'cut off') }) }
    const timer = setTimeout(() => { this.#requests.settle(requestId, { value: false }) }, PATIENCE_MS)
    signal.addEventListener('abort', cut, { once: true })
    this.#send({ kind: 'synthesise', requestId, text, file })
    try {
      if (await answer) return await readFile(file).catch(() => undefined)
      if (performance.now() - startedMs >= SENTENCE_DEADLINE_MS) this.#restUntilMs = performance.now() + REST_MS
      return undefined
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', cut)
      if (!this.#answered.delete(requestId)) this.#late.set(requestId, file)
      await rm(file, { force: true }).catch(() => {})
    }
  }

  /** The core has answered. */
  answer(requestId: number, ok: boolean): void {
    const late = this.#late.get(requestId)
    this.#late.delete(requestId)
    if (late !== undefined) void rm(late, { force: true }).catch(() => {})
    else this.#answered.add(requestId)
    this.#requests.settle(requestId, { value: ok })
  }

  async #removeOld(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    for (const name of await readdir(this.#folder)) if (NAME.test(name)) await rm(join(this.#folder, name), { force: true })
  }
}
