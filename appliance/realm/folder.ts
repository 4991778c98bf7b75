import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError } from '../contracts/errors.ts'

/** The files of `<state>/realm`. `member` is written last when a realm is made or joined: while it is missing, this node is in no realm. */
export const FILES = { member: 'member.json', caCert: 'ca-cert.pem', caKey: 'ca-key.pem', cert: 'node-cert.pem', key: 'node-key.pem', tokens: 'tokens.json', revoked: 'revoked.crl' } as const
export type RealmFile = keyof typeof FILES

/** `<state>/realm`: what makes this node a member. Every file is readable to its owner only, and is replaced as a whole. */
export class RealmFolder {
  readonly path: string

  constructor(stateDir: string) { this.path = join(stateDir, 'realm') }

  of(file: RealmFile): string { return join(this.path, FILES[file]) }

  /** True when this node is in a realm. */
  get isMember(): boolean { return existsSync(this.of('member')) }

  /** The text of a file; undefined where there is none. @throws MtorError CONFIG_INVALID when it cannot be read */
  async read(file: RealmFile): Promise<string | undefined> {
    try { return await readFile(this.of(file), 'utf8') } catch (error) { return this.#absent(file, error) }
  }

  /** Likewise, at once: for the start of the daemon. */
  readNow(file: RealmFile): string | undefined {
    try { return readFileSync(this.of(file), 'utf8') } catch (error) { return this.#absent(file, error) }
  }

  /** Writes a file so that after a power cut either the old or the new text is there. */
  async write(file: RealmFile, text: string | Buffer): Promise<void> {
    const path = this.of(file)
    try {
      await mkdir(this.path, { recursive: true, mode: 0o700 })
      await chmod(this.path, 0o700)
      const handle = await open(`${path}.new`, 'w', 0o600)
      try { await handle.chmod(0o600); await handle.writeFile(text); await handle.sync() } finally { await handle.close() }
      await rename(`${path}.new`, path)
      await this.#syncFolder()
    } catch (error) {
      throw new MtorError((error as NodeJS.ErrnoException).code === 'ENOSPC' ? 'DISK_FULL' : 'CONFIG_INVALID', `cannot write ${path}: ${(error as Error).message}`, { cause: error })
    }
  }

  /** Forgets the realm. `member.json` goes first, so that half a removal is no half a member. */
  async remove(): Promise<void> {
    await rm(this.of('member'), { force: true })
    await this.#syncFolder().catch(() => {})
    await rm(this.path, { recursive: true, force: true })
  }

  async #syncFolder(): Promise<void> {
    const folder = await open(this.path, 'r')
    try { await folder.sync() } finally { await folder.close() }
  }

  #absent(file: RealmFile, error: unknown): undefined {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new MtorError('CONFIG_INVALID', `cannot read ${this.of(file)}: ${(error as Error).message}`, { cause: error })
  }
}
