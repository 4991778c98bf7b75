import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { systemClock } from '../../contracts/clock.ts'
import type { WorkerHealth, WorkerOffer } from '../../contracts/telemetry.ts'
import type { Manifest } from '../../inference/manifest.ts'
import type { Answer, RunOptions } from '../../inference/port.ts'
import { bench, becomes, talker, type Bench } from '../../inference/supervisor/testing.ts'
import { startNode, type NodeOptions, type TestNode } from '../testing.ts'
import { RealmInference } from './realm-inference.ts'

/** Nodes over real links, each with a real supervisor and real child processes whose inputs say what is to go wrong. */
export const WAIT_MS = 20_000

export interface WorkerNode extends TestNode {
  inference: RealmInference
  bench: Bench
  said: { kind: 'offer' | 'health'; payload: WorkerOffer | WorkerHealth }[]
  /** Has the realm's "talker" do what the command says; it goes as a file, as pictures do. */
  say(command: string, options?: Partial<RunOptions>): Promise<Answer<'read'>>
  /** Waits until this node knows that the others offer the talker, loaded. */
  sees(...nodes: string[]): Promise<void>
  health(of?: string): WorkerHealth
  /** Requests of others that it is at. */
  serving(): number
  /** What lies in the folder for files of others. */
  kept(): Promise<string[]>
}
export interface Extra extends NodeOptions { hasModel?: boolean; /** Loaded before it begins, and its pace known. */ isWarm?: boolean; /** The others do not take its model for theirs. */ isOther?: boolean; inference?: Record<string, unknown>; manifest?: Partial<Manifest>; options?: Record<string, unknown> }

/** @param shared folder of what happens "once", for all nodes together */
export async function workerNode(t: ExecutionContext, node: string, shared: string, { hasModel = true, isWarm = true, isOther: _, inference: config = {}, manifest = {}, options = {}, ...more }: Extra = {}): Promise<WorkerNode> {
  const one = await startNode(t, node, more)
  const own = await bench(t, { ...config }, () => [talker(shared, manifest, options)])
  const folder = await mkdtemp(join(tmpdir(), 'mtor-elsewhere-'))
  const inference = new RealmInference({
    supervisor: own.supervisor, library: own.library, isHere: async () => hasModel, peers: one.peers, hub: one.hub, clock: systemClock,
    workers: Number(config['workers'] ?? 1), folder: join(folder, 'shelf'), cores: 1_000,
  })
  const said: WorkerNode['said'] = []
  inference.publish((kind, payload) => { said.push({ kind, payload }) })
  t.teardown(async () => { await inference.stop(); await rm(folder, { recursive: true, force: true }) })
  // One run, so that its pace is known: about 100 ms.
  if (hasModel && isWarm) await own.supervisor.run('read', manifest.name ?? 'talker', { image: 'sleep 100 first' }, { deadlineMs: WAIT_MS })
  await inference.start()
  let files = 0
  const result: WorkerNode = {
    ...one, inference, bench: own, said,
    say: async (command, run = {}) => {
      const file = join(folder, `command-${++files}.txt`)
      await writeFile(file, command)
      return await inference.run('read', 'talker', { image: file }, { deadlineMs: WAIT_MS, ...run })
    },
    sees: async (...nodes) => { await becomes(`${node} sees ${nodes.join(', ')}`, () => { const known = inference.seen('talker'); return nodes.every((name) => known.includes(name)) }) },
    health: (of = node) => said.filter(({ kind, payload }) => kind === 'health' && payload.node === of).at(-1)!.payload as WorkerHealth,
    serving: () => inference.summary()['serving'] as number,
    kept: () => readdir(join(folder, 'shelf')),
  }
  return result
}

/** Nodes of one realm that all see each other. */
export async function realmOf(t: ExecutionContext, specs: Readonly<Record<string, Extra>>): Promise<Record<string, WorkerNode>> {
  const shared = await mkdtemp(join(tmpdir(), 'mtor-once-'))
  t.teardown(() => rm(shared, { recursive: true, force: true }))
  const nodes: Record<string, WorkerNode> = {}
  let first: WorkerNode | undefined
  for (const [name, spec] of Object.entries(specs)) {
    const node: WorkerNode = await workerNode(t, name, shared, { ...spec, ...(first ? { at: first } : {}) })
    first ??= node
    nodes[name] = node
  }
  const names = Object.keys(nodes)
  await becomes('all are linked', () => Object.values(nodes).every((node) => node.online().length === names.length - 1))
  for (const [name, node] of Object.entries(nodes)) if (!specs[name]!.isOther) await node.sees(...Object.entries(specs).filter(([other, { hasModel = true, isOther = false }]) => other !== name && hasModel && !isOther).map(([other]) => other))
  return nodes
}
