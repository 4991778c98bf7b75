import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Instant } from '../../appliance/contracts/envelope.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { diffFlows, summaryOf } from './diff.ts'
import { keepFile } from './files.ts'
import { revisionOf, type Credentials, type Flows } from './flow.ts'

/** What is known of a deploy without its content. */
export interface DeployMeta {
  /** Counts from 1 and is never given twice. */
  n: number
  at: Instant
  /** Who deployed it: the user of the editor, `editor` where nobody needs to log in, `cli`, `appliance`. */
  author: string
  /** Of the flows. */
  revision: string
  /** What changed against the deploy before. */
  summary: string
  /** The older deploy it brings back. */
  of?: number
  /** It ran long enough without a crash. */
  good: boolean
  /** Node-RED ended with it again and again. */
  crashed: boolean
}
export interface Deploy extends DeployMeta { flows: Flows; credentials: Credentials }
export interface NewDeploy { at: Instant; flows: Flows; /** Left out: as they were. */ credentials?: Credentials; author: string; of?: number }

/** A file that could not be read as what it was, and where it is now. */
export interface Damage { file: string; n?: number; aside: string }

type Content = Omit<Deploy, 'good' | 'crashed'>
interface Marks { good: number[]; crashed: number[] }

const NAME = /^(\d{6,12})\.json$/
/** A number in the name of a file that was set aside is not given again; one of a file that never came to be is. */
const NUMBER = /^(\d{6,12})\.json(?:\.damaged)?$/
const nameOf = (n: number) => `${String(n).padStart(6, '0')}.json`
const checkOf = (content: Content) => createHash('sha256').update(JSON.stringify(content)).digest('hex')

/**
 * The deploys of the flows, each in a file of its own with flows, credentials (as Node-RED encrypted them) and a checksum; the
 * newest is in force. A file is written beside, synced and renamed, so that after a loss of power there is the old deploy or
 * the new one, never a part, and never flows without their credentials.
 */
export class FlowStore {
  readonly dir: string
  readonly #deploysDir: string
  readonly #marksFile: string
  readonly #keep: number
  readonly #readOnly: boolean
  #metas = new Map<number, DeployMeta>()
  #current: Deploy | undefined
  #last = 0

  /** @param options.keep so many deploys are kept; the last good one stays in any case. @param options.readOnly changes nothing on disk */
  constructor(dir: string, options: { keep?: number; readOnly?: boolean } = {}) {
    this.dir = dir
    this.#deploysDir = join(dir, 'deploys')
    this.#marksFile = join(dir, 'marks.json')
    this.#keep = options.keep ?? 100
    this.#readOnly = options.readOnly ?? false
  }

