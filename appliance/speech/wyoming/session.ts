import type { Socket } from 'node:net'
import { TokenBucket } from '../../bus/limits.ts'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { WAKE_WORD } from '../grammar.ts'
import type { WyomingReport } from '../messages.ts'
import { encodeEvent, EventReader, type WyomingEvent } from './codec.ts'
import { formatOf, PcmConverter } from './pcm.ts'
import type { Link, Satellite } from './satellite.ts'
import type { Listening, SpareEars } from './spare-ears.ts'
import type { SpareVoice } from './spare-voice.ts'

/** A connection that says nothing for so long is closed; the server of a satellite is asked in between whether it is there. */
const IDLE_MS = 60_000
const PING_MS = 20_000
/** A client that does not take what it asked for is not waited for. */
const FROZEN_MS = 10_000
/** A client has this long to read why it is cut off. */
const FAREWELL_MS = 2_000
const CHUNK_BYTES = 4_096

export interface SessionOptions {
  clock: Clock
  eventsPerSecond: number
  info(): Record<string, unknown>
  /** Undefined where nothing hears here. */
  ears: SpareEars | undefined
  voice: SpareVoice
  /** Carries out a sentence; left out: texts are not taken. */
  handle?: (text: string) => Promise<{ ok: boolean; text: string }>
  satellite?: Satellite
  report(report: WyomingReport): void
}

/** What is to become of the sound that a client sends. */
interface Hearing { listening: Listening; what: 'transcribe' | 'detect'; converter?: PcmConverter; timestamp: unknown; detected: boolean }

/** One client: its events one after another, so that one that sends faster than we work is read later. */
export class Session implements Link {
  readonly #socket: Socket
  readonly #o: SessionOptions
  readonly #reader = new EventReader()
  readonly #bucket: TokenBucket
  readonly #gone = new AbortController()
  #hearing: Hearing | undefined
  #idle: Timer | undefined
  #lastHeardMs = 0
  #working = false

