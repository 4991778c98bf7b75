import type { Instant } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import type { Camera } from './capture/index.ts'
import type { Frame, FrameRing } from './frames.ts'

/** A picture that was taken but is not in the ring: it goes unless it is kept. */
export interface Draft {
  file: string
  widthPx: number
  heightPx: number
  /** Puts it into the ring, held. */
  keep(): Promise<Frame>
  discard(): Promise<void>
}

/** One camera and one ring. Pictures are taken one after the other, however many ask. */
export class Studio {
  readonly #camera: Camera | undefined
  readonly #ring: FrameRing
  readonly #now: () => Instant
  #last: Promise<unknown> = Promise.resolve()

  constructor(camera: Camera | undefined, ring: FrameRing, now: () => Instant) {
    this.#camera = camera
    this.#ring = ring
    this.#now = now
  }

  /** @throws MtorError NOT_FITTED, CAMERA, DISK_FULL, CANCELLED */
  draft(signal: AbortSignal): Promise<Draft> {
    const camera = this.#camera
    if (!camera) return Promise.reject(new MtorError('NOT_FITTED', 'vision.camera is none', { say: 'No camera is fitted.', hint: 'Set vision.camera in the configuration.' }))
    const taken = this.#last.then(() => this.#take(camera, signal))
    this.#last = taken.catch(() => {})
    return taken
  }

  async #take(camera: Camera, signal: AbortSignal): Promise<Draft> {
    if (signal.aborted) throw new MtorError('CANCELLED', 'nobody waits for the picture any more')
    const place = await this.#ring.place()
    try {
      const still = await camera.still(place, signal)
      const at = this.#now()
      return { file: place.file, widthPx: still.widthPx, heightPx: still.heightPx, keep: () => this.#ring.keep(place, still, at), discard: () => this.#ring.discard(place) }
    } catch (error) {
      await this.#ring.discard(place)
      throw error
    }
  }
}
