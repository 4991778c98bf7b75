import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { toMtorError } from '../../appliance/contracts/errors.ts'
import type { Hub } from '../../appliance/contracts/hub.ts'
import type { Journal } from '../../appliance/journal/port.ts'
import { keepFile, readObject } from './files.ts'
import type { Credentials, Flows } from './flow.ts'
import { credentialKey, decryptable, seal } from './key.ts'
import { FlowStore, type Deploy, type DeployMeta, type NewDeploy } from './store.ts'

export interface DeploysOptions {
  /** `<state>/flows`. */
  dir: string
  keep: number
  hub: Hub
  values: Pick<Journal, 'put' | 'read' | 'keys'>
}

const KEY = 'flows/deploy/'
/** The author of what the appliance itself brings back. */
export const APPLIANCE = 'appliance'

/**
 * What the core keeps of the flows: deploys on disk and their record in the journal, the key of their credentials, Node-RED's
 * settings and sessions. Says aloud what was damaged, and brings the last good flows back.
 */
export class Deploys {
  readonly store: FlowStore
  readonly #o: DeploysOptions
  #key = ''
  /** One after the other: a deploy that is being kept, then the flows that are asked for. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: DeploysOptions) {
    this.#o = options
    this.store = new FlowStore(options.dir, { keep: options.keep })
  }

  get key(): string { return this.#key }

  async open(): Promise<void> {
    const { hub, dir } = this.#o
    const damaged = await this.store.open()
    const found = await credentialKey(dir)
    this.#key = found.key
    for (const { file, aside } of damaged) this.#damaged(`${join(dir, file)} was damaged; it is set aside as ${aside}`)
    for (const aside of found.aside) this.#damaged(`the key of the credentials of flows was damaged; it is set aside as ${aside}${found.how === 'mended' ? ' and mended from its copy' : ''}`)
    await this.#fromJournal()
    const { current } = this.store
    // A deploy was in force, and its file is damaged.
    if (!current && damaged.some(({ n }) => n !== undefined)) await this.#bringBack('I found my flows damaged.', this.store.list().filter(({ crashed }) => !crashed))
    else if (current && !decryptable(current.credentials, this.#key)) {
      await this.#keep({ at: hub.now(), flows: current.flows, credentials: {}, author: APPLIANCE })
      const message = `the credentials of deploy ${current.n} cannot be read with the key of this node: flows go on without them`
      hub.system({ severity: 'error', component: 'flows', name: 'credentials.lost', code: 'FLOW_INVALID', message, say: 'The passwords of my flows are lost. Please enter them again.' })
    }
    await this.#toJournal()
  }

  /** What Node-RED is to run; waits for a deploy that is just being kept. */
  current(): Promise<{ flows: Flows; credentials: Credentials }> {
    return this.#inTurn(async () => {
      const { flows = [], credentials = {} } = this.store.current ?? {}
      // Node-RED expects sealed ones, also where there are none.
      return { flows, credentials: Object.keys(credentials).length === 0 ? seal({}, this.#key) : credentials }
    })
  }

  /** Puts a deploy in force and on record. @throws MtorError DISK_FULL, INTERNAL where it could not be kept: the one before stays */
  save(deploy: Omit<NewDeploy, 'at'>): Promise<DeployMeta> {
    return this.#inTurn(async () => (await this.#keep({ at: this.#o.hub.now(), ...deploy })).meta)
  }

  read(n: number): Promise<Deploy> { return this.store.read(n) }

  /** It ran well. */
  async good(n: number): Promise<void> {
    await this.#inTurn(() => this.store.mark(n, 'good'))
    await this.#toJournal()
  }

