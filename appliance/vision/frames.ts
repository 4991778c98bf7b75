import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Type, { type Static } from 'typebox'
import { Instant } from '../contracts/envelope.ts'
import { MtorError } from '../contracts/errors.ts'
import { validator } from '../contracts/validate.ts'
import { fileError, type Still, type StillTarget } from './capture/index.ts'

/** What is known of a picture of the ring; in <id>.json beside it. */
export const FrameRecord = Type.Object({
  id: Type.String({ pattern: '^\\d{10}-[0-9a-f]{6}$', description: 'Ids sort in the order in which the pictures were taken' }),
  camera: Type.String({ description: 'Where it came from' }),
  at: Instant,
  widthPx: Type.Integer({ minimum: 1 }),
  heightPx: Type.Integer({ minimum: 1 }),
  bytes: Type.Integer({ minimum: 1 }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
}, { additionalProperties: false })
export type FrameRecord = Static<typeof FrameRecord>
const recordValidator = validator(FrameRecord)

/** A picture of the ring. */
export interface Frame extends FrameRecord {
  /** The JPEG. */
  file: string
  /** Left out where none could be made. */
  thumbnail?: string
  /** Where a picture with what was seen in it may be put; it goes with the frame. */
  annotated: string
}

/** Room for a picture that is being taken; it is in the ring only when kept. */
export interface Place extends StillTarget { id: string }

/** The last is written last: a picture without it was cut off by a crash. */
const PARTS = ['.jpg', '.thumb.jpg', '.json'] as const
const UNFINISHED = '.new-'
const ID = /^(\d{10})-[0-9a-f]{6}(?=\.)/

/**
 * The last pictures as files. A picture appears whole or not at all, also after a crash, and the oldest goes when there
 * are too many. Numbers go on after a restart, so ids sort by age on a board without a clock.
 */
export class FrameRing {
  readonly #folder: string
  readonly #maxFrames: number
  readonly #minFreeBytes: number
  readonly #frames = new Map<string, Frame>()
  /** In use: not dropped meanwhile. */
  readonly #held = new Map<string, number>()
  #next = 1
  #opened: Promise<void> | undefined

  /** Below `minFreeBytes` on its disk no picture is taken: the journal must not lose its room to pictures. */
  constructor(folder: string, { maxFrames, minFreeBytes = 64 * 1024 * 1024 }: { maxFrames: number; minFreeBytes?: number }) {
    this.#folder = folder
    this.#maxFrames = maxFrames
    this.#minFreeBytes = minFreeBytes
  }

  get size(): number { return this.#frames.size }
  get folder(): string { return this.#folder }

  /** Takes up the pictures of before and clears away what a crash left half-made. */
  open(): Promise<void> {
    return this.#opened ??= this.#scan().catch((error: unknown) => {
      this.#opened = undefined
      throw fileError(error, 'CAMERA', `ring of pictures ${this.#folder}`)
    })
  }

  async #scan(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    const names = (await readdir(this.#folder)).sort()
    for (const name of names.filter((each) => each.startsWith(UNFINISHED))) await rm(join(this.#folder, name), { force: true })
    const ids = new Set(names.map((name) => ID.exec(name)?.[0]).filter((id) => id !== undefined))
    for (const id of ids) {
      this.#next = Math.max(this.#next, Number(id.slice(0, 10)) + 1)
      const record = await this.#read(id)
      if (record && names.includes(`${id}.jpg`)) this.#frames.set(id, this.#frame(record, names.includes(`${id}.thumb.jpg`)))
      else await this.#remove(id)
    }
    await this.#trim()
  }

  async #read(id: string): Promise<FrameRecord | undefined> {
    try {
      const record: unknown = JSON.parse(await readFile(join(this.#folder, `${id}.json`), 'utf8'))
      return recordValidator.check(record) && record.id === id ? record : undefined
    } catch { return undefined }
  }

  #frame(record: FrameRecord, thumbnail: boolean): Frame {
    const path = (end: string) => join(this.#folder, `${record.id}${end}`)
    return { ...record, file: path('.jpg'), ...(thumbnail ? { thumbnail: path('.thumb.jpg') } : {}), annotated: path('.boxes.jpg') }
  }

  /** Room for a new picture. @throws MtorError DISK_FULL while the disk has too little left */
  async place(): Promise<Place> {
    await this.open()
    const { bavail, bsize } = await statfs(this.#folder)
    if (bavail * bsize < this.#minFreeBytes) throw new MtorError('DISK_FULL', `${this.#folder}: ${Math.floor(bavail * bsize / 1024)} KiB are free, no picture is taken below ${Math.floor(this.#minFreeBytes / 1024)} KiB`)
    const id = `${String(this.#next++).padStart(10, '0')}-${randomBytes(3).toString('hex')}`
    const path = (end: string) => join(this.#folder, `${UNFINISHED}${id}${end}`)
    return { id, file: path('.jpg'), thumbnail: path('.thumb.jpg') }
  }

  /** Puts a picture that was taken into the ring, held; the oldest is dropped. @throws MtorError DISK_FULL, CAMERA */
  async keep(place: Place, still: Still, at: Instant): Promise<Frame> {
    try {
      const { size } = await stat(place.file)
      const record: FrameRecord = { id: place.id, camera: still.from, at, widthPx: still.widthPx, heightPx: still.heightPx, bytes: size, sha256: await digest(place.file) }
      const frame = this.#frame(record, still.thumbnail)
      const unfinished = join(this.#folder, `${UNFINISHED}${place.id}.json`)
      await writeFile(unfinished, `${JSON.stringify(record)}\n`)
      for (const file of [place.file, unfinished]) await sync(file)
      await rename(place.file, frame.file)
      if (frame.thumbnail) await rename(place.thumbnail, frame.thumbnail)
      await rename(unfinished, join(this.#folder, `${place.id}.json`))
      await sync(this.#folder)
      this.#frames.set(frame.id, frame)
      this.hold(frame)
      await this.#trim()
      return frame
    } catch (error) {
      await this.discard(place)
      await this.#remove(place.id)
      throw fileError(error, 'CAMERA', `could not keep picture ${place.id}`)
    }
  }

  /** Clears away what was or was not put into a place. */
  async discard(place: Place): Promise<void> {
    for (const end of PARTS) await rm(join(this.#folder, `${UNFINISHED}${place.id}${end}`), { force: true })
  }

  /** The picture is being looked at: it is not dropped until as many releases. */
  hold(frame: Pick<Frame, 'id'>): void { this.#held.set(frame.id, (this.#held.get(frame.id) ?? 0) + 1) }

  release(frame: Pick<Frame, 'id'>): void {
    const held = (this.#held.get(frame.id) ?? 0) - 1
    if (held > 0) this.#held.set(frame.id, held)
    else this.#held.delete(frame.id)
  }

  /** The last pictures, oldest first. */
  last(count: number): Frame[] { return [...this.#frames.values()].slice(-count) }

  async #trim(): Promise<void> {
    for (const id of [...this.#frames.keys()].slice(0, Math.max(0, this.#frames.size - this.#maxFrames))) {
      if (this.#held.has(id)) continue
      this.#frames.delete(id)
      await this.#remove(id)
    }
  }

  /** All files of a picture, its record first: what a crash leaves of the rest is cleared away by the next start. */
  async #remove(id: string): Promise<void> {
    for (const end of ['.json', '.jpg', '.thumb.jpg', '.boxes.jpg']) await rm(join(this.#folder, `${id}${end}`), { force: true })
  }
}

async function digest(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(file)) hash.update(part as Buffer)
  return hash.digest('hex')
}

/** On stable storage. A new name is that only when its folder is. @see fsync(2) */
async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try { await handle.sync() } finally { await handle.close() }
}
