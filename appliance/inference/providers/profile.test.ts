import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import * as ort from 'onnxruntime-node'
import { smallGraph, temporary } from '../worker/testing.ts'
import { countNodes, Profile } from './profile.ts'
import { notProven, openSession } from './session.ts'

const feeds = () => ({ x: new ort.Tensor('float32', Float32Array.of(1, 1, 1, 1), [1, 4]) })

test.serial('the profile of a run counts each node once under the provider that ran it, and the session goes on without it', async (t) => {
  const folder = await temporary(t)
  const profile = new Profile([folder])
  const session = await openSession({ ort, bytes: smallGraph(), provider: 'cpu', threads: 1, profile })
  await session.run(feeds())
  await session.run(feeds())
  t.deepEqual(profile.end(), { cpu: 2 }, 'MatMul and Relu')
  t.deepEqual(readdirSync(folder), [], 'the file is gone')
  t.deepEqual(profile.end(), {}, 'ending twice is fine')
  t.is(profile.options(), undefined, 'a session opened later is not profiled')
  const { y } = await session.run(feeds())
  t.deepEqual([...y!.data as Float32Array], [5.5, 6.5, 7.5])
  t.deepEqual(readdirSync(folder), [])
  await session.release()
})

test.serial('a session that never ran is no proof', async (t) => {
  const profile = new Profile([await temporary(t)])
  const session = await openSession({ ort, bytes: smallGraph(), provider: 'cpu', threads: 1, profile })
  const counts = profile.end()
  t.deepEqual(counts, {})
  t.is(notProven('cpu', counts), 'the profile shows no node that ran')
  await session.release()
})

test.serial('where no folder can be written nothing is proven, and that is said', (t) => {
  t.like(t.throws(() => new Profile(['/proc', '/dev/null'])), { code: 'DISK_FULL' })
})

test.serial('what a process left that was killed while loading is swept up; that of one that lives is not', async (t) => {
  const folder = await temporary(t)
  const { pid } = spawnSync('true')
  for (const name of [`mtor-profile-${pid}-abc`, `mtor-profile-${process.ppid}-abc`, 'another']) mkdirSync(join(folder, name))
  new Profile([folder]).discard()
  t.deepEqual(readdirSync(folder).sort(), ['another', `mtor-profile-${process.ppid}-abc`])
})

test.serial('sessions of one model are counted together; a folder that cannot be written gives way to the next', async (t) => {
  const folder = await temporary(t)
  const profile = new Profile(['/proc', folder])
  const sessions = [await openSession({ ort, bytes: smallGraph(), provider: 'cpu', threads: 1, profile }), await openSession({ ort, bytes: smallGraph(), provider: 'cpu', threads: 2, profile })]
  for (const session of sessions) await session.run(feeds())
  t.deepEqual(profile.end(), { cpu: 4 })
  for (const session of sessions) await session.release()
})

test.serial('a provider that took the model and left all nodes to the CPU is not proven', (t) => {
  const event = (provider: string, node: number) => ({ cat: 'Node', name: `node_${node}_kernel_time`, args: { provider, op_name: 'Conv', node_index: String(node) } })
  const counts = countNodes([[{ cat: 'Session', name: 'model_run', args: {} }, event('CPUExecutionProvider', 0), event('CPUExecutionProvider', 1), event('CPUExecutionProvider', 1)]])
  t.deepEqual(counts, { cpu: 2 })
  t.is(notProven('cuda', counts), 'it took the model and ran none of its nodes (nodes that ran: cpu 2)')
  t.is(notProven('cpu', counts), undefined)
  const mixed = countNodes([[event('CUDAExecutionProvider', 0), event('CPUExecutionProvider', 1)]])
  t.deepEqual(mixed, { cuda: 1, cpu: 1 })
  t.is(notProven('cuda', mixed), undefined, 'shapes are worked out on the CPU')
})

test.serial('threads that wait do not spin, as they do by default', async (t) => {
  /** Processor time of 15 runs with pauses between, ms. */
  const used = async (session: ort.InferenceSession) => {
    await session.run(feeds())
    const before = process.cpuUsage()
    for (let run = 0; run < 15; run++) { await session.run(feeds()); await new Promise((resolve) => { setTimeout(resolve, 20) }) }
    const { user, system } = process.cpuUsage(before)
    await session.release()
    return (user + system) / 1000
  }
  const oursMs = await used(await openSession({ ort, bytes: smallGraph(), provider: 'cpu', threads: 2 }))
  const defaultMs = await used(await ort.InferenceSession.create(smallGraph(), { executionProviders: ['cpu'], intraOpNumThreads: 2 }))
  t.true(oursMs * 2 < defaultMs, `ours ${oursMs} ms, default ${defaultMs} ms`)
})
