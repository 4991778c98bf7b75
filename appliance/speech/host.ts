import { fork, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config/schema.ts'
import type { Clock, Timer } from '../contracts/clock.ts'
import { CODES, isCode } from '../contracts/codes.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import type { Hub } from '../contracts/hub.ts'
import { LastWords, tied } from '../inference/child.ts'
import type { FromSpeech, SpeechSettings, ToSpeech } from './messages.ts'

const PROCESS_FILE = fileURLToPath(new URL('./process.ts', import.meta.url))
const TICK_MS = 1_000
/** Ticks without a word of health. Ticks, not time: a core that was itself held up must not blame the child. */
const SILENT_TICKS = 5
const LOADING_TICKS = 60
const MAX_FRAME_AGE_MS = 3_000
/** Models and recognisers take some 250 MB; beyond this something leaks, and the process is renewed at a quiet moment. */
const MAX_RSS_BYTES = 600 * 1024 * 1024
const QUIET_MS = 10_000
/** After this long a renewal does not wait for quiet any more. */
const RENEW_ANYWAY_TICKS = 120
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** A child that was up this long was healthy: the next restart is immediate again. */
const HEALTHY_MS = 10_000
const STOP_MS = 2_000

export interface SpeechStatus {
  state: 'starting' | 'listening' | 'idle' | 'down' | 'off'
  engine?: string
  device?: string
  pid?: number
  rssBytes?: number
  cpuS?: number
  audioS?: number
  restarts: number
}

export interface SpeechHostOptions {
  config: Config['speech']
  understand: Config['understand']
  /** Names of the sequences that can be run by voice. */
  sequences: string[]
  stateDir: string
  runDir: string
  clock: Clock
  hub: Hub
  onMessage(message: FromSpeech): void
}

/** A child and what was learned of it; gone with it. */
interface Child {
  process: ChildProcess
  words: LastWords
  ready?: { engine: string; loadMs: number; atMs: number }
  deaf?: MtorError
  capture?: { state: 'open' | 'closed' | 'failed'; device: string }
  health?: Extract<FromSpeech, { kind: 'health' }>
  silentTicks: number
  /** Set while it is to be replaced at a quiet moment: for how many ticks already. */
  renewTicks?: number
  /** Why we ended it. */
  ended?: string
}

/**
 * The core's side of the speech process: starts it, keeps it alive, and speaks its protocol. Whatever happens to the child
 * (crash, SIGKILL, hang, leak), the core only sees events and rejected promises, and the child is started again.
 */
export class SpeechHost {
  readonly #o: SpeechHostOptions
  #child: Child | undefined
  #tick: Timer | undefined
  #retry: Timer | undefined
  #started = false
  #failures = 0
  #restarts = 0
  #requests = 0
  #lastHeardMs = -Infinity
  #readyWait: PromiseWithResolvers<{ engine: string; loadMs: number }> | undefined
  #speaking = new Map<number, PromiseWithResolvers<void>>()
  #listening = new Map<number, PromiseWithResolvers<{ audioS: number }>>()
  /** A device chosen while running; a restarted child gets it again. */
  #device: Extract<ToSpeech, { kind: 'capture' }> | undefined

  constructor(options: SpeechHostOptions) { this.#o = options }

  /** Starts the child. Resolves at once; models load meanwhile, see `ready`. */
  async start(): Promise<void> {
    if (this.#started || !this.#o.config.enabled) return
    this.#started = true
    this.#fork()
    this.#watch()
  }

  /** Resolves when the child hears; rejects where it cannot (no engine), is off, or is stopped meanwhile. */
  async ready(): Promise<{ engine: string; loadMs: number }> {
    if (!this.#started) throw new MtorError('SPEECH_DOWN', 'speech is off')
    if (this.#child?.deaf) throw this.#child.deaf
    if (this.#child?.ready) return this.#child.ready
    this.#readyWait ??= quietPromise()
    return this.#readyWait.promise
  }

  /** Ends the child; what is open is rejected. Resolves when it is gone. */
  async stop(): Promise<void> {
    if (!this.#started) return
    this.#started = false
    const { clock } = this.#o
    clock.clearTimeout(this.#tick)
    clock.clearTimeout(this.#retry)
    const down = new MtorError('SPEECH_DOWN', 'the appliance is stopping')
    this.#rejectAll(down)
    this.#readyWait?.reject(down)
    this.#readyWait = undefined
    const child = this.#child
    if (!child) return
    child.ended = 'stopped'
    const gone = new Promise<void>((done) => { child.process.once('exit', () => done()) })
    this.#send({ kind: 'shutdown' })
    const timer = clock.setTimeout(() => child.process.kill('SIGKILL'), STOP_MS)
    await gone
    clock.clearTimeout(timer)
  }

  /**
   * Says a text. Resolves when it was said or cut off.
   * @throws MtorError SPEECH_DOWN where the child is down or dies meanwhile (the sentence is dropped), AUDIO_DEVICE or ENGINE_MISSING where it cannot be said
   */
  async speak(text: string, options: { interrupt?: boolean } = {}): Promise<void> {
    if (!this.#up()) {
      if (this.#started) this.#event({ severity: 'warning', name: 'speech.dropped', code: 'SPEECH_DOWN', message: text })
      throw new MtorError('SPEECH_DOWN', 'the speech process is down; the sentence was not said')
    }
    const requestId = ++this.#requests
    const said = quietPromise<void>()
    this.#speaking.set(requestId, said)
    this.#send({ kind: 'speak', requestId, text, interrupt: options.interrupt ?? false })
    return said.promise
  }

  /** A tone; lost where the child is down. */
  earcon(name: 'heard' | 'understood' | 'refused'): void { this.#send({ kind: 'earcon', name }) }
  /** Cuts off what is being said and drops what waits to be said. */
  silence(): void { this.#send({ kind: 'silence' }) }
  /** After a question the answer needs no wake word for this long. */
  expectAnswer(forMs: number): void { this.#send({ kind: 'expect-answer', forMs }) }

  /** Listens to another ALSA device from now on. */
  capture(device: string, channels?: number): void {
    this.#device = { kind: 'capture', device, channels }
    this.#send(this.#device)
  }

  /**
   * Plays a WAV file into the capture path, in real time. Resolves when all of it was heard and recognised.
   * @throws MtorError AUDIO_INVALID, AUDIO_DEVICE, ENGINE_MISSING, SPEECH_DOWN, CANCELLED
   */
  async listen(file: string, signal?: AbortSignal): Promise<{ audioS: number }> {
    if (!this.#up()) throw new MtorError('SPEECH_DOWN', 'the speech process is down')
    if (signal?.aborted) throw new MtorError('CANCELLED', `listening to ${file} was cancelled`)
    const requestId = ++this.#requests
    const heard = quietPromise<{ audioS: number }>()
    this.#listening.set(requestId, heard)
    const abort = () => this.#send({ kind: 'listen-stop', requestId })
    signal?.addEventListener('abort', abort, { once: true })
    this.#send({ kind: 'listen', requestId, file: resolve(file) })
    try { return await heard.promise } finally { signal?.removeEventListener('abort', abort) }
  }

  status(): SpeechStatus {
    const child = this.#child
    if (!this.#started || !child) return { state: this.#started ? 'down' : 'off', restarts: this.#restarts }
    const open = child.capture?.state === 'open'
    const state = child.deaf ? 'down' : !child.ready ? 'starting' : open || this.#listening.size > 0 ? 'listening' : 'idle'
    const { rssBytes, cpuS, audioS } = child.health ?? {}
    return { state, engine: child.ready?.engine, device: open ? child.capture!.device : undefined, pid: child.process.pid, rssBytes, cpuS, audioS, restarts: this.#restarts }
  }

  #up() { return this.#started && this.#child !== undefined && this.#child.ended === undefined }

  #send(message: ToSpeech) {
    const child = this.#child?.process
    // A child that died under our hands is reported by its exit, not by a failed write.
    if (child?.connected) child.send(message, () => {})
  }

  #event(event: Omit<SystemEventInput, 'component'>) { this.#o.hub.system({ component: 'speech', ...event }) }

  #fork() {
    const { config, understand, sequences, stateDir, runDir } = this.#o
    const settings: SpeechSettings = { config, understand, sequences, stateDir, runDir }
    const [execPath, execArgv] = tied(process.execPath, ['--max-old-space-size=256'])
    // An own session: Ctrl-C in a terminal is for the core, which then ends the child in order.
    const child: Child = { process: fork(PROCESS_FILE, [], { execPath, execArgv, detached: true, stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: { ...process.env, MTOR_SPEECH: JSON.stringify(settings) } }), words: undefined as never, silentTicks: 0 }
    child.words = new LastWords(child.process)
    this.#child = child
    child.process.on('message', (message: FromSpeech) => { if (this.#child === child) this.#receive(child, message) })
    child.process.once('error', (error) => { this.#gone(child, error.message) })
    child.process.once('exit', (code, signal) => { this.#gone(child, child.ended ?? (signal ? `killed by ${signal}` : `ended with ${code}: ${child.words}`)) })
    if (this.#device) this.#send(this.#device)
    this.#event({ severity: 'debug', name: 'process.started', data: { pid: child.process.pid ?? null } })
  }

  #gone(child: Child, reason: string) {
    if (this.#child !== child) return
    this.#child = undefined
    const renewed = child.renewTicks !== undefined && child.ended !== undefined
    const lost = this.#speaking.size + this.#listening.size
    this.#rejectAll(new MtorError('SPEECH_DOWN', `the speech process ended (${reason})`))
    if (!this.#started) return
    const { clock } = this.#o
    if (renewed || (child.ready && clock.monoMs() - child.ready.atMs >= HEALTHY_MS)) this.#failures = 0
    const delayMs = this.#failures === 0 ? 0 : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1))
    if (!renewed) this.#failures++
    this.#restarts++
    if (renewed) this.#event({ severity: 'info', name: 'process.renewed', message: reason })
    else this.#event({ severity: 'error', name: 'process.lost', code: 'SPEECH_DOWN', message: `the speech process ended: ${reason}; next start in ${delayMs} ms`, data: { restarts: this.#restarts, lostRequests: lost } })
    this.#retry = clock.setTimeout(() => { if (this.#started && !this.#child) this.#fork() }, delayMs)
  }

  #kill(child: Child, reason: string) {
    child.ended = reason
    this.#event({ severity: 'error', name: 'process.hung', code: 'SPEECH_DOWN', message: `${reason}: killed` })
    child.process.kill('SIGKILL')
  }

  #rejectAll(error: MtorError) {
    for (const open of [...this.#speaking.values(), ...this.#listening.values()]) open.reject(error)
    this.#speaking.clear()
    this.#listening.clear()
  }

  #watch() {
    this.#tick = this.#o.clock.setTimeout(() => {
      const child = this.#child
      if (child && child.ended === undefined) {
        if (++child.silentTicks > (child.ready || child.deaf ? SILENT_TICKS : LOADING_TICKS)) this.#kill(child, 'no sign of life')
        else if (child.capture?.state === 'open' && (child.health?.lastFrameAgeMs ?? 0) > MAX_FRAME_AGE_MS) this.#kill(child, 'capture is open but no sound comes')
        else if (child.renewTicks !== undefined) this.#renew(child)
      }
      this.#watch()
    }, TICK_MS)
  }

  #renew(child: Child) {
    child.renewTicks!++
    const quiet = this.#speaking.size + this.#listening.size === 0 && this.#o.clock.monoMs() - this.#lastHeardMs > QUIET_MS
    if (!quiet && child.renewTicks! < RENEW_ANYWAY_TICKS) return
    child.ended = `renewed at ${Math.round((child.health?.rssBytes ?? 0) / 1e6)} MB`
    this.#send({ kind: 'shutdown' })
    // A child that does not end by itself is ended; its exit starts the next one either way.
    this.#o.clock.setTimeout(() => { if (this.#child === child) child.process.kill('SIGKILL') }, STOP_MS)
  }

  #receive(child: Child, message: FromSpeech) {
    child.silentTicks = 0
    switch (message.kind) {
      case 'ready':
        child.ready = { engine: message.engine, loadMs: message.loadMs, atMs: this.#o.clock.monoMs() }
        this.#event({ severity: 'info', name: 'process.ready', message: `hearing with ${message.engine} after ${message.loadMs} ms`, data: { engine: message.engine, loadMs: message.loadMs } })
        this.#readyWait?.resolve(child.ready)
        this.#readyWait = undefined
        break
      case 'deaf':
        child.deaf = errorOf(message.error)
        this.#event({ severity: 'error', name: 'process.deaf', code: child.deaf.code, message: message.error.message })
        this.#readyWait?.reject(child.deaf)
        this.#readyWait = undefined
        break
      case 'capture': {
        const back = child.capture?.state === 'failed'
        child.capture = message
        const data = { device: message.device }
        if (message.state === 'failed') this.#event({ severity: 'warning', name: 'capture.lost', code: 'AUDIO_DEVICE', message: `${message.device}: ${message.message ?? 'lost'}`, say: CODES.AUDIO_DEVICE.say, data })
        else this.#event({ severity: 'info', name: `capture.${message.state}`, message: `${message.device}${message.message ? `: ${message.message}` : ''}`, data, ...(message.state === 'open' && back ? { say: 'The microphone is back.' } : {}) })
        break
      }
      case 'wake': case 'stop-word': case 'utterance':
        this.#lastHeardMs = this.#o.clock.monoMs()
        break
      case 'listened': {
        const open = this.#listening.get(message.requestId)
        this.#listening.delete(message.requestId)
        if (message.error) open?.reject(errorOf(message.error))
        else open?.resolve({ audioS: message.audioS })
        break
      }
      case 'speaking': {
        if (message.state === 'started') break
        const open = this.#speaking.get(message.requestId)
        this.#speaking.delete(message.requestId)
        if (message.state !== 'failed') { open?.resolve(); break }
        const [, code = 'AUDIO_DEVICE', why = 'it could not be said'] = /^(?:([A-Z_]+): )?(.*)$/s.exec(message.message ?? '') ?? []
        const error = errorOf({ code, message: why })
        this.#event({ severity: 'warning', name: 'speak.failed', code: error.code, message: why })
        open?.reject(error)
        break
      }
      case 'health':
        child.health = message
        if (message.rssBytes > MAX_RSS_BYTES && child.renewTicks === undefined) {
          child.renewTicks = 0
          this.#event({ severity: 'warning', name: 'process.large', message: `the speech process takes ${Math.round(message.rssBytes / 1e6)} MB; it is renewed at a quiet moment` })
        }
        break
      case 'log':
        this.#event({ severity: message.level === 'warn' ? 'warning' : message.level, name: 'log', message: message.message, data: message.data })
    }
    this.#o.onMessage(message)
  }
}

const errorOf = ({ code, message }: { code: string; message: string }) => new MtorError(isCode(code) ? code : 'INTERNAL', message)

/** A promise whose rejection is no unhandled one where nobody waits. */
function quietPromise<T>(): PromiseWithResolvers<T> {
  const open = Promise.withResolvers<T>()
  open.promise.catch(() => {})
  return open
}
