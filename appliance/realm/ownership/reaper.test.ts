import { createServer, type AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { freePort } from '../../contracts/free-port.ts'
import { systemClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { Hub } from '../../contracts/hub.ts'
import type { PeerInfo } from '../peers/port.ts'
import { becomes } from '../testing.ts'
import { Reaper } from './reaper.ts'

/** A reaper that sees one other node, `b`, at a real port; its lease is taken when the answers of `expel` allow it. */
async function reaper(t: ExecutionContext, { listens = false, refusedTimes = 0 } = {}) {
  const server = createServer((socket) => { socket.on('error', () => {}) })
  let port = await freePort()
  if (listens) {
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
    port = (server.address() as AddressInfo).port
    t.teardown(() => { server.close() })
  }
  const peer: PeerInfo = { node: 'b', online: true, role: 'full', address: `127.0.0.1:${port}`, version: '0.1.0', protocol: 1, instance: undefined, lastHeardMs: 0 }
  const hub = new Hub(systemClock, 'a')
  const events: string[] = []
  hub.onSystem(({ name }) => { events.push(name) })
  let tell = () => {}
  let tries = 0
  const one = new Reaper({
    clock: systemClock, hub, peers: { list: () => [peer], onChange: (listener) => { tell = listener; return () => { tell = () => {} } } },
    expel: async () => { tries += 1; if (tries <= refusedTimes) throw new MtorError('NO_QUORUM', 'no leader') },
  })
  one.start()
  t.teardown(() => { one.stop() })
  const change = (online: boolean, offline?: string) => { Object.assign(peer, { online, offline }); tell() }
  return { change, events, close: () => { server.close() }, tries: () => tries, has: (name: string) => events.includes(name) }
}

test('a node whose link has closed and at whose port nobody listens loses its lease', async (t) => {
  const { change, has, tries } = await reaper(t)
  change(false, 'closed')
  await becomes('it is expelled', () => has('node.dead'))
  t.is(tries(), 1)
})

test('a node that led the realm is expelled as soon as there is another leader', async (t) => {
  const { change, has, tries } = await reaper(t, { refusedTimes: 3 })
  change(false, 'closed')
  await becomes('it is expelled', () => has('node.dead'))
  t.is(tries(), 4)
})

test('a killed node that first counts as silent is expelled too', async (t) => {
  const { change, has, tries } = await reaper(t)
  change(false, 'silent')
  await becomes('it is expelled', () => has('node.dead'))
  t.is(tries(), 1)
})

test('a process that is stopped still listens: its lease is left to run out', async (t) => {
  const { change, events, tries } = await reaper(t, { listens: true })
  change(false, 'silent')
  await new Promise((done) => setTimeout(done, 400))
  t.is(tries(), 0)
  t.deepEqual(events, [])
})

test('a node that is still closing its port when it is first asked is expelled when it has', async (t) => {
  const { change, has, close } = await reaper(t, { listens: true })
  change(false, 'closed')
  await new Promise((done) => setTimeout(done, 50))
  t.false(has('node.dead'))
  close()
  await becomes('it is expelled', () => has('node.dead'))
})

test('one that is online again meanwhile keeps its lease', async (t) => {
  const { change, has, tries } = await reaper(t, { refusedTimes: Infinity })
  change(false, 'closed')
  await becomes('it was tried', () => tries() > 0)
  change(true)
  const before = tries()
  await new Promise((done) => setTimeout(done, 300))
  t.true(tries() <= before + 1)
  t.false(has('node.dead'))
})

test('a node that was ended in order has given its lease back itself', async (t) => {
  const { change, tries } = await reaper(t)
  change(false, 'stopped')
  await new Promise((done) => setTimeout(done, 300))
  t.is(tries(), 0)
})
