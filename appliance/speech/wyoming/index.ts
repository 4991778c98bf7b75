import type { Clock } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { FromSpeech, WyomingSettings } from '../messages.ts'
import { Requests } from '../requests.ts'
import { infoOf } from './info.ts'
import { Satellite } from './satellite.ts'
import { WyomingServer } from './server.ts'
import { SpareEars, type SpareEarsOptions } from './spare-ears.ts'
import { SpareVoice, type SpareVoiceOptions } from './spare-voice.ts'

export interface WyomingOptions {
  settings: WyomingSettings
  clock: Clock
  voice: SpareVoiceOptions
  send(message: FromSpeech): void
  /** Resolves when the box's own ears have caught up with their microphone. */
  turn(): Promise<void>
  /** Plays sound as a sentence of the box; its end is told through `played`. */
  play(replyId: number, text: string, wav: Buffer): void
}

/**
 * The box in the voice protocol of Home Assistant: its ears, its wake word and its voice as services, and the box as a
 * satellite. It lives in the speech process and not in the core: there the models are, so that no sound crosses a process
 * and the core holds no native code; bytes of strangers that break something break a process that is started again, which
 * opens the port again.
 * @see the `wyoming` package of PyPI
 */
export class Wyoming {
  readonly #o: WyomingOptions
  readonly #satellite: Satellite | undefined
  readonly #handles = new Requests<{ ok: boolean; text: string }>()
  #server: WyomingServer | undefined
  #ears: SpareEars | undefined

  constructor(options: WyomingOptions) {
    this.#o = options
    const { settings: { satellite: mode }, clock, play, send } = options
    if (mode !== 'off') this.#satellite = new Satellite({ mode, clock, play, report: (event) => send({ kind: 'wyoming', event }) })
  }

  /** Opens the port. `ears`: the box's own, whose models are used; undefined where it has none: the voice works without. */
  start(ears: (SpareEarsOptions['ears'] & { engine: string }) | undefined): void {
    if (this.#server) return
    const { settings, clock, voice: voiceOptions, send, turn } = this.#o
    const voice = new SpareVoice(voiceOptions)
    this.#ears = ears && new SpareEars({ ears, maxStreams: settings.maxStreams, turn })
    const info = () => infoOf({ node: settings.node, version: settings.version, engine: ears?.engine, voice: voice.name, handle: settings.handle, satellite: this.#satellite !== undefined })
    this.#server = new WyomingServer({
      host: settings.host, port: settings.port, maxConnections: settings.maxConnections, eventsPerSecond: settings.eventsPerSecond, clock, info, ears: this.#ears, voice,
      ...(settings.handle ? { handle: (text) => this.#handle(text) } : {}),
      ...(this.#satellite ? { satellite: this.#satellite } : {}),
      report: (event) => send({ kind: 'wyoming', event }),
    })
    this.#server.start()
  }

  async stop(): Promise<void> {
    this.#handles.rejectAll(new MtorError('SPEECH_DOWN', 'the appliance is stopping'))
    this.#satellite?.stop()
    await this.#server?.stop()
    this.#ears?.close()
  }

  /** Sound of the microphone, for the satellite. */
  frame(samples: Int16Array, endMs: number): void { this.#satellite?.frame(samples, endMs) }
  /** What the ears heard. True: it is the satellite's server's, and nobody else's. */
  heard(message: FromSpeech): boolean { return this.#satellite?.heard(message) ?? false }
  /** A reply was said or cut off. */
  played(replyId: number): void { this.#satellite?.played(replyId) }
  /** The core's answer to 'handle'. */
  handled(requestId: number, ok: boolean, text: string): void { this.#handles.settle(requestId, { value: { ok, text } }) }

  async #handle(text: string) {
    const { requestId, answer } = this.#handles.open()
    this.#o.send({ kind: 'handle', requestId, text: text.slice(0, 1_000) })
    try { return await answer } catch (error) { return { ok: false, text: toMtorError(error).say } }
  }
}
