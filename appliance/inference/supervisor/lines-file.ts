import { appendFile, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Facts in lines of JSON, written one after the other in the background: a disk that is full or slow holds up nobody. Beyond `mostBytes` the
 * file becomes `<file>.1`, the only older one. What the disk did not take is told to `onLost`, once until it takes again.
 */
export class LinesFile {
  readonly file: string
  readonly #mostBytes: number
  readonly #onLost: (error: unknown) => void
  #last: Promise<void> = Promise.resolve()
  #bytes: number | undefined
  #isLosing = false

  constructor(file: string, mostBytes: number, onLost: (error: unknown) => void) { this.file = file; this.#mostBytes = mostBytes; this.#onLost = onLost }

  /** All whole lines; half a line, from a power cut, is passed over. */
  async read(): Promise<Record<string, unknown>[]> {
    const lines: Record<string, unknown>[] = []
    for (const file of [`${this.file}.1`, this.file]) {
      const text = await readFile(file, 'utf8').catch(() => '')
      for (const line of text.split('\n')) {
        if (line === '') continue
        try { lines.push(JSON.parse(line) as Record<string, unknown>) } catch { /* Half a line. */ }
      }
    }
    return lines
  }

  append(fact: object): void { this.#then(async () => { await this.#append(`${JSON.stringify(fact)}\n`) }) }

  /** Puts these in place of all there is. */
  replace(facts: readonly object[]): void {
    this.#then(async () => {
      const text = facts.map((fact) => `${JSON.stringify(fact)}\n`).join('')
      await mkdir(dirname(this.file), { recursive: true })
      await writeFile(`${this.file}.new`, text)
      await rename(`${this.file}.new`, this.file)
      this.#bytes = Buffer.byteLength(text)
    })
  }

  /** Resolves when all that was given so far is written or lost. */
  flush(): Promise<void> { return this.#last }

  async #append(text: string): Promise<void> {
    if (this.#bytes === undefined) {
      await mkdir(dirname(this.file), { recursive: true })
      this.#bytes = await stat(this.file).then(({ size }) => size, () => 0)
      // A line that was cut off must not spoil the next one.
      if (this.#bytes > 0 && !(await readFile(this.file, 'utf8')).endsWith('\n')) text = `\n${text}`
    }
    if (this.#bytes > this.#mostBytes) { await rename(this.file, `${this.file}.1`); this.#bytes = 0 }
    await appendFile(this.file, text)
    this.#bytes += Buffer.byteLength(text)
  }

  #then(write: () => Promise<void>): void {
    this.#last = this.#last.then(write).then(() => { this.#isLosing = false }, (error: unknown) => {
      this.#bytes = undefined
      if (!this.#isLosing) this.#onLost(error)
      this.#isLosing = true
    })
  }
}
