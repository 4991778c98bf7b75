import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Manifest } from '../manifest.ts'
import { MANIFEST_FILE, sealed, unsealed, type Entry } from './catalogue.ts'
import { replaceFile, writeWhole } from './disk.ts'
import { installedFolder } from './installed.ts'
import { hashAside } from './read-aside.ts'
import type { FileState, TrustedFiles } from './trusted-files.ts'

/** Where the files of a model may lie. An installed package is npm's: it is never written to. */
export interface Place { kind: 'installed' | 'store' | 'copy'; folder: string }
export interface PlaceState extends Place { files: Record<string, FileState> }

/** What became of a model's files when they were looked at. */
export interface Mended {
  /** A folder with all files right, the first there is. */
  folder?: string
  /** Absolute paths of files that were damaged or missing and are right again. */
  repaired: string[]
  /** A place that had nothing, and has all now. */
  copied: string[]
  /** Files of which there is no right one anywhere. */
  lost: string[]
  /** Places that could not be mended although a right file was there: a disk that is full or may not be written. */
  problems: MtorError[]
  /** Nothing of it is anywhere. */
  absent: boolean
}

const isRight = (place: PlaceState) => Object.values(place.files).every((state) => state === 'good')
const isEmpty = (place: PlaceState) => Object.values(place.files).every((state) => state === 'missing')

/** The places of models, and how one is mended from another. */
export class Places {
  readonly #modelsDir: string
  readonly #copyDir: string
  readonly #trusted: TrustedFiles

  constructor(modelsDir: string, copyDir: string, trusted: TrustedFiles) {
    this.#modelsDir = modelsDir
    this.#copyDir = copyDir
    this.#trusted = trusted
  }

  /** In the order in which they are used. */
  of({ name, version, source }: Manifest): Place[] {
    const stored: Place[] = [{ kind: 'store', folder: join(this.#modelsDir, name, version) }, { kind: 'copy', folder: join(this.#copyDir, name, version) }]
    if (source.kind !== 'installed') return stored
    try { return [{ kind: 'installed', folder: installedFolder(source.package, source.folder) }, ...stored] } catch { return stored }
  }

  /** Looks at one place; `fresh`: reads every byte. */
  async look(manifest: Manifest, place: Place, options: { fresh?: boolean; signal?: AbortSignal } = {}): Promise<PlaceState> {
    const files: Record<string, FileState> = {}
    const pathOf = ({ path, from = path }: Manifest['files'][number]) => join(place.folder, place.kind === 'installed' ? from : path)
    const aside = options.fresh ? await hashAside(manifest.files.map(pathOf), options.signal) : undefined
    for (const file of manifest.files) {
      const path = pathOf(file)
      const got = aside?.get(path)
      files[file.path] = got === undefined ? await this.#trusted.check(path, file.sha256, options) : await this.#trusted.heard(path, file.sha256, got)
    }
    return { ...place, files }
  }

  async lookAll(manifest: Manifest, options: { fresh?: boolean; signal?: AbortSignal } = {}): Promise<PlaceState[]> {
    const states: PlaceState[] = []
    for (const place of this.of(manifest)) states.push(await this.look(manifest, place, options))
    return states
  }

  /** The first place, if all is right there: what a warm start needs, without a look at the copy. */
  async ready(manifest: Manifest): Promise<string | undefined> {
    const place = this.of(manifest)[0]!
    // Files under other names in the package are only under their own in the store.
    if (place.kind === 'installed' && manifest.files.some(({ path, from }) => from !== undefined && from !== path)) return undefined
    return isRight(await this.look(manifest, place)) ? place.folder : undefined
  }

  /** Makes two right copies of what there is one right of. Nothing is brought from outside. */
  async mend({ manifest, own }: Entry, options: { fresh?: boolean; signal?: AbortSignal } = {}): Promise<Mended> {
    const states = await this.lookAll(manifest, options)
    const mended: Mended = { repaired: [], copied: [], lost: [], problems: [], absent: states.every(isEmpty) }
    if (mended.absent) return mended
    const pathIn = (place: Place, path: string) => join(place.folder, place.kind === 'installed' ? manifest.files.find((file) => file.path === path)!.from ?? path : path)
    mended.lost = manifest.files.map(({ path }) => path).filter((path) => !states.some((place) => place.files[path] === 'good'))
    const renamed = states[0]!.kind === 'installed' && manifest.files.some(({ path, from }) => from !== undefined && from !== path)
    for (const place of states) {
      if (place.kind === 'installed') continue
      // A right installed package is the first copy; the store's own is needed only in its stead.
      if (place.kind === 'store' && states[0]!.kind === 'installed' && isRight(states[0]!) && isEmpty(place) && !renamed) continue
      const wasEmpty = isEmpty(place)
      const made: string[] = []
      try {
        for (const { path, sha256 } of manifest.files) {
          if (place.files[path] === 'good') continue
          const good = states.find((other) => other.files[path] === 'good')
          if (!good) continue
          const target = pathIn(place, path)
          await replaceFile(pathIn(good, path), target, options.signal)
          place.files[path] = await this.#trusted.check(target, sha256, { fresh: true, signal: options.signal })
          made.push(target)
        }
        if (own && await this.#mendManifest(manifest, place.folder) && !wasEmpty) made.push(join(place.folder, MANIFEST_FILE))
      } catch (thrown) {
        options.signal?.throwIfAborted()
        mended.problems.push(toMtorError(thrown))
      }
      // In the stead of an installed file that is damaged it is a repair, and worth telling.
      if (wasEmpty && isRight(place) && (place.kind === 'copy' || states[0]!.kind !== 'installed' || isRight(states[0]!))) mended.copied.push(place.folder)
      else mended.repaired.push(...made)
    }
    const installed = states.find((place) => place.kind === 'installed')
    mended.folder = states.find((place) => isRight(place) && !(place === installed && renamed))?.folder
    return mended
  }

  /** True when it had to be written. */
  async #mendManifest(manifest: Manifest, folder: string): Promise<boolean> {
    const file = join(folder, MANIFEST_FILE)
    try { if (sealed(unsealed(file)) === sealed(manifest)) return false } catch { /* Written anew. */ }
    await writeWhole(file, sealed(manifest))
    return true
  }

  /** Takes a model out of the store; what npm installed stays. */
  async clear(name: string): Promise<void> {
    await rm(join(this.#modelsDir, name), { recursive: true, force: true })
    await rm(join(this.#copyDir, name), { recursive: true, force: true })
  }
}
