import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { earcon, type EarconName } from './earcons.ts'
import { splitSentences } from './sentences.ts'
import type { Sink } from './sink.ts'
import { synthesise, type SpeakEngine } from './synthesise.ts'

export type SpeakingState = 'started' | 'done' | 'stopped' | 'failed'

export interface SpeakerOptions {
  /** Undefined: nothing can speak; every request fails with ENGINE_MISSING, or is done at once where `mute` is set. */
  engine: SpeakEngine | undefined
  mute: boolean
  voice: string
  sink: Sink
  earcons: boolean
  /** Another voice, asked first; undefined from it: `engine` says the sentence. */
  better?: (text: string, signal: AbortSignal) => Promise<Buffer | undefined>
  /** 'started' when the first sound begins, then one of the others. A request cut off in the queue only stops. */
  onState(requestId: number, state: SpeakingState, message?: string): void
  /** Before each sound of speech: what will be heard. */
  onSound?: (wav: Buffer) => Promise<void>
  /** True from the first sound of a request to its last: the ears must know. */
  onSpeaking(speaking: boolean): void
  onError(error: MtorError): void
}

interface Request { requestId: number; text: string; /** Sound that is there already. */ wav?: Buffer }

/** More waiting requests than this: what is said would be long out of date. */
const MAX_WAITING = 16

/** Says one request after another. Earcons go between sentences, ahead of what waits. */
export class Speaker {
  readonly #o: SpeakerOptions
  #waiting: Request[] = []
  #tones: EarconName[] = []
  #cut: AbortController | undefined
  #working: Promise<void> | undefined
  #stopped = false

  constructor(options: SpeakerOptions) { this.#o = options }

  speak(requestId: number, text: string, interrupt = false): void {
    if (interrupt) this.silence()
    this.#queue({ requestId, text })
  }

  /** Plays a WAV that somebody else made, as a sentence of its own. */
  play(requestId: number, text: string, wav: Buffer): void { this.#queue({ requestId, text, wav }) }

  earcon(name: EarconName): void {
    // A tone that waits behind another says nothing any more.
    if (!this.#o.earcons || this.#stopped || this.#tones.length > 0) return
    this.#tones.push(name)
    this.#work()
  }

  /** Cuts off what is being said and drops what waits. */
  silence(): void {
    const dropped = this.#waiting
    this.#waiting = []
    this.#tones = []
    this.#cut?.abort()
    for (const { requestId } of dropped) this.#o.onState(requestId, 'stopped')
  }

  /** Silences, for good. Resolves when no sound is made any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.silence()
    await this.#working
  }

  #queue(request: Request) {
    if (this.#stopped) return this.#o.onState(request.requestId, 'stopped')
    if (this.#waiting.length >= MAX_WAITING) return this.#o.onState(request.requestId, 'failed', `BUSY: more than ${MAX_WAITING} sentences are waiting`)
    this.#waiting.push(request)
    this.#work()
  }

  #work() {
    this.#working ??= this.#run().finally(() => {
      this.#working = undefined
      if (this.#tones.length > 0 || this.#waiting.length > 0) this.#work()
    })
  }

  async #run() {
    for (;;) {
      await this.#playTones()
      const request = this.#waiting.shift()
      if (!request) return
      await this.#say(request)
    }
  }

  async #say({ requestId, text, wav: given }: Request) {
    const { engine, voice, sink, mute, better, onState, onSound, onSpeaking } = this.#o
    const cut = this.#cut = new AbortController()
    const { signal } = cut
    let started = false
    try {
      const pieces = mute ? [] : given ? [text] : splitSentences(text)
      if (!engine && !better && !given && pieces.length > 0) throw new MtorError('ENGINE_MISSING', 'neither flite nor espeak-ng is installed')
      const say = async (piece: string) => {
        if (given) return given
        const wav = await better?.(piece, signal)
        if (wav) return wav
        if (!engine) throw new MtorError('ENGINE_MISSING', 'neither flite nor espeak-ng is installed')
        return await synthesise(piece, { engine, voice, signal })
      }
      const make = (piece: string) => {
        const wav = say(piece)
        wav.catch(() => {})
        return wav
      }
      let next = pieces[0] === undefined ? undefined : make(pieces[0])
      for (const [i, piece] of pieces.entries()) {
        const wav = await next!
        await onSound?.(wav)
        // The next sentence is synthesised while this one sounds.
        next = pieces[i + 1] === undefined ? undefined : make(pieces[i + 1]!)
        if (!started) {
          started = true
          onSpeaking(true)
          onState(requestId, 'started')
        }
        await sink.play(wav, { text: piece }, signal)
        if (signal.aborted) throw new MtorError('CANCELLED', 'cut off')
        await this.#playTones()
      }
      if (started) onSpeaking(false)
      onState(requestId, 'done')
    } catch (error) {
      cut.abort()
      if (started) onSpeaking(false)
      const failure = toMtorError(error)
      if (failure.code === 'CANCELLED') onState(requestId, 'stopped')
      else onState(requestId, 'failed', `${failure.code}: ${failure.message}`)
    } finally { this.#cut = undefined }
  }

  async #playTones() {
    for (let name = this.#tones.shift(); name; name = this.#tones.shift()) {
      try { await this.#o.sink.play(earcon(name), { earcon: name }, new AbortController().signal) } catch (error) { this.#o.onError(toMtorError(error)) }
    }
  }
}
