import { MtorError } from '../../contracts/errors.ts'
import { hasProgram } from '../../inference/child.ts'
import { finishPicture } from './ffmpeg.ts'
import type { Camera, CameraOptions, Still, StillTarget } from './port.ts'
import { runProgram, within } from './program.ts'

/** Frames taken in all; the last is kept, when the exposure has settled. */
const FRAMES = 10

/**
 * What GStreamer is told of a camera on a Jetson's CSI connector: NVIDIA's source, scaler and JPEG encoder.
 * multifilesink without a number in its name writes each frame over the one before.
 * @see NVIDIA Jetson Linux, Accelerated GStreamer, "Camera Capture with GStreamer Using nvarguscamerasrc"
 */
export const csiArguments = (sensor: number, { widthPx, heightPx }: Pick<CameraOptions, 'widthPx' | 'heightPx'>, file: string): string[] => [
  '-q', 'nvarguscamerasrc', `sensor-id=${sensor}`, `num-buffers=${FRAMES}`, '!', 'video/x-raw(memory:NVMM)', '!',
  'nvvidconv', '!', `video/x-raw(memory:NVMM),width=${widthPx},height=${heightPx}`, '!', 'nvjpegenc', '!', 'multifilesink', `location=${file}`,
]

/** A camera on a Jetson's CSI connector. Not run on hardware. */
export class CsiCamera implements Camera {
  readonly #sensor: number
  readonly #options: CameraOptions

  constructor(sensor: number, options: CameraOptions) {
    this.#sensor = sensor
    this.#options = options
  }

  describe(): string { return `csi:${this.#sensor}` }
  async present(): Promise<boolean> { return true }
  async stop(): Promise<void> {}

  async still(target: StillTarget, signal?: AbortSignal): Promise<Still> {
    if (!hasProgram('gst-launch-1.0')) throw new MtorError('CAMERA', `${this.describe()}: gst-launch-1.0 is not installed`, { hint: 'It comes with JetPack; see docs/14-vision.md' })
    const limit = within(this.#options.timeoutMs, signal)
    await runProgram('gst-launch-1.0', csiArguments(this.#sensor, this.#options, target.file), limit)
    return finishPicture(target.file, target, this.describe(), limit)
  }
}
