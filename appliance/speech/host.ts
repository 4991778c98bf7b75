import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config/schema.ts'
import type { Clock, Timer } from '../contracts/clock.ts'
import { isCode } from '../contracts/codes.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import type { DeclaredIntent } from '../contracts/handlers.ts'
import type { Hub } from '../contracts/hub.ts'
import { Keeper, type Gone } from '../inference/keeper.ts'
import type { ModelStatus, WorkerStatus } from '../inference/port.ts'
import type { AnswerForm } from '../understand/answers.ts'
import { eventOf } from './host-events.ts'
import { inferenceStatus, speechStatus, Track, type SpeechStatus } from './host-status.ts'
import type { FromSpeech, SpeechSettings, ToSpeech, WyomingSettings } from './messages.ts'
import type { KnownUtterance } from './proof.ts'
import { quietPromise, Requests } from './requests.ts'
import { TICK_MS, VitalSigns, type Verdict } from './vital-signs.ts'

export type { SpeechStatus } from './host-status.ts'

const PROCESS_FILE = fileURLToPath(new URL('./process.ts', import.meta.url))
const QUIET_MS = 10_000
/** After this long a renewal does not wait for quiet any more. */
const RENEW_ANYWAY_TICKS = 120

export interface SpeechHostOptions {
  config: Config['speech']
  understand: Config['understand']
  /** Names of the sequences that can be run by voice. */
  sequences: string[]
  stateDir: string
  runDir: string
  /** The model store, for learned words; left out: models/ of the project. */
  models?: SpeechSettings['models']
  clock: Clock
  hub: Hub
  /** With what the ears prove themselves; left out: the recording that comes with the appliance. */
  known?: KnownUtterance
  onMessage(message: FromSpeech): void
  /** Left out: the speech process opens no port. */
  wyoming?: WyomingSettings
  /** Carries out the text of a Wyoming client; what the box says of it. Never rejects. */
  handle?: (text: string) => Promise<{ ok: boolean; text: string }>
  /** The ears are open without a wake word for so long; 0: not any more. */
  onExpectAnswer?(forMs: number): void
  /** A neural voice: writes a sentence to a WAV file; false where the other voice must say it. Never rejects. */
  synthesise?: (text: string, file: string) => Promise<boolean>
}

/**
 * The core's side of the speech process: keeps it, judges whether it does its work, and speaks its protocol. Whatever
 * happens to the child (crash, SIGKILL, hang, leak, wrong weights), the core only sees events and rejected promises, and
 * the child is started again.
 */
export class SpeechHost {
  readonly #o: SpeechHostOptions
  readonly #keeper: Keeper<ToSpeech, FromSpeech>
  readonly #track = new Track()
  /** Of the child that is there now. */
  #signs: VitalSigns
  #deaf: MtorError | undefined
  #tick: Timer | undefined
  /** While it is to be replaced at a quiet moment: for how many ticks already. */
  #renewTicks: number | undefined
  #lastHeardMs = -Infinity
  #readyWait: PromiseWithResolvers<{ engine: string; loadMs: number }> | undefined
  #speaking = new Requests<void>()
  #listening = new Requests<{ audioS: number }>()
  #learning = new Requests<{ unknownWords: string[] }>()
  /** What flows declare; a restarted child learns it again before it hears anything. */
  #lesson: Extract<ToSpeech, { kind: 'learn' }> | undefined
  /** A device chosen while running; a restarted child gets it again. */
  #device: Extract<ToSpeech, { kind: 'capture' }> | undefined

