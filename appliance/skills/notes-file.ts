import { mkdir, open, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import Type, { type Static } from 'typebox'
import { Instant } from '../contracts/envelope.ts'
import { validator } from '../contracts/validate.ts'

/** One line of the notes. */
export const Note = Type.Object({
  id: Type.String({ description: 'The intent that wrote it' }),
  at: Instant,
  by: Type.Optional(Type.String()),
  text: Type.String(),
}, { additionalProperties: false })
export type Note = Static<typeof Note>
const noteValidator = validator(Note)

/** A note is looked for among this many of the last before it is written again. */
const REPEAT_WINDOW = 50

/**
 * Notes as JSON lines, each on stable storage before `append` resolves. At `maxBytes` the file is set aside as `.1`, and
 * the oldest of `keep` such files is dropped. Lines a crash tore, or a person broke, are passed over.
 */
export class NotesFile {
  readonly #file: string
  readonly #maxBytes: number
  readonly #keep: number
  #work: Promise<unknown> = Promise.resolve()

  constructor(file: string, { maxBytes = 1024 * 1024, keep = 4 }: { maxBytes?: number; keep?: number } = {}) {
    this.#file = file
    this.#maxBytes = maxBytes
    this.#keep = keep
  }

  /** Writes a note; one with the same id among the last is not written twice. */
  append(note: Note): Promise<void> { return this.#queue(() => this.#append(note)) }

  /** The last `count` notes, oldest first. */
  last(count: number): Promise<Note[]> { return this.#queue(() => this.#last(count)) }

  /** One thing at a time: a rotation under a reader would hide notes from it. */
  #queue<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#work.then(action)
    this.#work = result.catch(() => {})
    return result
  }

  async #append(note: Note): Promise<void> {
    if ((await this.#last(REPEAT_WINDOW)).some((written) => written.id === note.id)) return
    const line = `${JSON.stringify(note)}\n`
    await mkdir(dirname(this.#file), { recursive: true })
    const size = await stat(this.#file).then((s) => s.size, () => 0)
    if (size > 0 && size + Buffer.byteLength(line) > this.#maxBytes) await this.#rotate()
    const handle = await open(this.#file, 'a+')
    try {
      const before = (await handle.stat()).size
      const tail = Buffer.alloc(1)
      if (before > 0) await handle.read(tail, 0, 1, before - 1)
      // A line torn by a crash is ended first, so that it spoils only itself.
      const torn = before > 0 && tail[0] !== 0x0a
      await handle.appendFile(torn ? `\n${line}` : line)
      await handle.sync()
      if (before === 0) await this.#syncFolder()
    } finally { await handle.close() }
  }

  async #rotate(): Promise<void> {
    for (let age = this.#keep - 1; age >= 0; age--) await rename(this.#aged(age), this.#aged(age + 1)).catch((error: NodeJS.ErrnoException) => { if (error.code !== 'ENOENT') throw error })
    await this.#syncFolder()
  }

  #aged(age: number): string { return age === 0 ? this.#file : `${this.#file}.${age}` }

  /** A new name is on stable storage only when its folder is. @see fsync(2) */
  async #syncFolder(): Promise<void> {
    const folder = await open(dirname(this.#file), 'r')
    try { await folder.sync() } finally { await folder.close() }
  }

  async #last(count: number): Promise<Note[]> {
    const found: Note[] = []
    for (let age = 0; age <= this.#keep && found.length < count; age++) {
      const text = await readFile(this.#aged(age), 'utf8').catch((error: NodeJS.ErrnoException) => { if (error.code === 'ENOENT') return ''; throw error })
      const lines = text.split('\n')
      for (let i = lines.length - 1; i >= 0 && found.length < count; i--) {
        const note = parse(lines[i]!)
        if (note) found.push(note)
      }
    }
    return found.reverse()
  }
}

function parse(line: string): Note | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return noteValidator.check(value) ? value : undefined
  } catch { return undefined }
}
