import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import * as ort from 'onnxruntime-node'
import type { Manifest, TrustedModel } from '../manifest.ts'
import type { PlainTensor, Tasks } from '../port.ts'
import { sileroModel } from '../worker/testing.ts'
import { alive, becomes, bench, childrenOf } from './testing.ts'

/** One window of sound, as plain tensors. */
const feedsOf = (shift: number): Record<string, PlainTensor> => ({
  input: { type: 'float32', dims: [1, 576], data: Float32Array.from({ length: 576 }, (_, i) => 0.5 * Math.sin((i + shift) / 3)) },
  state: { type: 'float32', dims: [2, 1, 128], data: new Float32Array(256) },
  sr: { type: 'int64', dims: [], data: BigInt64Array.of(16_000n) },
})

/** The voice activity model with a known answer, as a bare session gives it here. */
async function silero(): Promise<{ model: TrustedModel; bare(shift: number): Promise<Tasks['tensor']['output']> }> {
  const { folder, manifest } = await sileroModel()
  const session = await ort.InferenceSession.create(await readFile(join(folder, manifest.files[0]!.path)), { executionProviders: ['cpu'], intraOpNumThreads: 1 })
  const bare = async (shift: number) => {
    const outputs = await session.run(Object.fromEntries(Object.entries(feedsOf(shift)).map(([name, { type, data, dims }]) => [name, new ort.Tensor(type, data as Float32Array, dims)])))
    return { tensors: Object.fromEntries(Object.entries(outputs).map(([name, { type, dims, data }]) => [name, { type, dims: [...dims], data } as PlainTensor])) }
  }
  const plain = (tensors: Record<string, PlainTensor>) => Object.fromEntries(Object.entries(tensors).map(([name, { type, dims, data }]) => [name, { type, dims, data: Array.from(data as Float32Array, Number) }]))
  const known = { input: { feeds: plain(feedsOf(0)) }, output: { tensors: plain((await bare(0)).tensors) } }
  const answering: Manifest = { ...manifest, providers: ['cpu'], knownAnswers: [known], prove: 'each', timeoutMs: 10_000 }
  return { model: { folder, manifest: answering }, bare }
}

test.serial('a real model in the real worker answers as a bare session does, proven each time', async (t) => {
  const { model, bare } = await silero()
  const b = await bench(t, { threads: 1 }, () => [model], { workerFile: undefined })
  await b.supervisor.warm('silero')
  t.is(b.providers[0]!.provider, 'cpu')
  t.true(b.providers[0]!.nodeCounts['cpu']! > 0)
  for (const shift of [1, 2, 3]) {
    const { output, provider } = await b.supervisor.run('tensor', 'silero', { feeds: feedsOf(shift) }, { deadlineMs: 20_000 })
    t.is(provider, 'cpu')
    t.deepEqual(output, await bare(shift))
  }
  const { p50Ms } = b.supervisor.status().models[0]!
  t.log(`p50 of a run with its proof, in the worker and over the pipe: ${p50Ms} ms`)
})

test.serial('the real worker killed, and the next, while it is asked without pause: every answer is right', async (t) => {
  const { model, bare } = await silero()
  const b = await bench(t, { threads: 1 }, () => [model], { workerFile: undefined })
  await b.supervisor.warm('silero')
  const wanted = await bare(7)
  for (let kill = 0; kill < 3; kill++) {
    const pid = b.supervisor.status().workers[0]!.pid!
    const answers = Array.from({ length: 8 }, () => b.supervisor.run('tensor', 'silero', { feeds: feedsOf(7) }, { deadlineMs: 20_000 }))
    process.kill(pid, 'SIGKILL')
    for (const { output } of await Promise.all(answers)) t.deepEqual(output, wanted)
  }
  t.true(b.supervisor.faults().length >= 3)
  for (const { recoveredAfterMs, kind } of b.supervisor.faults()) t.log(`${kind}: proven again after ${recoveredAfterMs} ms`)
})

test.serial('a standby that has proven itself answers at once, and stop leaves no child', async (t) => {
  const { model } = await silero()
  const before = new Set(childrenOf(process.pid))
  const b = await bench(t, { threads: 1, standby: true }, () => [model], { workerFile: undefined })
  await b.supervisor.warm('silero')
  const workers = () => b.supervisor.status().workers
  await becomes('a proven standby', () => workers().map(({ state }) => state).sort().join() === 'idle,standby' && workers().every(({ provenAgeMs }) => provenAgeMs !== undefined))
  const first = workers().find(({ state }) => state !== 'standby'); const second = workers().find(({ state }) => state === 'standby')
  process.kill(first!.pid!, 'SIGKILL')
  const { attempts } = await b.supervisor.run('tensor', 'silero', { feeds: feedsOf(1) }, { deadlineMs: 20_000 })
  t.true(attempts <= 2)
  await becomes('recovery', () => b.supervisor.faults()[0]?.recoveredAfterMs !== undefined)
  t.log(`standby: proven again after ${b.supervisor.faults()[0]!.recoveredAfterMs} ms`)
  t.is(workers().find(({ worker }) => worker === second!.worker)!.state, 'idle')
  await becomes('a new standby', () => workers().find(({ worker }) => worker === first!.worker)!.state === 'standby')
  const pids = workers().flatMap(({ pid }) => pid ?? [])
  await b.supervisor.stop()
  t.deepEqual(pids.filter(alive), [])
  t.deepEqual(childrenOf(process.pid).filter((pid) => !before.has(pid) && alive(pid)), [])
})
