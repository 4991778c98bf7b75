import test from 'ava'
import fc from 'fast-check'
import type { TLSSocket } from 'node:tls'
import { systemClock } from '../../contracts/clock.ts'
import { isCode } from '../../contracts/codes.ts'
import { Membership } from '../membership.ts'
import { becomes, startNode, temporary, three, type TestNode } from '../testing.ts'
import { RealmFolder } from '../folder.ts'
import { dial, open, tlsOptions, ALPN } from './dial.ts'
import { encodeFrame } from './frames.ts'

const FUZZ_MS = 4_000

/** A raw connection with the certificate of that member. */
const connectAs = async (rogue: Membership, to: TestNode): Promise<TLSSocket> => {
  const { socket } = await dial({ host: '127.0.0.1', port: to.port, node: to.node, realm: rogue.realm, credentials: rogue.credentials, timeoutMs: 5_000, clock: systemClock, signal: new AbortController().signal })
  return socket
}
const helloOf = (rogue: Membership, more: Record<string, unknown> = {}) => ({ t: 'hello', realm: rogue.realm, node: rogue.node, protocol: 1, version: '0.1.0', role: rogue.role, instance: '0123456789abcdef', link: '0123456789abcdef', list: rogue.signed, ...more })
const closed = (socket: TLSSocket) => new Promise<void>((resolve) => { if (socket.closed) resolve(); else socket.once('close', () => resolve()) })

test('a member that sends rubbish is cut off with an event, and nobody else notices', async (t) => {
  const a = await startNode(t, 'a')
  const b = await startNode(t, 'b', { at: a })
  const { membership: rogue } = await startNode(t, 'r', { at: a, start: false })
  await becomes('linked', () => a.online().includes('b'))
  b.peers.serve('echo', async (_, message) => message)
  const seeds = [helloOf(rogue), { t: 'beat', s: 1, a: 0 }, { t: 'ack', a: 0 }, { t: 'msg', c: 'bus', m: 1 }, { t: 'req', c: 'echo', i: 1, m: 1 }, { t: 'res', i: 1, m: 1 }, { t: 'err', i: 1, e: {} }, { t: 'cancel', i: 1 }, { t: 'part', p: 1, n: 20_000 }, { t: 'bye', reason: 'stopped' }]
    .map((header) => encodeFrame(header, header.t === 'part' ? Buffer.alloc(100) : undefined))
  const stream = fc.record({
    greets: fc.boolean(), frames: fc.array(fc.oneof(fc.constantFrom(...seeds), fc.record({ header: fc.dictionary(fc.string(), fc.jsonValue()), binary: fc.uint8Array({ maxLength: 50 }) }).map(({ header, binary }) => encodeFrame({ t: 'msg', ...header } as { t: string }, binary))), { minLength: 1, maxLength: 6 }),
    flips: fc.array(fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }), { maxLength: 6 }),
  }).map(({ greets, frames, flips }) => {
    const bytes = Buffer.concat(frames)
    for (const { at, value } of flips) bytes[at % bytes.length] = value
    return greets ? Buffer.concat([seeds[0]!, bytes]) : bytes
  })
  let runs = 0
  await fc.assert(fc.asyncProperty(stream, async (bytes) => {
    const socket = await connectAs(rogue, a)
    socket.resume()
    socket.end(bytes)
    await closed(socket)
    runs += 1
    return runs % 10 !== 0 || await a.peers.request('b', 'echo', runs, { timeoutMs: 5_000 }) === runs
  }), { numRuns: 1_000_000, interruptAfterTimeLimit: FUZZ_MS })
  t.true(runs > 50, `${runs} runs`)
  t.is(await a.peers.request('b', 'echo', 'still here', { timeoutMs: 5_000 }), 'still here')
  t.true(a.named('link.malformed').length > 0)
  t.true(a.events.every(({ code }) => code === undefined || isCode(code)))
  t.is(a.named('node.offline').filter(({ data }) => data!.node === 'b').length, 0)
})

