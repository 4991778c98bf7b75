import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { hasProgram } from '../../inference/child.ts'
import { ffmpegStill, finishPicture, hasFfmpeg } from './ffmpeg.ts'
import type { Camera, CameraOptions, Still, StillTarget } from './port.ts'
import { runProgram, within } from './program.ts'

/** Frames let pass after opening, while the camera finds its exposure. */
const SKIP_FRAMES = 5
/** Codecs, scalers and signal processors stand among the cameras in sysfs. */
const NO_CAMERA = /codec|decoder|encoder|\b(dec|enc|isp|m2m|scaler|jpeg)\b/i

/** Devices that may be cameras, in order of their numbers. A USB camera's second node, for metadata, has index 1. */
export async function videoDevices(sysDir = '/sys/class/video4linux', devDir = '/dev'): Promise<string[]> {
  const names = (await readdir(sysDir).catch(() => [])).filter((name) => /^video\d+$/.test(name)).sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))
  const about = (name: string, attribute: string) => readFile(join(sysDir, name, attribute), 'utf8').then((text) => text.trim(), () => '')
  const chosen: string[] = []
  for (const name of names) if (await about(name, 'index').then((index) => index === '' || index === '0') && !NO_CAMERA.test(await about(name, 'name'))) chosen.push(join(devDir, name))
  return chosen
}

/** What ffmpeg is told of a V4L2 camera. A size the camera lacks is changed by its driver to one it has. @see ffmpeg-devices(1), video4linux2 */
export const v4l2Input = (device: string, { widthPx, heightPx }: Pick<CameraOptions, 'widthPx' | 'heightPx'>): string[] => ['-f', 'v4l2', '-video_size', `${widthPx}x${heightPx}`, '-i', device]

/** The same by v4l2-ctl, for boards without ffmpeg; only cameras that compress to JPEG themselves. @see v4l2-ctl(1) */
export const v4l2CtlArguments = (device: string, { widthPx, heightPx }: Pick<CameraOptions, 'widthPx' | 'heightPx'>, file: string): string[] =>
  ['-d', device, `--set-fmt-video=width=${widthPx},height=${heightPx},pixelformat=MJPG`, '--stream-mmap', `--stream-skip=${SKIP_FRAMES}`, '--stream-count=1', `--stream-to=${file}`]

/** A camera of Linux: one device, or (auto) the first in sysfs that gives a picture, sought again at each failure. */
export class V4l2Camera implements Camera {
  readonly #device: string | undefined
  readonly #options: CameraOptions
  readonly #devices: () => Promise<string[]>
  #working: string | undefined

  constructor(device: string | undefined, options: CameraOptions, devices: () => Promise<string[]> = videoDevices) {
    this.#device = device
    this.#options = options
    this.#devices = devices
  }

  describe(): string { return this.#device ?? this.#working ?? 'the first camera' }
  async present(): Promise<boolean> { return this.#device !== undefined || (await this.#devices()).length > 0 }
  async stop(): Promise<void> {}

  async still(target: StillTarget, signal?: AbortSignal): Promise<Still> {
    const devices = this.#device !== undefined ? [this.#device] : await this.#devices()
    if (devices.length === 0) throw new MtorError('NOT_FITTED', 'no camera in /sys/class/video4linux', { say: 'No camera is fitted.', hint: 'Plug a camera in, or set vision.camera.' })
    if (this.#working !== undefined && devices.includes(this.#working)) devices.unshift(...devices.splice(devices.indexOf(this.#working), 1))
    const limit = within(this.#options.timeoutMs, signal)
    const failures: string[] = []
    for (const device of devices) {
      try {
        const still = await this.#shoot(device, target, limit)
        this.#working = device
        return still
      } catch (thrown) {
        const error = toMtorError(thrown, 'CAMERA')
        if (error.code !== 'CAMERA') throw error
        failures.push(`${device}: ${error.message}`)
        if (limit.aborted) break
      }
    }
    this.#working = undefined
    throw new MtorError('CAMERA', `no picture. Tried ${failures.join('; ')}`, { data: { tried: failures } })
  }

  async #shoot(device: string, target: StillTarget, signal: AbortSignal): Promise<Still> {
    if (hasFfmpeg()) return ffmpegStill(v4l2Input(device, this.#options), target, SKIP_FRAMES, device, signal)
    if (!hasProgram('v4l2-ctl')) throw new MtorError('CAMERA', 'neither ffmpeg nor v4l2-ctl is installed', { hint: 'Install the Debian package ffmpeg.' })
    await runProgram('v4l2-ctl', v4l2CtlArguments(device, this.#options, target.file), signal)
    return finishPicture(target.file, target, device, signal)
  }
}
