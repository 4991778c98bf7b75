import { resolve } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import { CsiCamera } from './csi.ts'
import { DirectoryCamera } from './directory.ts'
import { NetworkCamera } from './network.ts'
import type { Camera, CameraOptions } from './port.ts'
import { redacted } from './program.ts'
import { V4l2Camera } from './v4l2.ts'

export type { Camera, CameraOptions, Still, StillTarget } from './port.ts'
export { THUMBNAIL_PX } from './port.ts'
export { fileError } from './program.ts'

/**
 * The camera that vision.camera names; undefined for "none". A relative folder starts at `baseDir`.
 * @throws MtorError CONFIG_INVALID
 */
export function makeCamera(name: string, options: CameraOptions, baseDir: string): Camera | undefined {
  const [, scheme, rest = ''] = /^([a-z0-9]+):(.+)$/i.exec(name) ?? []
  switch (scheme?.toLowerCase() ?? name) {
    case 'none': return undefined
    case 'auto': return new V4l2Camera(undefined, options)
    case 'v4l2': if (rest.startsWith('/')) return new V4l2Camera(rest, options); break
    case 'csi': if (/^\d{1,2}$/.test(rest)) return new CsiCamera(Number(rest), options); break
    case 'directory': if (rest) return new DirectoryCamera(resolve(baseDir, rest), options); break
    case 'rtsp': case 'rtsps': case 'http': case 'https': if (URL.canParse(name)) return new NetworkCamera(name, options); break
  }
  throw new MtorError('CONFIG_INVALID', `configuration: /vision/camera: expected auto, none, v4l2:/dev/videoN, csi:N, directory:PATH, rtsp://… or http(s)://…, got ${redacted(name)}`)
}
