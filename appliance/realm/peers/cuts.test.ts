import test from 'ava'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { becomes, Proxy, startNode, type TestNode } from '../testing.ts'

/** Two nodes; what a dials goes through one proxy, what b dials through another. */
async function proxied(t: Parameters<typeof startNode>[0]) {
  const ports: Record<string, number> = {}
  const [toB, toA] = [new Proxy(() => ports.b), new Proxy(() => ports.a)]
  const [portToB, portToA] = [await toB.start(t), await toA.start(t)]
  const a = await startNode(t, 'a', { addressOf: () => ({ host: '127.0.0.1', port: portToB }) })
  const b = await startNode(t, 'b', { at: a, addressOf: () => ({ host: '127.0.0.1', port: portToA }) })
  ports.a = a.port
  ports.b = b.port
  await becomes('both are linked', () => a.online().length === 1 && b.online().length === 1)
  return { a, b, toA, toB }
}
const dialledBy = (node: TestNode) => node.named('node.online').at(-1)!.data!.dialledBy

test('a cut of one way is noticed at both ends, and the link heals the other way round', async (t) => {
  const { a, b, toA, toB } = await proxied(t)
  // The node with the lower name, unless it is late.
  const [dialler, dialled, way] = dialledBy(a) === 'a' ? [a, b, toB] : [b, a, toA]
  way.cut.there = true
  await becomes('both have noticed', () => a.named('node.offline').length > 0 && b.named('node.offline').length > 0)
  t.is(dialled.named('node.offline')[0]!.data!.reason, 'silent')
  // Which of the two is first is chance: it sees that its beats are not heard, or the other has closed.
  t.true(['unheard', 'closed'].includes(dialler.named('node.offline')[0]!.data!.reason as string))
  await becomes('linked again', () => [a, b].every((node) => node.online().length === 1 && dialledBy(node) === dialled.node))
})

test('while nothing gets from a to b neither takes the other for online; afterwards both do', async (t) => {
  const { a, b, toA, toB } = await proxied(t)
  toB.cut.there = true
  toA.cut.back = true
  await becomes('both have noticed', () => a.online().length === 0 && b.online().length === 0)
  await t.throwsAsync(a.peers.request('b', 'x', 1, { timeoutMs: 100 }), { code: 'NODE_UNREACHABLE' })
  toB.cut.there = false
  toA.cut.back = false
  await becomes('linked again', () => a.online().length === 1 && b.online().length === 1)
  t.true(a.named('node.online').length === 2)
})

test('a node whose process is stopped is offline although its sockets are open, and is back when it goes on', async (t) => {
  const a = await startNode(t, 'a')
  const b = await startNode(t, 'b', { at: a, start: false })
  const child = spawn(process.execPath, [join(import.meta.dirname, '../testing-child.ts'), join(b.folder.path, '..'), String(b.port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const said: { name: string; data?: Record<string, unknown> }[] = []
  createInterface({ input: child.stdout }).on('line', (line) => { said.push(JSON.parse(line)) })
  await becomes('linked', () => a.online().length === 1)
  t.is(await a.peers.request('b', 'echo', 'hello', { timeoutMs: 5_000 }), 'hello')
  child.kill('SIGSTOP')
  const waiting = a.peers.request('b', 'echo', 'hello', { timeoutMs: 30_000 })
  await t.throwsAsync(waiting, { code: 'NODE_UNREACHABLE', message: /silent/ })
  t.like(a.named('node.offline')[0], { data: { node: 'b', reason: 'silent' } })
  child.kill('SIGCONT')
  await becomes('linked again', () => a.online().length === 1)
  t.is(await a.peers.request('b', 'echo', 'again', { timeoutMs: 5_000 }), 'again')
  await becomes('it says that it was away', () => said.some(({ name }) => name === 'node.offline'))
  child.kill('SIGKILL')
  await becomes('gone', () => a.online().length === 0)
  t.is(a.named('node.offline').at(-1)!.data!.reason, 'closed')
})
