import type { Clock, Timer } from '../../contracts/clock.ts'
import { record, type CaptureSetup, type Recorder } from './arecord.ts'
import { deviceOf, listCards } from './devices.ts'
import { Framer } from './framer.ts'

export type CaptureState = 'open' | 'closed' | 'failed'

export interface CaptureOptions {
  /** ALSA name, 'auto' (the first capture card), or 'none'. */
  device: string
  channels?: number
  clock: Clock
  /** 512 samples, mono, 16 kHz, and the time of the last of them on `clock`. */
  onFrame(frame: Int16Array, endMs: number): void
  onState(state: CaptureState, device: string, message?: string): void
  onRemark?(message: string): void
}

const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 5_000
/** No samples for this long: the device hangs, as some do when they are unplugged. */
const STALL_MS = 2_000

/**
 * Captures from an ALSA device for as long as it is started. A device that goes away is announced once ('failed'),
 * tried again with growing pauses, and announced when it is back ('open').
 */
export class Capture {
  readonly #o: CaptureOptions
  #recorder: Recorder | undefined
  #timer: Timer | undefined
  #running = false
  #retryMs = FIRST_RETRY_MS
  #attempt = 0
  /** What was announced last, so that a device that stays away is not announced at every try. */
  #announced: string | undefined
  #device = ''
  /** `hw:` devices that offer another format or channel count are opened through ALSA's converter instead. */
  #plug = false

  constructor(options: CaptureOptions) { this.#o = options }

  /** The device that is open or being tried; empty where there is none. */
  get device() { return this.#device }
  get recorderPid() { return this.#recorder?.pid }

  start(): void {
    if (this.#running) return
    this.#running = true
    void this.#open()
  }

  /** Closes the device. Resolves when its recorder is gone. */
  async stop(): Promise<void> {
    if (!this.#running) return
    this.#running = false
    this.#o.clock.clearTimeout(this.#timer)
    const recorder = this.#recorder
    this.#recorder = undefined
    await recorder?.stop()
    this.#announce('closed')
  }

  async #open() {
    const wanted = this.#o.device
    if (wanted === 'none') return this.#announce('closed', 'no capture device is configured; only files are heard')
    if (wanted === 'auto') {
      const attempt = ++this.#attempt
      const card = (await listCards('arecord'))[0]
      if (!this.#running || attempt !== this.#attempt) return
      this.#device = card ? deviceOf(card) : ''
      if (!card) {
        // After 'failed' the card that went away is still missing: nothing new to say.
        if (this.#announced === undefined) this.#announce('closed', 'no capture card was found; I look again from time to time')
        return this.#later()
      }
    } else this.#device = this.#plug ? `plug${wanted}` : wanted
    let framer: Framer | undefined
    let setup: CaptureSetup | undefined
    this.#watch()
    this.#recorder = record({
      device: this.#device,
      channels: this.#o.channels ?? 1,
      onSetup: (agreed) => { setup = agreed },
      onData: (bytes) => {
        const readAtMs = this.#o.clock.monoMs()
        if (!framer) {
          framer = new Framer({ ...setup!, onFrame: this.#o.onFrame })
          this.#retryMs = FIRST_RETRY_MS
          this.#announce('open', `${setup!.rateHz} Hz, ${setup!.channels} channel${setup!.channels === 1 ? '' : 's'}`)
        }
        this.#watch()
        framer.push(bytes, readAtMs)
      },
      onRemark: this.#o.onRemark,
      onEnd: (message) => { this.#lost(message) },
    })
  }

  #lost(message: string) {
    this.#recorder = undefined
    if (!this.#running) return
    if (/(format|count) non available/i.test(message) && this.#o.device.startsWith('hw:') && !this.#plug) {
      this.#plug = true
      return void this.#open()
    }
    this.#announce('failed', message)
    this.#later()
  }

  #later() {
    this.#o.clock.clearTimeout(this.#timer)
    this.#timer = this.#o.clock.setTimeout(() => { void this.#open() }, this.#retryMs)
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2)
  }

  #watch() {
    this.#o.clock.clearTimeout(this.#timer)
    this.#timer = this.#o.clock.setTimeout(() => {
      const recorder = this.#recorder
      void recorder?.stop()
      this.#lost(`no samples for ${STALL_MS / 1000} s`)
    }, STALL_MS)
  }

  #announce(state: CaptureState, message?: string) {
    if (this.#announced === state) return
    this.#announced = state
    this.#o.onState(state, this.#device || this.#o.device, message)
  }
}
