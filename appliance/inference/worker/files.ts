import { createHash, hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { MtorError } from '../../contracts/errors.ts'
import type { TrustedModel } from '../manifest.ts'

type File = TrustedModel['manifest']['files'][number]

/**
 * The files of a model as this process has read and hashed them: a session is made of the very bytes that were checked, so
 * that nothing can change in between. Held only while loading.
 */
export class CheckedFiles {
  readonly #model: TrustedModel
  readonly #bytes = new Map<string, Buffer>()

  constructor(model: TrustedModel) { this.#model = model }

  /** Bytes of a file of the manifest, read once. @throws MtorError MODEL_INVALID (the manifest has no such file), MODEL_UNTRUSTED */
  async bytes(path: string): Promise<Buffer> {
    const known = this.#bytes.get(path)
    if (known) return known
    const file = this.#file(path)
    let bytes: Buffer
    try { bytes = await readFile(join(this.#model.folder, path)) } catch (error) { throw this.#untrusted(file, `cannot be read (${String(error)})`, error) }
    this.#check(file, hash('sha256', bytes), bytes.length)
    this.#bytes.set(path, bytes)
    return bytes
  }

  /** Checks all that has not been read. It is hashed as it streams by: for what an engine opens by itself. */
  async checkAll(): Promise<void> {
    for (const file of this.#model.manifest.files) {
      if (this.#bytes.has(file.path)) continue
      const digest = createHash('sha256')
      let bytes = 0
      try {
        await pipeline(createReadStream(join(this.#model.folder, file.path), { highWaterMark: 1 << 20 }), async function* count(source: AsyncIterable<Buffer>) { for await (const chunk of source) { bytes += chunk.length; yield chunk } }, digest)
      } catch (error) { throw this.#untrusted(file, `cannot be read (${String(error)})`, error) }
      this.#check(file, digest.digest('hex'), bytes)
    }
  }

  /** Weights that the graph keeps in files beside it, as torch and others export what is larger than 2 GB. */
  async externalData(): Promise<{ path: string; data: Buffer }[]> {
    const files = this.#model.manifest.files.filter(({ path }) => /\.onnx[._]data$|\.data$/.test(path))
    return await Promise.all(files.map(async ({ path }) => ({ path: path.slice(path.lastIndexOf('/') + 1), data: await this.bytes(path) })))
  }

  #file(path: string): File {
    const file = this.#model.manifest.files.find((candidate) => candidate.path === path)
    if (file) return file
    const { name, files } = this.#model.manifest
    throw new MtorError('MODEL_INVALID', `${name}: its manifest has no file ${path}; it has ${files.map((candidate) => candidate.path).join(', ')}`)
  }

  #check(file: File, sha256: string, bytes: number): void {
    if (sha256 !== file.sha256) throw this.#untrusted(file, `has SHA-256 ${sha256} and ${bytes} bytes, expected ${file.sha256} and ${file.bytes}`)
  }

  #untrusted(file: File, what: string, cause?: unknown): MtorError {
    return new MtorError('MODEL_UNTRUSTED', `${this.#model.manifest.name}: ${file.path} ${what}`, { data: { model: this.#model.manifest.name, file: file.path }, ...(cause === undefined ? {} : { cause }) })
  }
}
