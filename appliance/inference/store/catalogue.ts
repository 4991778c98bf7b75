import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, posix } from 'node:path'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { manifestValidator, type Manifest, type ModelSource } from '../manifest.ts'
import { readYaml, SHIPPED_DIR } from './yaml.ts'

export const MANIFEST_FILE = 'manifest.json'
const NAME = /^[a-z0-9][a-z0-9-]{0,47}$/

/** A manifest, and whether it is the operator's or learned (it lies in the store) or came with the appliance. */
export interface Entry { manifest: Manifest; own: boolean }

const PACKAGE_NAMES: Partial<Record<ModelSource['kind'], RegExp>> = {
  npm: /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-zA-Z0-9._-]*$/,
  installed: /^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-zA-Z0-9._-]*$/,
  debian: /^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9][A-Za-z0-9.+~:-]*)?$/,
  pypi: /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
}
const VERSION = /^[A-Za-z0-9][A-Za-z0-9.+!_-]*$/

/** A source that a registry's client may be asked for: no options, no ways out. @throws MtorError MODEL_INVALID */
export function checkSource(source: ModelSource, what: string): ModelSource {
  const wrong = (problem: string) => new MtorError('MODEL_INVALID', `${what}: /source ${problem}`)
  const named = 'package' in source ? [source, ...'also' in source ? source.also ?? [] : []] : []
  for (const one of named) {
    if (!PACKAGE_NAMES[source.kind]?.test(one.package)) throw wrong(`${JSON.stringify(one.package)} is no name of a ${source.kind === 'installed' ? 'npm' : source.kind} package`)
    if ('version' in one && !VERSION.test(one.version)) throw wrong(`${JSON.stringify(one.version)} is no version`)
  }
  if (source.kind === 'installed' && (source.folder.startsWith('/') || posix.normalize(source.folder).startsWith('..'))) throw wrong(`${JSON.stringify(source.folder)} leads out of the package`)
  return source
}

/** Checks a manifest with all that its schema cannot say. @throws MtorError MODEL_INVALID that names `what` and the problem */
export function checkManifest(value: unknown, what: string): Manifest {
  const manifest = manifestValidator.assert(value, 'MODEL_INVALID', what)
  const wrong = (problem: string) => new MtorError('MODEL_INVALID', `${what}: ${problem}`)
  const { files, convert, knownAnswers, task } = manifest
  const paths = new Set<string>()
  for (const { path, from } of [...files, ...convert?.inputs ?? []]) for (const name of [path, from ?? path]) {
    if (posix.normalize(name) !== name || name.endsWith('/') || name === '.') throw wrong(`the path ${name} is not in its plain form`)
  }
  for (const { path } of files) {
    if (path === MANIFEST_FILE) throw wrong(`a file may not be called ${MANIFEST_FILE}`)
    if (paths.has(path)) throw wrong(`the file ${path} is listed twice`)
    paths.add(path)
  }
  if (convert && !paths.has(convert.output)) throw wrong(`/convert/output ${convert.output} is not among the files`)
  if (task !== 'speech' && knownAnswers.length === 0) throw wrong('/knownAnswers: at least one is needed')
  checkSource(manifest.source, what)
  return manifest
}

const sealOf = (manifest: Manifest) => createHash('sha256').update(JSON.stringify(manifest)).digest('hex')

/** A manifest as it lies in the store: its hashes are what everything else is judged by, so it has one of its own. */
export const sealed = (manifest: Manifest) => `${JSON.stringify({ seal: sealOf(manifest), manifest }, null, 1)}\n`

/** @throws MtorError MODEL_INVALID where it is damaged, and the file system's error where it cannot be read */
export function unsealed(file: string): Manifest {
  const text = readFileSync(file, 'utf8')
  let value: { seal?: unknown; manifest?: unknown }
  try { value = JSON.parse(text) as typeof value } catch (error) { throw new MtorError('MODEL_INVALID', `${file}: ${(error as Error).message}`, { cause: error }) }
  const manifest = checkManifest(value.manifest, file)
  if (value.seal !== sealOf(manifest)) throw new MtorError('MODEL_INVALID', `${file}: it is not as it was written (its seal differs)`)
  return manifest
}

/** All manifests: those that came with the appliance, read once, and those in the store, read when they change. */
export class Catalogue {
  readonly #roots: readonly string[]
  readonly #shippedDir: string
  readonly #reserved: string | undefined
  readonly #onInvalid: (error: MtorError) => void
  readonly #read = new Map<string, { mark: string; manifest?: Manifest; error?: MtorError }>()
  #shipped: Map<string, Manifest | MtorError> | undefined