  constructor(socket: Socket, options: SessionOptions) {
    this.#socket = socket
    this.#o = options
    this.#bucket = new TokenBucket(options.eventsPerSecond, 2 * options.eventsPerSecond, options.clock.monoMs())
    socket.once('close', () => this.#gone.abort())
  }

  get backlogBytes(): number { return this.#socket.writableLength }

  /** Resolves when the connection is closed. Never rejects. */
  async run(): Promise<void> {
    this.#lastHeardMs = this.#o.clock.monoMs()
    this.#watch()
    try {
      // An error must still reach the client.
      for await (const bytes of this.#socket.iterator({ destroyOnReturn: false })) {
        this.#lastHeardMs = this.#o.clock.monoMs()
        for (const event of this.#reader.push(bytes as Buffer)) {
          await this.#pace()
          this.#working = true
          try { await this.#on(event) } finally { this.#working = false }
          if (this.#socket.destroyed) return
        }
      }
    } catch (thrown) { await this.#fail(toMtorError(thrown)) } finally {
      this.#o.clock.clearTimeout(this.#idle)
      this.#hearing?.listening.release()
      this.#o.satellite?.detach(this)
      this.#socket.destroy()
    }
  }

  /** Resolves when the client has room for more. What is sent to a client that is gone is lost. */
  async send(event: WyomingEvent): Promise<void> {
    if (this.#socket.destroyed || !this.#socket.writable || this.#socket.write(encodeEvent(event))) return
    await new Promise<void>((resolve) => {
      const timer = this.#o.clock.setTimeout(() => this.#socket.destroy(), FROZEN_MS)
      const done = () => {
        this.#o.clock.clearTimeout(timer)
        this.#socket.off('drain', done).off('close', done)
        resolve()
      }
      this.#socket.once('drain', done).once('close', done)
    })
  }

  /** Clients of this protocol wait for their answer for ever: after an error they are told, and cut off. */
  async #fail({ code, message, hint }: MtorError): Promise<void> {
    if (this.#gone.signal.aborted || this.#socket.destroyed) return
    this.#o.report({ severity: 'info', name: 'wyoming.refused', code, message, data: { address: this.#socket.remoteAddress ?? '' } })
    await this.send({ type: 'error', data: { text: `${message}. ${hint}`, code } })
    await new Promise<void>((resolve) => {
      const timer = this.#o.clock.setTimeout(resolve, FAREWELL_MS)
      this.#socket.once('close', () => { this.#o.clock.clearTimeout(timer); resolve() })
      this.#socket.end()
      // What it sends meanwhile is thrown away: left lying, it would have the kernel drop our last words.
      this.#socket.resume()
    })
  }

  async #pace(): Promise<void> {
    this.#bucket.refill(this.#o.clock.monoMs())
    while (!this.#bucket.take()) {
      await new Promise<void>((resolve) => { this.#o.clock.setTimeout(resolve, 1_000 / this.#o.eventsPerSecond) })
      this.#bucket.refill(this.#o.clock.monoMs())
    }
  }

  #watch() {
    this.#idle = this.#o.clock.setTimeout(() => {
      if (!this.#working && this.#o.clock.monoMs() - this.#lastHeardMs > IDLE_MS) return void this.#socket.destroy()
      if (this.#o.satellite?.is(this)) void this.send({ type: 'ping', data: {} })
      this.#watch()
    }, PING_MS)
  }

  async #on(event: WyomingEvent): Promise<void> {
    const { type, data } = event
    switch (type) {
      case 'describe': return this.send({ type: 'info', data: this.#o.info() })
      case 'ping': return this.send({ type: 'pong', data: { text: data['text'] ?? null } })
      case 'run-satellite': {
        if (!this.#o.satellite) throw new MtorError('NOT_FITTED', 'this box is no satellite', { hint: 'Turn it on with dialects.wyoming.satellite.' })
        return this.#o.satellite.attach(this)
      }
      case 'pause-satellite': return this.#o.satellite?.detach(this)
    }
    // From its server a satellite gets answers, not requests, by the same names.
    if (this.#o.satellite?.is(this)) return this.#o.satellite.on(event)
    switch (type) {
      case 'transcribe': return this.#prepare('transcribe')
      case 'detect': {
        const { names } = data
        if (Array.isArray(names) && names.length > 0 && !names.includes(WAKE_WORD)) throw new MtorError('NOT_FOUND', `none of these wake words is listened for: ${names.join(', ').slice(0, 200)}`, { hint: `Ask for: ${WAKE_WORD}` })
        return this.#prepare('detect')
      }
      case 'audio-start': case 'audio-chunk': return this.#sound(event)
      case 'audio-stop': return this.#soundEnded(data)
      case 'synthesize': return this.#speak(data)
      case 'transcript': return this.#handle(data)
      // What a later version of the protocol has is dropped, as it asks for.
      default:
    }
  }

  async #prepare(what: Hearing['what']): Promise<void> {
    const { ears } = this.#o
    this.#hearing?.listening.release()
    this.#hearing = undefined
    if (!ears) throw new MtorError('ENGINE_MISSING', 'nothing hears on this box')
    const hearing: Omit<Hearing, 'listening'> = { what, timestamp: null, detected: false }
    const listening = what === 'transcribe' ? await ears.transcribe() : await ears.spot(() => {
      Object.assign(this.#hearing ?? {}, { detected: true })
      void this.send({ type: 'detection', data: { name: WAKE_WORD, timestamp: this.#hearing?.timestamp ?? null, speaker: null } })
    })
    if (this.#gone.signal.aborted) return listening.release()
    this.#hearing = { ...hearing, listening }
  }

  async #sound({ type, data, payload }: WyomingEvent): Promise<void> {
    const hearing = this.#hearing
    if (!hearing) throw new MtorError('MALFORMED', `${type} without transcribe or detect before it`, { hint: 'Say first what is to become of the sound.' })
    const format = formatOf(data)
    const before = hearing.converter?.format
    if (before && (before.rateHz !== format.rateHz || before.width !== format.width || before.channels !== format.channels)) throw new MtorError('AUDIO_INVALID', 'the format of the sound changed on the way', { hint: 'Send audio-stop in between.' })
    hearing.converter ??= new PcmConverter(format)
    hearing.timestamp = data['timestamp'] ?? null
    if (payload) for (const samples of hearing.converter.push(payload)) await hearing.listening.push(samples)
  }

  async #soundEnded({ timestamp }: Record<string, unknown>): Promise<void> {
    const hearing = this.#hearing
    if (!hearing) return
    try {
      if (hearing.converter) await hearing.listening.push(hearing.converter.flush())
      hearing.timestamp = timestamp ?? hearing.timestamp
      const text = await hearing.listening.end()
      if (hearing.what === 'transcribe') await this.send({ type: 'transcript', data: { text: text ?? '', language: 'en' } })
      else if (!hearing.detected) await this.send({ type: 'not-detected', data: {} })
    } finally {
      hearing.listening.release()
      this.#hearing = undefined
    }
  }

  async #speak({ text }: Record<string, unknown>): Promise<void> {
    if (typeof text !== 'string') throw new MtorError('MALFORMED', 'synthesize: text: expected a string')
    let format: { rate: number; width: number; channels: number } | undefined
    let samples = 0
    const timestamp = () => Math.round((samples / format!.rate) * 1_000)
    for await (const { rateHz, pcm } of this.#o.voice.say(text, this.#gone.signal)) {
      if (!format) await this.send({ type: 'audio-start', data: { ...(format = { rate: rateHz, width: 2, channels: 1 }), timestamp: 0 } })
      for (let at = 0; at < pcm.length; at += CHUNK_BYTES) {
        const payload = pcm.subarray(at, at + CHUNK_BYTES)
        await this.send({ type: 'audio-chunk', data: { ...format, timestamp: timestamp() }, payload })
        samples += payload.length / 2
      }
    }
    await this.send({ type: 'audio-stop', data: { timestamp: timestamp() } })
  }

  async #handle({ text, context }: Record<string, unknown>): Promise<void> {
    if (!this.#o.handle) throw new MtorError('UNAUTHORISED', 'this box carries out no texts of Wyoming clients', { hint: 'Turn it on with dialects.wyoming.handle.' })
    if (typeof text !== 'string') throw new MtorError('MALFORMED', 'transcript: text: expected a string')
    const { ok, text: answer } = await this.#o.handle(text)
    await this.send({ type: ok ? 'handled' : 'not-handled', data: { text: answer, ...(context === undefined || context === null ? {} : { context }) } })
  }
}
