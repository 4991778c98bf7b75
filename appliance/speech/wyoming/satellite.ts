import type { Clock, Timer } from '../../contracts/clock.ts'
import { CODES } from '../../contracts/codes.ts'
import { toMtorError } from '../../contracts/errors.ts'
import { WAKE_WORD } from '../grammar.ts'
import type { FromSpeech, UtteranceMessage, WyomingReport } from '../messages.ts'
import { RecentSound } from '../recent-sound.ts'
import { concatenate } from '../sounds.ts'
import { SAMPLE_RATE_HZ } from '../vad.ts'
import { encodeWav } from '../wav.ts'
import type { WyomingEvent } from './codec.ts'
import { formatOf, PcmConverter, pcmOf } from './pcm.ts'

/** A connection to the server that has sent `run-satellite`. */
export interface Link {
  send(event: WyomingEvent): Promise<void>
  /** What was sent and not taken yet. */
  readonly backlogBytes: number
}

export interface SatelliteOptions {
  /** 'rest': what the box does not understand, when it has been said. 'all': what follows the wake word, at once. */
  mode: 'rest' | 'all'
  clock: Clock
  /** Plays a reply as a sentence of the box, so that "stop" cuts it off; its end is told through `played`. */
  play(replyId: number, text: string, wav: Buffer): void
  report(report: WyomingReport): void
}

/** The longest command, and what comes around it. */
const MEMORY_S = 16
const BEFORE_MS = 120
const AFTER_MS = 300
/** The server has this long to make something of what it was sent, and once more to answer. */
const ANSWER_MS = 15_000
/** A stream is ended after this: nothing said to a box is longer. */
const LONGEST_MS = 15_000
/** A server that does not take sound for this long (16 s) is not waited for. */
const MOST_BACKLOG_BYTES = 512 * 1024
const MOST_REPLY_S = 120
const CHUNK_SAMPLES = 1_024
const PCM = { rate: SAMPLE_RATE_HZ, width: 2, channels: 1 }

interface Asked {
  timer: Timer
  /** Sound goes there until the sentence has ended. */
  streaming: boolean
  sinceMs: number
  transcribed: boolean
  /** The box has understood it itself: it does not say what the server answers. */
  own: boolean
}

/** The box as a satellite of a server: sends it what was said after the wake word, and says what comes back. */
export class Satellite {
  readonly #o: SatelliteOptions
  readonly #recent = new RecentSound(MEMORY_S)
  #link: Link | undefined
  #asked: Asked | undefined
  #replyText = ''
  #reply: { converter: PcmConverter; parts: Int16Array[]; samples: number } | undefined
  #lastReply = 0
  readonly #playing = new Map<number, Link>()

