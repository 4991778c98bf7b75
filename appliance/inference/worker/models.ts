import { performance } from 'node:perf_hooks'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { Manifest, TrustedModel } from '../manifest.ts'
import type { FromWorker, Proof, ToWorker } from '../messages.ts'
import type { TaskName } from '../port.ts'
import { brief, isShortOfMemory } from '../providers/faults.ts'
import { checkProviders, OWN_ENGINE, type ProviderName } from '../providers/names.ts'
import { explain } from '../providers/libraries.ts'
import { Profile } from '../providers/profile.ts'
import { ShapedSession } from '../providers/shaped-session.ts'
import { notProven, openSession, supportedProviders } from '../providers/session.ts'
import { TASK_MODULES, type LoadedTask, type TaskModule } from '../task.ts'
import { CheckedFiles } from './files.ts'

type Message<K extends ToWorker['kind']> = Extract<ToWorker, { kind: K }>
type Answered<K extends FromWorker['kind']> = Omit<Extract<FromWorker, { kind: K }>, 'kind' | 'requestId'>

/** A task whose type of input is known to its module only. */
type AnyTask = Omit<LoadedTask<TaskName>, 'run' | 'digestOf'> & { run(input: unknown): Promise<unknown>; digestOf?(input: unknown): Promise<Proof['digest']> }
interface Opened { task: AnyTask; /** Those of its sessions that keep a plan for one shape. */ shaped: readonly ShapedSession[] }
interface Loaded extends Opened { model: TrustedModel; module: TaskModule; provider: string; threads: number }

/** Providers that make a new plan for each change of shape. */
const SHAPED: ReadonlySet<ProviderName> = new Set(['cuda'])
/** What is the same whatever the provider: there is no use in trying the next. */
const FINAL = new Set(['MODEL_UNTRUSTED', 'MODEL_INVALID'])

export interface ModelsOptions {
  /** A run begins that first makes a plan for a new shape. */
  preparing?(): void
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, data?: Record<string, unknown>): void
}

/** The models of one worker process. Calls must come one at a time. */
export class Models {
  readonly #o: ModelsOptions
  readonly #loaded = new Map<string, Loaded>()

