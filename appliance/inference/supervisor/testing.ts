import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import { makeConfig } from '../../config/load.ts'
import { systemClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { Manifest, TrustedModel } from '../manifest.ts'
import type { ModelLibrary, RunOptions } from '../port.ts'
import type { ProviderInfo } from './shared.ts'
import { InferenceSupervisor, type SupervisorOptions } from './supervisor.ts'

/** Parts of tests: a supervisor over real child processes (testing-worker.ts), whose inputs say what is to go wrong. */

const TEST_WORKER = fileURLToPath(new URL('./testing-worker.ts', import.meta.url))
const WAIT_MS = 20_000

/** Models by name, all trusted but those that are put into `untrusted`. */
export class TestLibrary implements ModelLibrary {
  readonly models: TrustedModel[]
  readonly untrusted = new Set<string>()
  constructor(models: TrustedModel[]) { this.models = models }
  list(): Manifest[] { return this.models.map(({ manifest }) => manifest) }
  async trusted(name: string): Promise<TrustedModel> {
    const model = this.models.find(({ manifest }) => manifest.name === name)
    if (!model) throw new MtorError('NOT_FOUND', `no model ${name}`)
    if (this.untrusted.has(name)) throw new MtorError('MODEL_UNTRUSTED', `${name}: both copies are damaged`)
    return model
  }
}

export function talker(folder: string, more: Partial<Manifest> = {}, options: Record<string, unknown> = {}): TrustedModel {
  return {
    folder,
    manifest: {
      name: 'talker', version: '1', title: 'Says what it is told', task: 'read', licence: { spdx: 'GPL-3.0-or-later' }, source: { kind: 'file', path: folder },
      files: [{ path: 'none', sha256: '0'.repeat(64), bytes: 0 }], signature: { inputs: [], outputs: [] }, memoryMB: 50, timeoutMs: 5_000, prove: 'each',
      providers: ['cpu'], knownAnswers: [{ input: { image: 'say known' }, output: { text: 'known', lines: [] } }], ...more, options: { folder, ...options },
    },
  }
}

export interface Bench {
  supervisor: InferenceSupervisor
  library: TestLibrary
  events: SystemEventInput[]
  providers: ProviderInfo[]
  stateDir: string
  /** Has the model do one thing; gives the text. */
  say(command: string, options?: Partial<RunOptions>): Promise<string>
  /** The first event of that name that satisfies, waited for. */
  event(name: string, test?: (event: SystemEventInput) => boolean): Promise<SystemEventInput>
}

/** Starts a supervisor with one model, "talker"; it is stopped when the test ends, and must then have left no child. */
export async function bench(t: ExecutionContext, config: Record<string, unknown> = {}, models?: (folder: string) => TrustedModel[], more: Partial<SupervisorOptions> = {}): Promise<Bench> {
  const stateDir = more.stateDir ?? await mkdtemp(join(tmpdir(), 'mtor-supervisor-'))
  const library = new TestLibrary(models?.(stateDir) ?? [talker(stateDir)])
  const events: SystemEventInput[] = []
  const providers: ProviderInfo[] = []
  const { inference } = makeConfig({ node: 'test', stateDir, inference: { idleProofMs: 3_600_000, ...config } })
  const supervisor = new InferenceSupervisor({
    config: inference, library, clock: systemClock, stateDir, cores: 2, workerFile: TEST_WORKER,
    onEvent: (event) => { events.push(event) }, onProvider: (info) => { providers.push(info) }, ...more,
  })
  t.teardown(async () => { await supervisor.stop(); await rm(stateDir, { recursive: true, force: true }) })
  await supervisor.start()
  return {
    supervisor, library, events, providers, stateDir,
    say: async (command, options = {}) => (await supervisor.run('read', 'talker', { image: command }, { deadlineMs: WAIT_MS, ...options })).output.text,
    event: async (name, test = () => true) => await becomes(`event ${name}`, () => events.find((event) => event.name === name && test(event))),
  }
}

/** Waits for a fact, and fails with its name. */
export async function becomes<T>(what: string, fact: () => T | undefined | false): Promise<T> {
  const untilMs = performance.now() + WAIT_MS
  for (;;) {
    const found = fact()
    if (found !== undefined && found !== false) return found
    if (performance.now() > untilMs) throw new MtorError('DEADLINE', `${what}: not within ${WAIT_MS} ms`)
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
}

/** Processes that are there and no zombies. */
export const alive = (pid: number): boolean => { try { return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) } catch { return false } }
export const childrenOf = (pid: number): number[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((name) => {
  try { return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]!.split(' ')[1] === String(pid) } catch { return false }
}).map(Number)
