import test from 'ava'
import { systemClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { becomes, startNode, three } from '../testing.ts'
import { TlsPeers } from './index.ts'

test('three nodes link over TLS and exchange messages, with bytes, to one and to all', async (t) => {
  const [a, b, c] = await three(t)
  const got: [at: string, from: string, message: unknown][] = []
  b.peers.on('bus', (from, message) => { got.push(['b', from, message]) })
  c.peers.on('bus', (from, message) => { got.push(['c', from, message]) })
  a.peers.send('*', 'bus', { n: 1, bytes: new Uint8Array([1, 2, 3]) })
  a.peers.send('b', 'bus', 'to b alone')
  a.peers.send('nobody', 'bus', 'lost')
  await becomes('all came', () => got.length === 3)
  t.deepEqual(got.filter(([at]) => at === 'b'), [['b', 'a', { n: 1, bytes: Buffer.from([1, 2, 3]) }], ['b', 'a', 'to b alone']])
  t.deepEqual(got.filter(([at]) => at === 'c'), [['c', 'a', { n: 1, bytes: Buffer.from([1, 2, 3]) }]])
  t.like(a.peers.list().find(({ node }) => node === 'c'), { online: true, role: 'witness', version: '0.1.0', protocol: 1, address: `127.0.0.1:${c.port}` })
  await becomes('times are known', () => a.peers.list().every(({ rttMs, clock }) => rttMs !== undefined && clock?.good === true && clock.offsetMs !== undefined && clock.offsetSeenThereMs !== undefined))
})

test('a request is answered, or fails with the code of whoever failed', async (t) => {
  const [a, b] = await three(t)
  const aborted = Promise.withResolvers<string>()
  b.peers.serve('work', async (from, message, signal) => {
    if (message === 'wait') return new Promise((_, reject) => { signal.addEventListener('abort', () => { aborted.resolve((signal.reason as Error).message); reject(signal.reason as Error) }) })
    if (message === 'fail') throw new MtorError('LOW_BATTERY', 'nothing left')
    return { from, message }
  })
  t.deepEqual(await a.peers.request('b', 'work', { x: 1 }, { timeoutMs: 5_000 }), { from: 'a', message: { x: 1 } })
  await t.throwsAsync(a.peers.request('b', 'work', 'fail', { timeoutMs: 5_000 }), { code: 'LOW_BATTERY', message: 'nothing left' })
  await t.throwsAsync(a.peers.request('b', 'play', 1, { timeoutMs: 5_000 }), { code: 'NOT_FOUND' })
  await t.throwsAsync(a.peers.request('z', 'work', 1, { timeoutMs: 5_000 }), { code: 'NODE_UNREACHABLE' })
  await t.throwsAsync(a.peers.request('b', 'work', 'wait', { timeoutMs: 50 }), { code: 'DEADLINE' })
  t.is(await aborted.promise, 'the asker has cancelled')
  await t.throwsAsync(a.peers.request('b', 'work', 'wait', { timeoutMs: 5_000, signal: AbortSignal.timeout(20) }), { code: 'CANCELLED' })
  const waiting = a.peers.request('b', 'work', 'wait', { timeoutMs: 30_000 })
  await b.peers.stop()
  await t.throwsAsync(waiting, { code: 'NODE_UNREACHABLE', message: /stopped/ })
})

test('long messages arrive whole, and what is urgent goes in between', async (t) => {
  const [a, b] = await three(t)
  const got: string[] = []
  const bytes = Buffer.alloc(3 * 1024 * 1024, 7)
  b.peers.on('inference', (_, message) => { got.push((message as { bytes: Buffer }).bytes.equals(bytes) ? 'long' : 'damaged') })
  b.peers.on('stop', () => { got.push('stop') })
  a.peers.send('b', 'inference', { bytes })
  a.peers.send('b', 'stop', {})
  await becomes('both came', () => got.length === 2)
  t.deepEqual(got, ['stop', 'long'])
  t.throws(() => a.peers.send('b', 'bus', 'x'.repeat(8 * 1024 * 1024)), { code: 'TOO_LARGE' })
})

test('what a queue cannot hold is dropped and said once; a request is told BUSY', async (t) => {
  const [a, b] = await three(t, { maxQueueBytes: 100_000 })
  let got = 0
  b.peers.on('bus', () => { got += 1 })
  for (let i = 0; i < 50; i++) a.peers.send('b', 'bus', 'x'.repeat(20_000))
  await t.throwsAsync(a.peers.request('b', 'bus', 'x'.repeat(90_000), { timeoutMs: 1_000 }), { code: 'BUSY' })
  t.is(a.named('queue.full').length, 1)
  await becomes('what was taken has come', () => got > 0)
  t.true(got < 50)
})

test('a node that is started anew is another instance, and is linked again', async (t) => {
  const a = await startNode(t, 'a')
  const b = await startNode(t, 'b', { at: a })
  await becomes('linked', () => a.online().length === 1)
  const before = a.peers.list()[0]!.instance
  await b.peers.stop()
  await becomes('b is gone', () => a.online().length === 0)
  t.like(a.peers.list()[0], { online: false, offline: 'stopped', instance: before })
  t.like(a.named('node.offline')[0], { severity: 'warning', code: 'NODE_UNREACHABLE', data: { node: 'b', reason: 'stopped' } })
  const again = new TlsPeers({ membership: b.membership, clock: systemClock, hub: b.hub, host: '127.0.0.1', port: b.port, version: '0.2.0', heartbeatMs: 100, offlineAfterMs: 500, onNewcomer: (socket) => socket.destroy() })
  t.teardown(() => again.stop())
  again.serve('who', async () => again.instance)
  await again.start()
  await becomes('b is back', () => a.online().length === 1)
  t.like(a.peers.list()[0], { version: '0.2.0', instance: again.instance })
  t.not(again.instance, before)
  t.is(await a.peers.request('b', 'who', null, { timeoutMs: 5_000 }), again.instance)
})

test('a newcomer that says itself that it is a member is known with its versions', async (t) => {
  const a = await startNode(t, 'a')
  const b = await startNode(t, 'b', { at: a, start: false })
  const c = await startNode(t, 'c', { at: a })
  // Nobody but c can tell b of c.
  await a.peers.stop()
  await b.peers.start()
  await becomes('c has told it', () => b.online().includes('c') && c.online().includes('b'))
  t.like(b.peers.list().find(({ node }) => node === 'c'), { version: '0.1.0', versions: { software: '0.1.0', protocol: 1 } })
})

test('neighbouring versions work together, others do not', async (t) => {
  const a = await startNode(t, 'a', { protocol: 3 })
  const b = await startNode(t, 'b', { at: a, protocol: 2 })
  const c = await startNode(t, 'c', { at: a, protocol: 1 })
  await becomes('b is linked to both', () => b.online().length === 2 && a.online().length === 1)
  t.is(a.peers.list().find(({ node }) => node === 'b')!.protocol, 2)
  await becomes('the others say so', () => a.named('link.refused').length > 0 && c.named('link.refused').length > 0)
  t.like(a.named('link.refused')[0], { code: 'VERSION_MISMATCH', data: { node: 'c' } })
  t.deepEqual(a.online(), ['b'])
  t.like(c.peers.list().find(({ node }) => node === 'a'), { online: false, offline: 'refused' })
})

test('a listener that throws is reported and keeps nothing from the others', async (t) => {
  const [a, b] = await three(t)
  let got = 0
  b.peers.on('bus', () => { throw new MtorError('INTERNAL', 'broken') })
  const off = b.peers.on('bus', () => { got += 1 })
  a.peers.send('b', 'bus', 1)
  await becomes('it came', () => got === 1 && b.named('listener.failed').length === 1)
  off()
  a.peers.send('b', 'bus', 2)
  await becomes('the second came', () => b.named('listener.failed').length === 2)
  t.is(got, 1)
})
