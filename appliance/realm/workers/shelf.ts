import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Timer } from '../../contracts/clock.ts'

/** A worker whose answer is wanted no more still finishes: what it reads and writes stays that long. */
const LATE_MS = 60_000

/** The folder for files of other nodes, and for answers of which only one will be used. What a lost process left is removed at the start. */
export class Shelf {
  readonly #folder: string
  readonly #clock: Clock
  readonly #late = new Map<string, Timer>()

  /** @param folder of this process alone */
  constructor(folder: string, clock: Clock) { this.#folder = folder; this.#clock = clock }

  async start(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.#folder)) await remove(join(this.#folder, name))
  }

  async stop(): Promise<void> {
    for (const timer of this.#late.values()) this.#clock.clearTimeout(timer)
    await Promise.all([...this.#late.keys()].map(remove))
    this.#late.clear()
  }

  /** A new folder. */
  async folder(): Promise<string> { return await mkdtemp(join(this.#folder, 'work-')) }
  /** Where an answer may be written. */
  place(extension: string): string { return join(this.#folder, `answer-${randomBytes(8).toString('hex')}${extension}`) }

  /** @param isLate somebody may still be at it */
  async drop(path: string, isLate = false): Promise<void> {
    if (!isLate) { await remove(path); return }
    this.#late.set(path, this.#clock.setTimeout(() => { this.#late.delete(path); void remove(path) }, LATE_MS))
  }

  /** Whether it was there to be moved. */
  async moveOut(path: string, to: string): Promise<boolean> {
    if (!await stat(path).then(() => true, () => false)) return false
    // The folder may be in memory, and the target on a disk.
    try { await rename(path, to) } catch { await copyFile(path, to); await remove(path) }
    return true
  }

  /** What lies there now. */
  async list(): Promise<string[]> { return await readdir(this.#folder).catch(() => []) }
}

const remove = (path: string) => rm(path, { recursive: true, force: true }).catch(() => {})