  constructor(options: SatelliteOptions) { this.#o = options }

  /** The server that asked last is the one: after a broken network it is the same one, come again. */
  attach(link: Link): void {
    if (this.#link === link) return
    if (this.#link) this.detach(this.#link)
    this.#link = link
    this.#o.report({ severity: 'info', name: 'wyoming.satellite', message: 'a server has made this box its satellite' })
  }

  detach(link: Link): void {
    if (this.#link !== link) return
    this.#link = undefined
    this.#reply = undefined
    this.#o.report({ severity: 'info', name: 'wyoming.satellite', message: 'the server of this satellite is gone' })
    if (this.#asked) this.#unanswered('the server went away')
  }

  is(link: Link): boolean { return this.#link === link }

  stop(): void { this.#settle() }

  // What the box hears

  /** Sound of the microphone, and the time of its last sample. */
  frame(samples: Int16Array, endMs: number): void {
    this.#recent.push(samples, endMs)
    if (!this.#asked?.streaming) return
    if (this.#link!.backlogBytes > MOST_BACKLOG_BYTES) return this.#unanswered('the server does not take the sound')
    this.#send('audio-chunk', PCM, pcmOf(samples))
    if (this.#o.clock.monoMs() - this.#asked.sinceMs > LONGEST_MS) this.#endStream()
  }

  /** True: the server has it now, and the box does nothing more with it. */
  heard(message: FromSpeech): boolean {
    if (!this.#link) return false
    switch (message.kind) {
      case 'wake':
        if (this.#o.mode === 'all') this.#begin(message.endMs ?? message.atMs)
        return false
      case 'wake-timeout':
        this.#endStream()
        return false
      case 'utterance':
        // Without the wake word it was no request, but an answer to the box.
        if (message.timeline.wakeMs === undefined) return false
        return this.#o.mode === 'all' ? this.#ended(message) : this.#forward(message)
      default:
        return false
    }
  }

  #begin(fromMs: number) {
    this.#ask(true)
    this.#sound(this.#recent.between(fromMs, Infinity))
  }

  #ended({ how }: UtteranceMessage): boolean {
    this.#endStream()
    if (how === 'rejected') return this.#asked !== undefined
    if (this.#asked) this.#asked.own = true
    return false
  }

  #forward({ how, timeline }: UtteranceMessage): boolean {
    const from = timeline.wakeEndMs ?? timeline.speechStartMs - BEFORE_MS
    const samples = how === 'rejected' ? this.#recent.between(from, timeline.speechEndMs + AFTER_MS) : undefined
    if (!samples) return false
    this.#ask(true)
    this.#sound(samples)
    this.#endStream()
    return true
  }

  /** The order of wyoming-satellite with a wake word of its own. */
  #ask(streaming: boolean) {
    this.#settle()
    const { clock, report } = this.#o
    this.#asked = { timer: this.#timer(), streaming, sinceMs: clock.monoMs(), transcribed: false, own: false }
    this.#send('detection', { name: WAKE_WORD, timestamp: Math.round(clock.monoMs()) })
    this.#send('run-pipeline', { start_stage: 'asr', end_stage: 'tts', restart_on_end: false, wake_word_name: WAKE_WORD })
    this.#send('streaming-started')
    this.#send('audio-start', PCM)
    report({ severity: 'info', name: 'wyoming.asked', message: 'what was said goes to the server' })
  }

  #sound(samples: Int16Array | undefined) {
    for (let at = 0; samples && at < samples.length; at += CHUNK_SAMPLES) this.#send('audio-chunk', PCM, pcmOf(samples.subarray(at, at + CHUNK_SAMPLES)))
  }

  #endStream() {
    if (!this.#asked?.streaming) return
    this.#asked.streaming = false
    this.#send('audio-stop')
    this.#send('streaming-stopped')
  }

  #timer() { return this.#o.clock.setTimeout(() => this.#unanswered(`no answer within ${ANSWER_MS} ms`), ANSWER_MS) }

  #settle() {
    this.#endStream()
    this.#o.clock.clearTimeout(this.#asked?.timer)
    this.#asked = undefined
  }

  /** Nobody may be left waiting: but what the server has heard and leaves without words, it has done. */
  #unanswered(why: string) {
    const asked = this.#asked
    this.#settle()
    if (!asked || asked.own || asked.transcribed) return
    this.#o.report({ severity: 'warning', name: 'wyoming.unanswered', code: 'NO_ANSWER', message: why, say: CODES.NO_ANSWER.say })
  }

  // What the server says

  /** An event of the server of this satellite. @throws MtorError AUDIO_INVALID */
  on({ type, data, payload }: WyomingEvent): void {
    const { report, clock } = this.#o
    const text = typeof data['text'] === 'string' ? data['text'].slice(0, 2_000) : ''
    switch (type) {
      case 'transcript':
        report({ severity: 'info', name: 'wyoming.transcript', message: text })
        this.#endStream()
        if (!this.#asked) return
        clock.clearTimeout(this.#asked.timer)
        Object.assign(this.#asked, { transcribed: true, timer: this.#timer() })
        return
      case 'voice-started': case 'voice-stopped':
        return report({ severity: 'debug', name: `wyoming.${type}`, message: 'the server heard it' })
      case 'synthesize':
        this.#replyText = text
        return report({ severity: 'info', name: 'wyoming.reply', message: text })
      case 'error': {
        const own = this.#asked?.own
        this.#settle()
        return report({ severity: 'warning', name: 'wyoming.error', message: `${typeof data['code'] === 'string' ? data['code'] : ''} ${text}`.trim(), ...(own ? {} : { say: CODES.NOT_UNDERSTOOD.say }) })
      }
      case 'audio-start':
        this.#reply = newReply(data)
        return
      case 'audio-chunk':
        if (payload) this.#collect(data, payload)
        return
      case 'audio-stop':
        return this.#say()
      default:
    }
  }

  #collect(data: Record<string, unknown>, payload: Buffer) {
    const reply = this.#reply ??= newReply(data)
    for (const samples of reply.converter.push(payload)) {
      if (reply.samples > MOST_REPLY_S * reply.converter.format.rateHz) return
      reply.samples += samples.length
      reply.parts.push(samples)
    }
  }

  #say() {
    const reply = this.#reply
    const link = this.#link!
    const own = this.#asked?.own ?? false
    this.#reply = undefined
    this.#settle()
    const replyId = ++this.#lastReply
    this.#playing.set(replyId, link)
    if (own || !reply || reply.samples === 0) return this.played(replyId)
    const text = this.#replyText || 'a reply of the server'
    this.#replyText = ''
    this.#o.play(replyId, text, encodeWav(concatenate(reply.parts), { sampleRateHz: reply.converter.format.rateHz }))
  }

  /** A reply was said or cut off, which the server waits for. */
  played(replyId: number): void {
    const link = this.#playing.get(replyId)
    this.#playing.delete(replyId)
    void link?.send({ type: 'played', data: {} })
  }

  #send(type: string, data: Record<string, unknown> = {}, payload?: Buffer) {
    this.#link?.send({ type, data, ...(payload ? { payload } : {}) })
      .catch((error: unknown) => { this.#o.report({ severity: 'warning', name: 'wyoming.error', message: toMtorError(error).message }) })
  }
}

function newReply(data: Record<string, unknown>) {
  const format = formatOf(data)
  return { converter: new PcmConverter(format, format.rateHz), parts: [], samples: 0 }
}
