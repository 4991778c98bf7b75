import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { becomes, Proxy } from '../testing.ts'
import { workerNode } from './testing.ts'

test('a node that falls silent with open sockets while it is asked: the answer comes from another, and it is asked again when it is back', async (t) => {
  const shared = await mkdtemp(join(tmpdir(), 'mtor-once-'))
  t.teardown(() => rm(shared, { recursive: true, force: true }))
  // What w dials at a, and a at w, goes through proxies that swallow it from some moment on.
  const ports: Record<string, number> = {}
  const toA = new Proxy(() => ports['a']), toW = new Proxy(() => ports['w'])
  const at = { a: { host: '127.0.0.1', port: await toA.start(t) }, w: { host: '127.0.0.1', port: await toW.start(t) } }
  const a = await workerNode(t, 'a', shared, { addressOf: (node) => node === 'w' ? at.w : undefined })
  ports['a'] = a.port
  // It would have to load the model first, and is therefore the second choice.
  await workerNode(t, 'b', shared, { at: a, isWarm: false })
  const w = await workerNode(t, 'w', shared, { at: a, role: 'witness', hasModel: false, addressOf: (node) => node === 'a' ? at.a : undefined })
  ports['w'] = w.port
  await w.sees('a', 'b')
  const asked = w.say('once done sleep 60000 never')
  await becomes('a is at it', () => a.serving() === 1)
  for (const proxy of [toA, toW]) proxy.cut = { there: true, back: true }
  t.like(await asked, { node: 'b', output: { text: 'done' } })
  t.regex(String(w.named('worker.avoided')[0]!.message), /silent|unheard|closed/)
  await becomes('a has dropped it', () => a.serving() === 0)
  for (const proxy of [toA, toW]) proxy.cut = { there: false, back: false }
  await becomes('it is proven and asked again', () => w.inference.seen('talker').includes('a'))
})
