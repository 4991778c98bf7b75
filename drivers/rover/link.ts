import { writeSync } from 'node:fs'
import { SerialPort } from 'serialport'
import type { Clock, Timer } from '../../appliance/contracts/clock.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { encodeFrame, FrameDecoder, type Message } from './protocol.ts'

export interface LinkOptions {
  port: string
  baudRate: number
  clock: Clock
  /** Pause between attempts to open the port, ms. */
  reconnectMs: number
  onOpen(): void
  onMessage(message: Message): void
  onInvalid(error: MtorError): void
  /** The port closed, failed, or could not be opened (then again at every attempt). Opening is tried again by itself. */
  onClosed(error: MtorError): void
}

/** The serial port as a stream of messages; opens it again whenever it goes away (unplugged, hung up, link replaced). */
export class RoverLink {
  #o: LinkOptions
  #port: SerialPort | undefined
  #open = false
  #retry: Timer | undefined
  #stopped = true

  constructor(options: LinkOptions) { this.#o = options }

  get open(): boolean { return this.#open }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#tryOpen()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#o.clock.clearTimeout(this.#retry)
    await this.#release()
  }

  /**
   * Writes whole frames at once: straight to the descriptor, which serialport opened non-blocking, so that a frame waits
   * neither behind others nor for a thread of the pool. False when the port is closed or did not take all of it.
   */
  write(...messages: Message[]): boolean {
    const binding = this.#port?.port
    if (!this.#open || !binding || !('fd' in binding) || typeof binding.fd !== 'number') return false
    const bytes = Buffer.concat(messages.map(encodeFrame))
    try { return writeSync(binding.fd, bytes) === bytes.length } catch (error) {
      // A full buffer (EAGAIN) is noise to be repeated; anything else means that the port is gone.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.drop(unreachable(`${this.#o.port}: ${(error as Error).message}`, error))
      return false
    }
  }

  /** Closes the port and opens it again after a pause. */
  drop(error: MtorError): void {
    if (!this.#port) return
    void this.#release()
    this.#o.onClosed(error)
    this.#again()
  }

  #tryOpen(): void {
    let port: SerialPort
    try { port = this.#port = new SerialPort({ path: this.#o.port, baudRate: this.#o.baudRate, lock: false, hupcl: false, autoOpen: false }) } catch (error) {
      this.#o.onClosed(new MtorError('PORT_INVALID', `${this.#o.port}: ${(error as Error).message}`, { cause: error }))
      this.#again()
      return
    }
    const decoder = new FrameDecoder()
    // What a port says after it was given up is of no interest any more.
    const mine = () => this.#port === port
    port.on('data', (chunk: Buffer) => {
      for (const item of decoder.feed(chunk)) {
        if (!mine()) return
        if (item instanceof MtorError) this.#o.onInvalid(item)
        else this.#o.onMessage(item)
      }
    })
    port.on('close', (error: Error | null) => { if (mine()) this.drop(unreachable(`${this.#o.port}: ${error?.message ?? 'closed'}`, error)) })
    port.on('error', (error: Error) => { if (mine()) this.drop(unreachable(`${this.#o.port}: ${error.message}`, error)) })
    port.open((error) => {
      if (!mine()) { if (!error) port.close(() => {}); return }
      if (error) { this.drop(unreachable(`${this.#o.port}: ${error.message}`, error)); return }
      this.#open = true
      this.#o.onOpen()
    })
  }

  #again(): void {
    if (this.#stopped) return
    this.#o.clock.clearTimeout(this.#retry)
    this.#retry = this.#o.clock.setTimeout(() => this.#tryOpen(), this.#o.reconnectMs)
  }

  #release(): Promise<void> {
    const port = this.#port
    this.#port = undefined
    this.#open = false
    if (!port?.isOpen) return Promise.resolve()
    return new Promise((resolve) => port.close(() => resolve()))
  }
}

const unreachable = (message: string, cause: unknown) => new MtorError('DEVICE_UNREACHABLE', message, { cause })