  /** The flows in force crash: back to the last ones that ran well, or to none. Resolves with the deploy that is in force now. */
  fallBack(): Promise<DeployMeta> {
    return this.#inTurn(async () => {
      const { current } = this.store
      if (current) await this.store.mark(current.n, 'crashed')
      return this.#bringBack('My flows crashed again and again.', [])
    })
  }

  /** Node-RED's own settings, and who is logged in to its editor. Damaged ones are set aside: they begin anew. */
  async readSettings(name: 'settings' | 'sessions'): Promise<Record<string, unknown>> {
    const file = this.#file(name)
    const value = await readObject(file)
    if (value) return value
    await rename(file, `${file}.damaged`)
    this.#damaged(`${file} was damaged; it is set aside as ${file}.damaged`)
    return {}
  }

  writeSettings(name: 'settings' | 'sessions', value: unknown): Promise<void> { return this.#inTurn(() => keepFile(this.#file(name), JSON.stringify(value))) }

  #file(name: string): string { return join(this.#o.dir, `${name}.json`) }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    return done
  }

  async #keep(deploy: NewDeploy): Promise<{ meta: DeployMeta; isNew: boolean }> {
    const { meta, isNew } = await this.store.add(deploy)
    if (!isNew) return { meta, isNew }
    const { n, author, revision, summary } = meta
    this.#o.hub.system({ severity: 'info', component: 'flows', name: 'deployed', message: `deploy ${n} by ${author}: ${summary}`, data: { n, author, revision, summary, ...(meta.of === undefined ? {} : { of: meta.of }) } })
    await this.#toJournal()
    return { meta, isNew }
  }

  /** The last good flows take the place of those in force; else the first of `others`, else none. */
  async #bringBack(why: string, others: readonly DeployMeta[]): Promise<DeployMeta> {
    const { hub } = this.#o
    const of = this.store.lastGood() ?? others[0]
    const before = of && await this.store.read(of.n)
    const { meta, isNew } = await this.#keep({ at: hub.now(), flows: before?.flows ?? [], credentials: before?.credentials ?? {}, author: APPLIANCE, ...(of ? { of: of.n } : {}) })
    // There were none before either: that is no news.
    if (!isNew) return meta
    const what = !of ? 'No others ran well: there are none until some are deployed.' : of.good ? `Deploy ${of.n} is back, which ran well.` : `Deploy ${of.n} is back.`
    hub.system({ severity: 'critical', component: 'flows', name: 'rolled-back', code: 'FLOW_INVALID', message: `${why} ${what}`, say: `${why} ${of ? 'I went back to older ones.' : 'I run none now.'}`, data: { n: meta.n, ...(of ? { of: of.n } : {}) } })
    return meta
  }

  #damaged(message: string): void { this.#o.hub.system({ severity: 'error', component: 'flows', name: 'damaged', code: 'FLOW_INVALID', message }) }

  /** Which deploys ran well, where the file of that was lost. */
  async #fromJournal(): Promise<void> {
    const { values } = this.#o
    try {
      for (const { n } of this.store.list()) {
        const known = await values.read(KEY + n) as DeployMeta | undefined
        if (known) await this.store.remember([known])
      }
    } catch (thrown) { this.#journalFailed(thrown) }
  }

  /** Every deploy has its record in the journal, as it is now; those that are dropped have none. */
  async #toJournal(): Promise<void> {
    const { values } = this.#o
    try {
      const metas = new Map(this.store.list().map((meta) => [KEY + meta.n, meta]))
      for (const key of await values.keys(KEY)) if (!metas.has(key)) await values.put(key, undefined)
      for (const [key, meta] of metas) if (JSON.stringify(await values.read(key)) !== JSON.stringify(meta)) await values.put(key, meta)
    } catch (thrown) { this.#journalFailed(thrown) }
  }

  /** The deploy itself is on disk; its record is written with the next one. */
  #journalFailed(thrown: unknown): void {
    const { code, message } = toMtorError(thrown)
    this.#o.hub.system({ severity: 'warning', component: 'flows', name: 'journal.failed', code, message: `deploys could not be recorded: ${message}` })
  }
}