test('a node whose certificate is revoked is refused at once on a running link, is told, and stays out', async (t) => {
  const [a, b, c] = await three(t)
  const serial = a.membership.member('b')!.serials[0]!
  await a.membership.change({ revoke: [{ serial, node: 'b', why: 'replaced' }] })
  t.deepEqual(a.online(), ['c'], 'without waiting for anything')
  await becomes('the witness has the list too', () => c.online().join() === 'a')
  t.is(a.named('link.refused')[0]!.code, 'NOT_A_MEMBER')
  t.regex(a.named('link.refused')[0]!.message!, /revoked \(replaced\)/)
  await becomes('b knows', () => b.membership.ownRefusal !== undefined && b.online().length === 0)
  const socket = await connectAs(b.membership, c)
  socket.resume()
  socket.write(encodeFrame(helloOf(b.membership)))
  await closed(socket)
  t.deepEqual(c.online(), ['a'])
  t.is(c.peers.list().find(({ node }) => node === 'b'), undefined)
})

test('a revoked node does not get back in with an older list', async (t) => {
  const [a, b] = await three(t)
  const older = b.membership.signed
  await a.membership.change({ revoke: a.membership.member('b')!.serials.map((serial) => ({ serial, node: 'b', why: 'left' as const })) })
  const socket = await connectAs(b.membership, a)
  socket.resume()
  socket.write(encodeFrame(helloOf(b.membership, { list: older })))
  await closed(socket)
  t.is(a.membership.member('b'), undefined)
  t.deepEqual(a.online(), ['c'])
})

test('a certificate of another realm of the same name is refused', async (t) => {
  const a = await startNode(t, 'a')
  const b = await startNode(t, 'b', { at: a, start: false })
  const stranger = await Membership.create({ folder: new RealmFolder(await temporary(t)), realm: 'home', node: 'b', host: '127.0.0.1', port: b.port, wallMs: Date.now() })
  await t.throwsAsync(connectAs(stranger, a), { code: 'NOT_A_MEMBER' }, 'it does not take a for one of its own')
  // One that does not care whom it talks to:
  const socket = await open({ host: '127.0.0.1', port: a.port, ...tlsOptions(stranger.credentials), rejectUnauthorized: false, ALPNProtocols: [ALPN.peer] }, 5_000, systemClock)
  socket.resume()
  socket.write(encodeFrame(helloOf(b.membership)))
  await closed(socket)
  t.like(a.named('link.refused')[0], { severity: 'warning', code: 'NOT_A_MEMBER' })
  t.regex(a.named('link.refused')[0]!.message!, /authority of this realm/)
  t.deepEqual(a.online(), [])
})

test('a member cannot speak in the name of another, nor send a list of its own', async (t) => {
  const a = await startNode(t, 'a')
  const { membership: rogue } = await startNode(t, 'r', { at: a, role: 'witness', start: false })
  const forged = { text: rogue.signed.text.replace('"witness"', '"full"'), signature: rogue.signed.signature }
  for (const more of [{ node: 'b' }, { node: 'a' }, { realm: 'away' }, { list: forged }]) {
    const before = a.named('link.refused').length
    const socket = await connectAs(rogue, a)
    socket.resume()
    socket.write(encodeFrame(helloOf(rogue, more)))
    await closed(socket)
    // Said once for the same reason.
    t.true(a.named('link.refused').length === before + 1, JSON.stringify(Object.keys(more)))
  }
  t.is(a.membership.member('r')!.role, 'witness')
})

test('strangers without a certificate get no further, and do not keep members out', async (t) => {
  const a = await startNode(t, 'a')
  const silent = await Promise.all(Array.from({ length: 40 }, () => open({ host: '127.0.0.1', port: a.port, rejectUnauthorized: false, ALPNProtocols: [ALPN.join], minVersion: 'TLSv1.3' }, 5_000, systemClock)))
  for (const socket of silent) socket.resume()
  t.teardown(() => { for (const socket of silent) socket.destroy() })
  const b = await startNode(t, 'b', { at: a })
  await becomes('b is linked all the same', () => a.online().includes('b') && b.online().includes('a'))
  await becomes('the oldest strangers had to go', () => silent.filter(({ destroyed }) => destroyed).length > 0)
  t.true(silent.filter(({ destroyed }) => !destroyed).length <= 32)
})