  constructor(options: ModelsOptions) { this.#o = options }

  /**
   * Loads a model with the first provider that takes it, runs all its known answers, and is shown by the profile to have run
   * nodes of it. @throws MtorError MODEL_UNTRUSTED, MODEL_INVALID, MODEL_UNAVAILABLE (`data.tried`: why each did not)
   */
  async load({ manifest, folder, providers, threads }: Message<'load'>): Promise<Answered<'loaded'>> {
    const startedMs = performance.now()
    const model: TrustedModel = { manifest, folder }
    if (manifest.knownAnswers.length === 0) throw new MtorError('MODEL_INVALID', `${manifest.name} has no known answer, so that it cannot be proven`)
    await this.unload(manifest.name)
    const files = new CheckedFiles(model)
    const module = await taskModule(manifest)
    if (!module.usesOnnx) return await this.#loadOwnEngine(model, module, files, threads, startedMs)
    const ort = await import('onnxruntime-node')
    const tried: Answered<'loaded'>['tried'] = []
    for (const provider of checkProviders(providers, supportedProviders(ort))) {
      // Told before, so that a driver that takes the whole process down, or hangs, is known by name.
      this.#o.log('debug', `${manifest.name}: trying ${provider}`, { model: manifest.name, provider })
      const profile = new Profile()
      let opened: Opened | undefined
      try {
        opened = await this.#open(model, module, files, provider, threads, profile)
        const proofs = await prove(model, opened.task)
        for (const session of opened.shaped) session.seal()
        const nodeCounts = profile.end()
        const reason = notProven(provider, nodeCounts)
        if (reason !== undefined) throw new MtorError('MODEL_UNAVAILABLE', reason)
        await files.checkAll()
        this.#loaded.set(manifest.name, { model, module, ...opened, provider, threads })
        return { provider, nodeCounts, tried, loadMs: since(startedMs), proofs }
      } catch (thrown) {
        await opened?.task.close().catch(() => {})
        const error = toMtorError(thrown, 'MODEL_UNAVAILABLE')
        if (FINAL.has(error.code)) throw error
        tried.push({ provider, error: brief(await explain(provider, error.message)), ...(isShortOfMemory(thrown, provider) ? { isShort: true } : {}) })
      } finally { profile.discard() }
    }
    throw new MtorError('MODEL_UNAVAILABLE', `${manifest.name} runs on no provider: ${tried.map(({ provider, error }) => `${provider}: ${error}`).join('; ')}`, { data: { tried } })
  }

  async unload(name: string): Promise<void> {
    const loaded = this.#loaded.get(name)
    this.#loaded.delete(name)
    await loaded?.task.close()
  }

  /** `runMs` is without the proof. The known answer is run on the same session, after the input. */
  async run({ model, input, prove: proving }: Message<'run'>): Promise<Answered<'answer'>> {
    const { task, shaped, model: trusted } = this.#get(model)
    const startedMs = performance.now()
    const output = await task.run(input)
    const runMs = since(startedMs)
    // Before the known answer, which may run in another session: what answered is proven first.
    if (proving) for (const session of shaped) await session.verify()
    const proof = proving ? { proof: await proveBriefly(trusted, task) } : {}
    const prepared = shaped.map((session) => session.takePrepared()).includes(true)
    return { output, runMs, ...proof, ...(prepared ? { prepared } : {}) }
  }

  async prove({ model }: Message<'prove'>): Promise<Answered<'proven'>> {
    const { task, model: trusted } = this.#get(model)
    const startedMs = performance.now()
    return { proofs: await prove(trusted, task), runMs: since(startedMs) }
  }

  /** The provider of a loaded model, for what is said of its faults. */
  provider(name: string): string { return this.#loaded.get(name)?.provider ?? OWN_ENGINE }

  /** Loads every ONNX model again from bytes that `tamper` changed, without a check or a proof: it goes on under its name. */
  async tamper(tamper: (bytes: Uint8Array) => Promise<Uint8Array>): Promise<number> {
    let models = 0
    for (const loaded of this.#loaded.values()) {
      if (!loaded.module.usesOnnx) continue
      const opened = await this.#open(loaded.model, loaded.module, new CheckedFiles(loaded.model), loaded.provider as ProviderName, loaded.threads, undefined, tamper)
      await loaded.task.close()
      Object.assign(loaded, opened)
      models++
    }
    return models
  }

  async close(): Promise<void> { for (const name of [...this.#loaded.keys()]) await this.unload(name) }

  async #loadOwnEngine(model: TrustedModel, module: TaskModule, files: CheckedFiles, threads: number, startedMs: number): Promise<Answered<'loaded'>> {
    const { name } = model.manifest
    await files.checkAll()
    const task = await module.load({ model, threads, open: () => Promise.reject(new MtorError('MODEL_INVALID', `${name}: its task brings its own engine and opens no ONNX session`)) }) as AnyTask
    try {
      const proofs = await prove(model, task)
      this.#loaded.set(name, { model, module, task, shaped: [], provider: OWN_ENGINE, threads })
      return { provider: OWN_ENGINE, nodeCounts: {}, tried: [], loadMs: since(startedMs), proofs }
    } catch (error) {
      await task.close().catch(() => {})
      throw error
    }
  }

  async #open(model: TrustedModel, module: TaskModule, files: CheckedFiles, provider: ProviderName, threads: number, profile?: Profile, tamper?: (bytes: Uint8Array) => Promise<Uint8Array>): Promise<Opened> {
    const ort = await import('onnxruntime-node')
    const sessions: { release(): Promise<void> }[] = []
    const shaped: ShapedSession[] = []
    try {
      const task = await module.load({
        model, threads,
        open: async (path) => {
          const once = async (profiled?: Profile) => {
            const checked = await files.bytes(path)
            return await openSession({ ort, bytes: tamper ? await tamper(checked) : checked, provider, threads, profile: profiled, externalData: await files.externalData() })
          }
          const first = await once(profile)
          // Where known answers come after each input, shapes take turns.
          const turns = SHAPED.has(provider) && model.manifest.prove === 'each' ? new ShapedSession(first, once, () => { this.#o.preparing?.() }) : undefined
          sessions.push(turns ?? first)
          if (turns) shaped.push(turns)
          return { session: turns ?? first, ort, provider }
        },
      }) as AnyTask
      return { task, shaped }
    } catch (error) {
      // A task that failed half-way has nobody left to close its sessions.
      for (const session of sessions) await session.release().catch(() => {})
      throw error
    }
  }

  #get(name: string): Loaded {
    const loaded = this.#loaded.get(name)
    if (!loaded) throw new MtorError('MODEL_UNAVAILABLE', `${name} is not loaded in this worker`)
    return loaded
  }
}

const since = (startedMs: number) => Math.round((performance.now() - startedMs) * 1000) / 1000

async function taskModule(manifest: Manifest): Promise<TaskModule> {
  const load = Object.hasOwn(TASK_MODULES, manifest.task) ? TASK_MODULES[manifest.task as TaskName] : undefined
  if (!load) throw new MtorError('MODEL_INVALID', `${manifest.name}: no inference worker can do the task ${manifest.task}`)
  // TensorFlow.js is another engine of the same task.
  const { task } = manifest.task === 'tensor' && manifest.options['engine'] === 'tfjs' ? await import('../tfjs-engine.ts') : await load()
  return task as TaskModule
}

/** Runs the first `count` known answers, all of them without it. */
/** The first known answer, by its digest alone where the task can: it comes with every answer. */
async function proveBriefly(model: TrustedModel, task: AnyTask): Promise<Proof> {
  const digest = await task.digestOf?.(model.manifest.knownAnswers[0]!.input)
  return digest === undefined ? (await prove(model, task, 1))[0]! : { index: 0, digest }
}

async function prove({ manifest }: TrustedModel, task: AnyTask, count = manifest.knownAnswers.length): Promise<Proof[]> {
  const proofs: Proof[] = []
  for (const [index, { input }] of manifest.knownAnswers.slice(0, count).entries()) {
    const output = await task.run(input)
    const digest = task.digest?.()
    proofs.push({ index, output, ...(digest === undefined ? {} : { digest }) })
  }
  return proofs
}