  constructor(options: SpeechHostOptions) {
    this.#o = options
    const { config, understand, sequences, stateDir, runDir, models, known, wyoming, clock } = options
    const settings: SpeechSettings = { config, understand, sequences, stateDir, runDir, models, known, ...(wyoming ? { wyoming } : {}) }
    this.#signs = this.#newSigns()
    this.#keeper = new Keeper({
      file: PROCESS_FILE, execArgv: ['--max-old-space-size=256'], env: { MTOR_SPEECH: JSON.stringify(settings) }, clock, shutdown: { kind: 'shutdown' },
      onStart: (pid) => this.#born(pid), onMessage: (message) => this.#receive(message), onGone: (gone) => this.#gone(gone),
    })
  }

  /** Starts the child. Resolves at once; models load meanwhile, see `ready`. */
  async start(): Promise<void> {
    if (this.#keeper.started || !this.#o.config.enabled) return
    this.#keeper.start()
    this.#watch()
  }

  /** Resolves when the child hears; rejects where it cannot (no engine), is off, or is stopped meanwhile. */
  async ready(): Promise<{ engine: string; loadMs: number }> {
    if (!this.#keeper.started) throw new MtorError('SPEECH_DOWN', 'speech is off')
    if (this.#deaf) throw this.#deaf
    if (this.#signs.ready) return this.#signs.ready
    this.#readyWait ??= quietPromise()
    return this.#readyWait.promise
  }

  /** Ends the child; what is open is rejected. Resolves when it is gone. */
  async stop(): Promise<void> {
    if (!this.#keeper.started) return
    this.#o.clock.clearTimeout(this.#tick)
    const stopped = this.#keeper.stop()
    const down = new MtorError('SPEECH_DOWN', 'the appliance is stopping')
    this.#rejectAll(down)
    this.#readyWait?.reject(down)
    this.#readyWait = undefined
    await stopped
  }

  /**
   * Says a text. Resolves when it was said or cut off.
   * @throws MtorError SPEECH_DOWN where the child is down or dies meanwhile (the sentence is dropped), AUDIO_DEVICE or ENGINE_MISSING where it cannot be said
   */
  async speak(text: string, options: { interrupt?: boolean } = {}): Promise<void> {
    if (!this.#keeper.up) {
      if (this.#keeper.started) this.#event({ severity: 'warning', name: 'speech.dropped', code: 'SPEECH_DOWN', message: text })
      throw new MtorError('SPEECH_DOWN', 'the speech process is down; the sentence was not said')
    }
    const { requestId, answer } = this.#speaking.open()
    this.#keeper.send({ kind: 'speak', requestId, text, interrupt: options.interrupt ?? false })
    return answer
  }

  /** A tone; lost where the child is down. */
  earcon(name: 'heard' | 'understood' | 'refused'): void { this.#keeper.send({ kind: 'earcon', name }) }
  /** What follows the wake word is for another node: it is only listened to for a stop. */
  forget(): void { this.#keeper.send({ kind: 'forget' }) }
  /** Cuts off what is being said and drops what waits to be said. */
  silence(): void { this.#keeper.send({ kind: 'silence' }) }
  /** After a question the answer needs no wake word for this long, 0: it does; `form`: what the answer may be. */
  expectAnswer(forMs: number, form?: AnswerForm): void {
    this.#keeper.send({ kind: 'expect-answer', forMs, ...(form ? { form } : {}) })
    this.#o.onExpectAnswer?.(forMs)
  }

  /**
   * Hears these sentences too from now on, and words that are expected as answers, in place of those given before; every
   * child that follows does. Resolves once they can be heard, with the words that no dictionary of the engine has.
   * @throws MtorError SPEECH_DOWN where the child is off, deaf or dies meanwhile; the next one learns them all the same
   */
  async learn(declares: readonly DeclaredIntent[], answers: readonly string[]): Promise<{ unknownWords: string[] }> {
    const { requestId, answer } = this.#learning.open()
    this.#lesson = { kind: 'learn', requestId, declares, answers }
    if (this.#deaf || !this.#keeper.started) this.#learning.settle(requestId, { error: this.#deaf ?? new MtorError('SPEECH_DOWN', 'speech is off') })
    this.#keeper.send(this.#lesson)
    return answer
  }

  /** Listens to another ALSA device from now on. */
  capture(device: string, channels?: number): void {
    this.#device = { kind: 'capture', device, channels }
    this.#keeper.send(this.#device)
  }

  /**
   * Plays a WAV file into the capture path, in real time. Resolves when all of it was heard and recognised.
   * @throws MtorError AUDIO_INVALID, AUDIO_DEVICE, ENGINE_MISSING, SPEECH_DOWN, CANCELLED
   */
  async listen(file: string, signal?: AbortSignal): Promise<{ audioS: number }> {
    if (!this.#keeper.up) throw new MtorError('SPEECH_DOWN', 'the speech process is down')
    if (signal?.aborted) throw new MtorError('CANCELLED', `listening to ${file} was cancelled`)
    const { requestId, answer } = this.#listening.open()
    const abort = () => this.#keeper.send({ kind: 'listen-stop', requestId })
    signal?.addEventListener('abort', abort, { once: true })
    this.#keeper.send({ kind: 'listen', requestId, file: resolve(file) })
    try { return await answer } finally { signal?.removeEventListener('abort', abort) }
  }

  status(): SpeechStatus { return speechStatus(this.#keeper, this.#signs, this.#listening.size > 0) }
  /** The models of speech and their process, as those of the other groups are told. */
  inferenceStatus(): { models: ModelStatus[]; workers: WorkerStatus[] } { return inferenceStatus(this.#keeper, this.#signs, this.#track, this.#busy) }

  get #busy() { return this.#speaking.size + this.#listening.size > 0 }
  #event(event: Omit<SystemEventInput, 'component'>) { this.#o.hub.system({ component: 'speech', ...event }) }
  #newSigns() { return new VitalSigns({ proofPeriodMs: this.#o.config.proofPeriodMs, monoMs: () => this.#o.clock.monoMs() }) }

  #rejectAll(error: MtorError) {
    this.#speaking.rejectAll(error)
    this.#listening.rejectAll(error)
    this.#learning.rejectAll(error)
  }

  #born(pid: number | undefined) {
    this.#signs = this.#newSigns()
    this.#deaf = undefined
    this.#renewTicks = undefined
    if (this.#lesson) this.#keeper.send(this.#lesson)
    if (this.#device) this.#keeper.send(this.#device)
    this.#event({ severity: 'debug', name: 'process.started', data: { pid: pid ?? null } })
  }

  #gone({ reason, planned, delayMs }: Gone) {
    const lost = this.#speaking.size + this.#listening.size
    this.#signs = this.#newSigns()
    this.#rejectAll(new MtorError('SPEECH_DOWN', `the speech process ended (${reason})`))
    if (planned) return this.#event({ severity: 'info', name: 'process.renewed', message: reason })
    const message = `the speech process ended: ${reason}; next start in ${delayMs} ms`
    this.#track.fault(this.#o.clock.monoMs(), 'SPEECH_DOWN', reason)
    this.#event({ severity: 'error', name: 'process.lost', code: 'SPEECH_DOWN', message, data: { restarts: this.#keeper.restarts, lostRequests: lost } })
  }

  #watch() {
    this.#tick = this.#o.clock.setTimeout(() => {
      if (this.#keeper.up) {
        const verdict = this.#signs.tick(this.#keeper.state)
        if (verdict) this.#execute(verdict)
        else if (this.#renewTicks !== undefined) this.#renewWhenQuiet(this.#renewTicks++)
      }
      this.#watch()
    }, TICK_MS)
  }

  #execute({ what, reason }: Verdict) {
    if (what === 'large') {
      this.#renewTicks = 0
      return this.#event({ severity: 'warning', name: 'process.large', message: reason })
    }
    // The files may be no better than what was loaded from them: the next child reads and checks all of them again.
    if (what === 'lied') rmSync(resolve(this.#o.stateDir, 'cache', 'trusted-files.json'), { force: true })
    this.#event({ severity: 'error', name: `process.${what}`, code: what === 'lied' ? 'MODEL_UNTRUSTED' : 'SPEECH_DOWN', message: `${reason}: killed`, ...what === 'lied' ? { say: 'I do not hear rightly. I start my hearing again.' } : {} })
    this.#keeper.kill(reason)
  }

  #renewWhenQuiet(ticks: number) {
    const quiet = !this.#busy && this.#o.clock.monoMs() - this.#lastHeardMs > QUIET_MS
    if (quiet || ticks >= RENEW_ANYWAY_TICKS) this.#keeper.renew(`renewed at ${Math.round((this.#signs.rssBytes ?? 0) / 1e6)} MB`)
  }

  #receive(message: FromSpeech) {
    const event = eventOf(message, this.#signs)
    this.#signs.heard(message)
    if (event) this.#event(event)
    switch (message.kind) {
      case 'ready':
        this.#keeper.healthy()
        this.#track.models = message.models
        this.#readyWait?.resolve({ engine: message.engine, loadMs: message.loadMs })
        this.#readyWait = undefined
        break
      case 'deaf':
        this.#deaf = errorOf(message.error)
        this.#track.fault(this.#o.clock.monoMs(), this.#deaf.code, this.#deaf.message)
        this.#readyWait?.reject(this.#deaf)
        this.#readyWait = undefined
        this.#learning.rejectAll(this.#deaf)
        break
      case 'learned':
        this.#learning.settle(message.requestId, message.error ? { error: errorOf(message.error) } : { value: { unknownWords: message.unknownWords } })
        break
      case 'proven':
        this.#track.proof(message.tookMs)
        if (this.#signs.lie && this.#keeper.up) this.#execute(this.#signs.lie)
        break
      case 'wake': case 'stop-word': case 'utterance': case 'keyword':
        this.#lastHeardMs = this.#o.clock.monoMs()
        break
      case 'listened':
        this.#listening.settle(message.requestId, message.error ? { error: errorOf(message.error) } : { value: { audioS: message.audioS } })
        break
      case 'synthesise':
        void (this.#o.synthesise?.(message.text, message.file) ?? Promise.resolve(false)).then((ok) => { this.#keeper.send({ kind: 'synthesised', requestId: message.requestId, ok }) })
        break
      case 'handle':
        void (this.#o.handle?.(message.text) ?? Promise.resolve({ ok: false, text: '' })).then((answer) => { this.#keeper.send({ kind: 'handled', requestId: message.requestId, ...answer }) })
        break
      case 'speaking':
        if (message.state === 'failed') this.#speaking.settle(message.requestId, { error: errorOf(event ?? {}) })
        else if (message.state !== 'started') this.#speaking.settle(message.requestId, { value: undefined })
    }
    this.#o.onMessage(message)
  }
}

const errorOf = ({ code, message = '' }: { code?: string; message?: string }) => new MtorError(isCode(code) ? code : 'INTERNAL', message)