  /** `onInvalid` is told once of each manifest that cannot be used; the others can. */
  constructor(options: { modelsDir: string; copyDir: string; shippedDir?: string; onInvalid: (error: MtorError) => void }) {
    this.#roots = [options.modelsDir, options.copyDir]
    this.#shippedDir = options.shippedDir ?? SHIPPED_DIR
    this.#reserved = dirname(options.copyDir) === options.modelsDir ? basename(options.copyDir) : undefined
    this.#onInvalid = options.onInvalid
  }

  /** By name. An own model hides one of the same name that came with the appliance. */
  list(): Entry[] {
    const entries = new Map<string, Entry>()
    for (const [name, manifest] of this.#shippedOnes()) if (!(manifest instanceof MtorError)) entries.set(name, { manifest, own: false })
    for (const name of this.#ownNames()) {
      try { const manifest = this.#own(name); if (manifest) entries.set(name, { manifest, own: true }) } catch { /* Told already. */ }
    }
    return [...entries.values()].sort((a, b) => a.manifest.name < b.manifest.name ? -1 : 1)
  }

  /** @throws MtorError NOT_FOUND, MODEL_INVALID */
  get(name: string): Entry {
    if (NAME.test(name) && name !== this.#reserved) {
      const own = this.#own(name)
      if (own) return { manifest: own, own: true }
      const shipped = this.#shippedOnes().get(name)
      if (shipped instanceof MtorError) throw shipped
      if (shipped) return { manifest: shipped, own: false }
    }
    throw new MtorError('NOT_FOUND', `there is no model ${name}`, { hint: 'List them with: mtor models list' })
  }

  isShipped(name: string): boolean { return this.#shippedOnes().has(name) }

  /** @throws MtorError MODEL_INVALID where a model cannot have this name */
  checkName(name: string): void {
    if (!NAME.test(name)) throw new MtorError('MODEL_INVALID', `${JSON.stringify(name)} is no name of a model: small letters, digits and hyphens, at most 48`)
    if (name === this.#reserved) throw new MtorError('MODEL_INVALID', `a model may not be called ${name}: the second copies lie in a folder of that name`)
  }

  #shippedOnes(): Map<string, Manifest | MtorError> {
    if (this.#shipped) return this.#shipped
    this.#shipped = new Map()
    for (const file of readdirSync(this.#shippedDir).filter((name) => name.endsWith('.yaml')).sort()) {
      const name = basename(file, '.yaml')
      try {
        const path = join(this.#shippedDir, file)
        const manifest = checkManifest(readYaml(path), path)
        if (manifest.name !== name) throw new MtorError('MODEL_INVALID', `${path}: /name is ${manifest.name}, but the file is called ${file}`)
        this.#shipped.set(name, manifest)
      } catch (thrown) {
        const error = toMtorError(thrown, 'MODEL_INVALID')
        this.#shipped.set(name, error)
        this.#onInvalid(error)
      }
    }
    return this.#shipped
  }

  #ownNames(): Set<string> {
    const names = new Set<string>()
    for (const root of this.#roots) for (const name of folders(root)) if (NAME.test(name) && name !== this.#reserved) names.add(name)
    return names
  }

  /** The newest version with a manifest that is whole, in the store or else in its copy. @throws MtorError MODEL_INVALID when there are only damaged ones */
  #own(name: string): Manifest | undefined {
    let failed: MtorError | undefined
    for (const root of this.#roots) {
      const candidates = folders(join(root, name)).map((version) => join(root, name, version, MANIFEST_FILE)).map((file) => ({ file, atMs: timeOf(file) }))
      for (const { file } of candidates.filter(({ atMs }) => atMs !== undefined).sort((a, b) => b.atMs! - a.atMs!)) {
        const { manifest, error } = this.#readOwn(file, name)
        if (manifest) return manifest
        failed ??= error
      }
    }
    if (failed) throw failed
    return undefined
  }

  #readOwn(file: string, name: string): { manifest?: Manifest; error?: MtorError } {
    let mark: string
    try { const { mtimeNs, ctimeNs, ino, size } = statSync(file, { bigint: true }); mark = [mtimeNs, ctimeNs, ino, size].join(':') } catch { return {} }
    const known = this.#read.get(file)
    if (known?.mark === mark) return known
    const read: { mark: string; manifest?: Manifest; error?: MtorError } = { mark }
    try {
      const manifest = unsealed(file)
      if (manifest.name !== name || manifest.version !== basename(dirname(file))) throw new MtorError('MODEL_INVALID', `${file}: it is that of ${manifest.name} ${manifest.version}`)
      read.manifest = manifest
    } catch (thrown) {
      read.error = toMtorError(thrown, 'MODEL_INVALID')
      this.#onInvalid(read.error)
    }
    this.#read.set(file, read)
    return read
  }
}

const timeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs
function folders(path: string): string[] {
  try { return readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map((entry) => entry.name) } catch { return [] }
}
