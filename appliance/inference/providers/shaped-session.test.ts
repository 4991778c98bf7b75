import test from 'ava'
import * as ort from 'onnxruntime-node'
import { smallGraph } from '../worker/testing.ts'
import { openSession } from './session.ts'
import { DIFFERS, ShapedSession } from './shaped-session.ts'

const feeds = (rows: number, value = 1) => ({ x: new ort.Tensor('float32', new Float32Array(4 * rows).fill(value), [rows, 4]) })

/** A shaped session of the small graph, with what it did: sessions opened, runs of each, plans. */
async function shaped() {
  const did = { opened: 0, released: 0, runs: [] as number[], plans: 0, skew: 0 }
  const open = async () => {
    const session = await openSession({ ort, bytes: smallGraph(), provider: 'cpu', threads: 1 })
    const at = did.opened++
    did.runs[at] = 0
    const run = session.run.bind(session), release = session.release.bind(session)
    session.run = async (...args: unknown[]) => {
      did.runs[at]!++
      const outputs = await (run as (...all: unknown[]) => Promise<Record<string, ort.Tensor>>)(...args)
      if (did.skew) (outputs['y']!.data as Float32Array)[0]! += did.skew
      return outputs
    }
    session.release = async () => { did.released++; await release() }
    return session
  }
  return { did, session: new ShapedSession(await open(), open, () => { did.plans++ }) }
}

test('shapes run before it is sealed have a session each, all others share one more', async (t) => {
  const { did, session } = await shaped()
  for (const rows of [1, 2, 1, 2]) t.is((await session.run(feeds(rows)))['y']!.dims[0], rows)
  t.is(did.opened, 2)
  t.is(did.plans, 2)
  session.seal()
  for (const rows of [5, 1, 5, 1, 5]) t.is((await session.run(feeds(rows)))['y']!.dims[0], rows)
  t.is(did.plans, 3, 'taking turns makes no plan')
  await session.run(feeds(6))
  t.is(did.opened, 3)
  t.is(did.plans, 4)
  t.true(session.takePrepared())
  t.false(session.takePrepared())
  await session.release()
  t.is(did.released, 3)
})

test('the session that answered is proven: its first input again must give the same bits', async (t) => {
  const { did, session } = await shaped()
  await session.run(feeds(1))
  session.seal()
  const buffer = feeds(3)
  await session.run(buffer)
  // Tasks use their buffers again.
  ;(buffer.x.data as Float32Array).fill(9)
  await session.run(buffer)
  await t.notThrowsAsync(session.verify())
  did.skew = 1e-6
  t.is((await t.throwsAsync(session.verify()))!.message, DIFFERS)
  await session.release()
})

test('where equal runs differ by a bit there is nothing to hold against it', async (t) => {
  const { did, session } = await shaped()
  let turn = 0
  Object.defineProperty(did, 'skew', { get: () => ++turn * 1e-3 })
  await session.run(feeds(1))
  await t.notThrowsAsync(session.verify())
  await session.release()
})
