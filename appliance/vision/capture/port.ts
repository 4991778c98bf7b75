/** Where a camera is to put a picture. Both files are in one folder and are not there yet. */
export interface StillTarget { /** Gets the JPEG. */ file: string; /** Gets a JPEG of at most 320 px a side, where one can be made. */ thumbnail: string }

/** A picture as it came. */
export interface Still {
  widthPx: number
  heightPx: number
  /** False where there is nothing that can make one (no ffmpeg). */
  thumbnail: boolean
  /** Which file, device or address it came from, without passwords. */
  from: string
}

/**
 * Something that gives pictures. One still at a time: who owns it sees to that. Pictures go into files and never pass
 * through the core, except those that the core itself fetches by HTTP.
 */
export interface Camera {
  start?(): Promise<void>
  /** A picture of now. @throws MtorError CAMERA with what was tried, NOT_FITTED (no camera there), DISK_FULL, CANCELLED on abort */
  still(target: StillTarget, signal?: AbortSignal): Promise<Still>
  stop(): Promise<void>
  /** For people, without passwords. */
  describe(): string
  /** A camera is there, as far as can be told without opening it. */
  present(): Promise<boolean>
}

export interface CameraOptions {
  widthPx: number
  heightPx: number
  /** One still at the most, with everything tried for it; a helper program that takes longer is killed. */
  timeoutMs: number
}

/** No picture is larger, bytes. */
export const MAX_PICTURE_BYTES = 32 * 1024 * 1024
/** Neither side of a thumbnail is longer. */
export const THUMBNAIL_PX = 320
