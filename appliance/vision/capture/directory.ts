import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import { finishPicture } from './ffmpeg.ts'
import type { Camera, CameraOptions, Still, StillTarget } from './port.ts'
import { within } from './program.ts'

/** Hidden files are those that are still being written. */
const PICTURE = /^[^.].*\.(jpe?g|png|webp)$/i

/** A folder as a camera: its pictures in turn by name, then from the start again. What is added or removed is noticed. */
export class DirectoryCamera implements Camera {
  readonly #folder: string
  readonly #options: Pick<CameraOptions, 'timeoutMs'>
  #last = ''

  constructor(folder: string, options: Pick<CameraOptions, 'timeoutMs'>) {
    this.#folder = folder
    this.#options = options
  }

  describe(): string { return `directory:${this.#folder}` }
  async present(): Promise<boolean> { return true }
  async stop(): Promise<void> {}

  async still(target: StillTarget, signal?: AbortSignal): Promise<Still> {
    const names = await readdir(this.#folder).catch((error: Error) => { throw new MtorError('CAMERA', `${this.describe()}: ${error.message}`, { cause: error }) })
    const pictures = names.filter((name) => PICTURE.test(name)).sort()
    const next = pictures.find((name) => name > this.#last) ?? pictures[0]
    if (next === undefined) throw new MtorError('CAMERA', `${this.describe()}: expected a JPEG, PNG or WebP in it, got none among ${names.length} names`)
    // One that cannot be read is told once and does not keep the next ones away.
    this.#last = next
    const file = join(this.#folder, next)
    return finishPicture(file, target, file, within(this.#options.timeoutMs, signal))
  }
}