  /** Reads what is there. Where the newest deploy is damaged, none is in force until one is added. */
  async open(): Promise<Damage[]> {
    if (!this.#readOnly) await mkdir(this.#deploysDir, { recursive: true, mode: 0o700 })
    const damaged: Damage[] = []
    const marks = await this.#readMarks(damaged)
    const files = (await readdir(this.#deploysDir).catch(() => [])).toSorted()
    this.#metas = new Map()
    this.#current = undefined
    this.#last = Math.max(0, ...files.map((file) => Number(NUMBER.exec(file)?.[1] ?? 0)))
    for (const file of files) {
      const n = Number(NAME.exec(file)?.[1] ?? 0)
      if (n === 0) {
        // What a loss of power left half written.
        if (file.endsWith('.new') && !this.#readOnly) await rm(join(this.#deploysDir, file), { force: true })
        continue
      }
      const content = await this.#readContent(n)
      if (!content) { damaged.push({ file: join('deploys', file), n, aside: await this.#setAside(join(this.#deploysDir, file)) }); continue }
      const { flows: _, credentials: __, ...meta } = content
      const full: DeployMeta = { ...meta, good: marks.good.includes(n), crashed: marks.crashed.includes(n) }
      this.#metas.set(n, full)
      if (n === this.#last) this.#current = { ...content, ...full }
    }
    return damaged
  }

  /** What is in force. */
  get current(): Deploy | undefined { return this.#current }
  /** Newest first. */
  list(): DeployMeta[] { return [...this.#metas.values()].sort((a, b) => b.n - a.n) }

  /** @throws MtorError NOT_FOUND where there is none of that number, or its file is damaged */
  async read(n: number): Promise<Deploy> {
    if (this.#current?.n === n) return this.#current
    const meta = this.#metas.get(n)
    if (!meta) throw new MtorError('NOT_FOUND', `no deploy ${n}`, { hint: 'See the deploys with: mtor flows list' })
    const content = await this.#readContent(n)
    if (!content) throw new MtorError('NOT_FOUND', `the file of deploy ${n} is damaged`, { hint: 'Take another one of: mtor flows list' })
    return { ...content, ...meta }
  }

  /** The newest deploy that ran well, whose flows have never been those of a crash loop. */
  lastGood(): DeployMeta | undefined {
    const list = this.list()
    const crashed = new Set(list.filter((meta) => meta.crashed).map(({ revision }) => revision))
    return list.find(({ good, revision }) => good && !crashed.has(revision))
  }

  /** Puts a deploy in force; on stable storage when it resolves. The one in force, given once more, is no new deploy. */
  async add({ at, flows, credentials, author, of }: NewDeploy): Promise<{ meta: DeployMeta; isNew: boolean }> {
    const before = this.#current
    const kept = credentials ?? before?.credentials ?? {}
    const revision = revisionOf(flows)
    if (before?.revision === revision && JSON.stringify(before.credentials) === JSON.stringify(kept)) return { meta: this.#metas.get(before.n)!, isNew: false }
    const n = this.#last + 1
    const summary = of === undefined ? summaryOf(diffFlows(before?.flows ?? [], flows)) : `back to deploy ${of}`
    const content: Content = { n, at, author, revision, summary, ...(of === undefined ? {} : { of }), flows, credentials: kept }
    await keepFile(join(this.#deploysDir, nameOf(n)), JSON.stringify({ ...content, check: checkOf(content) }))
    this.#last = n
    const meta: DeployMeta = { n, at, author, revision, summary, ...(of === undefined ? {} : { of }), good: false, crashed: false }
    this.#metas.set(n, meta)
    this.#current = { ...content, ...meta }
    await this.#prune()
    return { meta, isNew: true }
  }

  /** Notes that a deploy ran well, or that it did not. */
  async mark(n: number, how: 'good' | 'crashed'): Promise<void> {
    const meta = this.#metas.get(n)
    if (!meta || meta[how]) return
    meta[how] = true
    if (this.#current?.n === n) this.#current[how] = true
    await this.#writeMarks()
  }

  /** Takes over marks from elsewhere, where the file of them was lost. */
  async remember(marks: readonly Pick<DeployMeta, 'n' | 'good' | 'crashed'>[]): Promise<void> {
    for (const { n, good, crashed } of marks) {
      if (good) await this.mark(n, 'good')
      if (crashed) await this.mark(n, 'crashed')
    }
  }

  async #prune(): Promise<void> {
    const lastGood = this.lastGood()?.n
    const old = this.list().slice(this.#keep).filter(({ n }) => n !== lastGood)
    for (const { n } of old) {
      await rm(join(this.#deploysDir, nameOf(n)), { force: true })
      this.#metas.delete(n)
    }
    if (old.some(({ good, crashed }) => good || crashed)) await this.#writeMarks()
  }

  async #readContent(n: number): Promise<Content | undefined> {
    try {
      const { check, ...content } = JSON.parse(await readFile(join(this.#deploysDir, nameOf(n)), 'utf8')) as Content & { check: string }
      return check === checkOf(content) && content.n === n ? content : undefined
    } catch { return undefined }
  }

  async #readMarks(damaged: Damage[]): Promise<Marks> {
    let text: string
    try { text = await readFile(this.#marksFile, 'utf8') } catch { return { good: [], crashed: [] } }
    try {
      const { good, crashed } = JSON.parse(text) as Marks
      if ([...good, ...crashed].every(Number.isSafeInteger)) return { good, crashed }
    } catch { /* It is damaged. */ }
    damaged.push({ file: 'marks.json', aside: await this.#setAside(this.#marksFile) })
    return { good: [], crashed: [] }
  }

  async #writeMarks(): Promise<void> {
    const all = [...this.#metas.values()]
    const marks: Marks = { good: all.filter(({ good }) => good).map(({ n }) => n), crashed: all.filter(({ crashed }) => crashed).map(({ n }) => n) }
    await keepFile(this.#marksFile, JSON.stringify(marks))
  }

  async #setAside(file: string): Promise<string> {
    const aside = `${file}.damaged`
    if (!this.#readOnly) await rename(file, aside)
    return aside
  }
}
