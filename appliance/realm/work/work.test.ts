import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { systemClock as clock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { isFinal } from '../../contracts/events.ts'
import { readLog } from '../../../drivers/rover/testing.ts'
import { RoverDriver } from '../../../drivers/rover/index.ts'
import { TestEtcd } from '../../journal/etcd/harness.ts'
import { EtcdJournal } from '../../journal/etcd/index.ts'
import { registryKeys } from '../ownership/registry.ts'
import { OwnerStore } from '../ownership/store.ts'
import { operator, rover, statesOf, until, workNode, type WorkNode } from './testing.ts'

let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make(1) })
test.after.always(async () => { await etcd.dispose() })

const realmName = () => `w${randomUUID().slice(0, 8)}`
const executions = (simulator: { logFile: string }) => readLog(simulator.logFile).filter(({ fact }) => fact === 'execute')

/** Two nodes with a line each to one rover, and a third without; the first commands it. */
async function nodes(t: ExecutionContext): Promise<{ simulator: Awaited<ReturnType<typeof rover>>; a: WorkNode; b: WorkNode; c: WorkNode }> {
  const realm = realmName()
  const simulator = await rover(t, ['a', 'b'])
  const a = await workNode(t, etcd, 'a', { realm, line: simulator.lineOf('a') })
  await until(() => a.ownership.epochOf('rover') !== undefined)
  const b = await workNode(t, etcd, 'b', { realm, line: simulator.lineOf('b'), at: a })
  const c = await workNode(t, etcd, 'c', { realm, at: a })
  await until(() => b.driver!.connected && [a, b, c].every((one) => one.online().length === 2))
  return { simulator, a, b, c }
}

/** A node that was, without its processes: a journal, and if need be a line. */
async function former(t: ExecutionContext, realm: string, node: string) {
  const journal = new EtcdJournal(etcd.options({ realm, node }))
  await journal.start()
  t.teardown(() => journal.stop())
  const boot = await journal.boot(`boot of ${node}`)
  return { journal, boot }
}

test('an intent is carried out once by the node that commands its device, whichever node accepted it, and that node hears the end', async (t) => {
  const { simulator, a, b, c } = await nodes(t)
  for (const at of [b, c, a]) {
    const envelope = at.service.envelope('light.set', { on: true }, { kind: 'cli' })
    const final = await at.service.run(envelope, operator)
    t.is(final.state, 'succeeded')
    t.is(final.node, 'a')
    t.is(statesOf(at, envelope.id).filter(isFinal).length, 1)
  }
  t.deepEqual(executions(simulator).map(({ line, epoch }) => [line, epoch]), [['a', 1], ['a', 1], ['a', 1]])
  t.is(b.work.waiting + c.work.waiting, 0)
})

test('what needs no device is done where it was accepted', async (t) => {
  const { b, c } = await nodes(t)
  for (const at of [b, c]) t.is((await at.service.run(at.service.envelope('time.tell', {}, { kind: 'cli' }), operator)).say, `Done by ${at.node}.`)
})

test('the same intent given to two nodes is accepted once and carried out once; the other says that it is a duplicate', async (t) => {
  const { simulator, a, b } = await nodes(t)
  const envelope = b.service.envelope('light.set', { on: true }, { kind: 'cli' })
  const receipts = await Promise.all([a, b].map((at) => at.service.submit(envelope, operator)))
  t.true(receipts.every(({ accepted }) => accepted))
  t.is(receipts.filter(({ duplicate }) => duplicate).length, 1)
  await until(async () => (await a.journal.get(envelope.id))?.state === 'succeeded')
  t.true((await b.service.submit(envelope, operator)).duplicate)
  t.is(executions(simulator).length, 1)
})

test('when the commanding node goes the other takes over with a newer epoch, and what was accepted meanwhile is carried out', async (t) => {
  const { simulator, a, b, c } = await nodes(t)
  await a.end()
  const final = await c.service.run(c.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator)
  t.is(final.state, 'succeeded')
  t.is(final.node, 'b')
  t.deepEqual(executions(simulator).map(({ line, epoch }) => [line, epoch]), [['b', 2]])
  t.is(b.ownership.owner('rover')?.epoch, 2)
})

test('what a lost node had begun is judged by one of the others: asked of the device, done again where that is harmless, else ended', async (t) => {
  const realm = realmName()
  const simulator = await rover(t, ['lost', 'b'])
  // A node that commands the rover, with nothing of it but its journal and its line.
  const lost = await former(t, realm, 'lost')
  const { owner } = await new OwnerStore(lost.journal.client, registryKeys(realm), realm).change('rover', 0, { node: 'lost', lease: lost.journal.lease.id! })
  const driver = new RoverDriver({ id: 'rover', port: simulator.lineOf('lost'), clock })
  t.teardown(() => driver.stop())
  await driver.start()
  await driver.takeCommand(owner!.epoch)
  const b = await workNode(t, etcd, 'b', { realm, line: simulator.lineOf('b') })
  const c = await workNode(t, etcd, 'c', { realm, at: b })
  const accept = async (type: string, slots: Record<string, unknown>) => {
    const envelope = b.service.envelope(type, slots, { kind: 'cli' })
    await lost.journal.accept({ envelope, client: 'test', acceptedAt: { boot: lost.boot, mono: clock.monoMs(), wall: Date.now() } })
    return envelope.id
  }
  const [moved, never, fresh] = [await accept('drive.move', { distanceM: 0.3 }), await accept('light.set', { on: true }), await accept('light.set', { on: false })]
  const [told, timed, waiting] = [await accept('time.tell', {}), await accept('timer.set', { durationS: 5 }), await accept('time.tell', {})]
  const ticket = (await lost.journal.claim(moved, { node: 'lost', device: 'rover', epoch: owner!.epoch }))!.ticket!
  await lost.journal.claim(never, { node: 'lost', device: 'rover', epoch: owner!.epoch })
  await lost.journal.claim(told, { node: 'lost' })
  await lost.journal.claim(timed, { node: 'lost' })
  await driver.execute('move', { distanceM: 0.3 }, { intentId: moved, ticket, signal: new AbortController().signal, onProgress() {} })
  t.deepEqual((await b.journal.unfinished()).map(({ state }) => state), ['claimed', 'claimed', 'accepted', 'claimed', 'claimed', 'accepted'], 'while it lives nobody touches its work')
  await driver.stop()
  await lost.journal.stop()
  const ends = async (id: string) => { await until(async () => isFinal((await c.journal.get(id))?.state ?? '')); return (await c.journal.get(id))! }
  t.like(await ends(moved), { state: 'succeeded', final: { message: 'it was done while the box restarted' } })
  t.is((await ends(never)).state, 'succeeded', 'the device says that it had never received it')
  t.is((await ends(fresh)).state, 'succeeded')
  t.is((await ends(told)).state, 'succeeded')
  t.like(await ends(timed), { state: 'failed', final: { code: 'INTERRUPTED' }, deadLetter: true })
  t.is((await ends(waiting)).state, 'succeeded')
  t.deepEqual(executions(simulator).map(({ line, intentId }) => [line, intentId]).sort(), [['lost', moved], ['b', never], ['b', fresh]].sort())
  for (const id of [moved, never, fresh, told, timed, waiting]) t.is([...statesOf(b, id), ...statesOf(c, id)].filter(isFinal).length, 1, 'one node tells the end')
})

test('an actuation of a lost node whose age nobody can tell is expired, a query is answered', async (t) => {
  const realm = realmName()
  const lost = await former(t, realm, 'lost')
  const simulator = await rover(t, ['a'])
  const accept = async (envelope: ReturnType<WorkNode['service']['envelope']>) => { await lost.journal.accept({ envelope, client: 'test', acceptedAt: { boot: lost.boot, mono: 1 } }) }
  const maker = await workNode(t, etcd, 'maker', { realm: realmName() })
  const [move, query] = [maker.service.envelope('drive.move', { distanceM: 1 }, { kind: 'cli' }), maker.service.envelope('time.tell', {}, { kind: 'cli' })]
  await accept(move)
  await accept(query)
  await lost.journal.stop()
  const a = await workNode(t, etcd, 'a', { realm, line: simulator.lineOf('a') })
  await until(async () => isFinal((await a.journal.get(move.id))?.state ?? '') && isFinal((await a.journal.get(query.id))?.state ?? ''))
  t.like(await a.journal.get(move.id), { state: 'expired', final: { code: 'EXPIRED' } })
  t.is((await a.journal.get(query.id))?.state, 'succeeded')
  t.deepEqual(executions(simulator), [])
})

test('a device whose only node is lost is answered DEVICE_UNREACHABLE, with device and node; before that the node may come back', async (t) => {
  const realm = realmName()
  const simulator = await rover(t, ['a'])
  const a = await workNode(t, etcd, 'a', { realm, line: simulator.lineOf('a') })
  const b = await workNode(t, etcd, 'b', { realm, at: a, mode: { unreachableMs: 600 } })
  await until(() => a.ownership.epochOf('rover') !== undefined && b.ownership.has('rover'))
  await a.end()
  const final = await b.service.run(b.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator)
  t.like(final, { state: 'failed', code: 'DEVICE_UNREACHABLE' })
  t.regex(final.message!, /rover is wired to a alone, and that node is lost/)
  t.deepEqual(final.data, { device: 'rover', nodes: ['a'] })
})

test('what no node could begin in time expires, once, and nothing of it is left', async (t) => {
  const realm = realmName()
  const simulator = await rover(t, ['a'])
  const a = await workNode(t, etcd, 'a', { realm, line: simulator.lineOf('a') })
  const b = await workNode(t, etcd, 'b', { realm, at: a, mode: { unreachableMs: 60_000 } })
  await until(() => a.ownership.epochOf('rover') !== undefined && b.ownership.has('rover'))
  await a.end()
  const envelope = b.service.envelope('light.set', { on: true }, { kind: 'cli' }, { ttlMs: 300 })
  t.like(await b.service.run(envelope, operator), { state: 'expired', code: 'EXPIRED' })
  t.is(b.work.waiting, 0)
  t.is((await b.journal.unfinished()).length, 0)
})

test('who submitted it can cancel what another node does, and a stop ends what no node has begun yet', async (t) => {
  const { a, b, simulator } = await nodes(t)
  const abort = new AbortController()
  const moving = b.service.run(b.service.envelope('drive.move', { distanceM: 50 }, { kind: 'cli' }), operator, abort.signal)
  await until(() => executions(simulator).length === 1)
  abort.abort(new MtorError('CANCELLED', 'not wanted any more'))
  t.like(await moving, { state: 'aborted', code: 'CANCELLED', node: 'a' })
  await a.end()
  const waiting = b.service.run(b.service.envelope('drive.move', { distanceM: 50 }, { kind: 'cli' }), operator)
  await until(() => b.work.waiting === 1 || b.ownership.epochOf('rover') !== undefined)
  b.stop.trigger('test')
  t.like(await waiting, { state: 'aborted', code: 'STOPPED' })
})

test('a planned hand-over waits for what runs, loses nothing that is accepted meanwhile, and works from any node', async (t) => {
  const { simulator, a, c } = await nodes(t)
  const running = c.service.run(c.service.envelope('drive.move', { distanceM: 1 }, { kind: 'cli' }), operator)
  await until(() => executions(simulator).length === 1)
  const moved = c.ownership.move('rover', 'b', 'wait')
  await until(() => a.ownership.epochOf('rover') === undefined)
  const next = a.service.run(a.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator)
  t.like(await running, { state: 'succeeded', node: 'a' })
  t.like(await moved, { from: 'a', to: 'b', epoch: 2 })
  t.like(await next, { state: 'succeeded', node: 'b' })
  t.deepEqual(executions(simulator).map(({ line, epoch }) => [line, epoch]), [['a', 1], ['b', 2]])
  await t.throwsAsync(c.ownership.move('rover', 'c', 'wait'), { instanceOf: MtorError, code: 'NOT_FOUND' })
  await t.throwsAsync(c.ownership.move('rover', 'b', 'wait'), { instanceOf: MtorError, code: 'USAGE' })
})

test('a dead line gives the device to the node whose line works', async (t) => {
  const { simulator, a, b, c } = await nodes(t)
  await simulator.control({ do: 'unplug', cable: 0 })
  await until(() => b.ownership.epochOf('rover') !== undefined)
  t.is(a.ownership.epochOf('rover'), undefined)
  t.like(await c.service.run(c.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator), { state: 'succeeded', node: 'b' })
  t.is(a.named('device.yielded').length, 1)
})

test('a node whose lease was taken from it commands nothing from that moment on, and stands by for the one that has the device', async (t) => {
  const { simulator, a, b } = await nodes(t)
  const { epoch } = a.ownership.owner('rover')!
  await until(() => b.journal.etcd!.nodes.has('a'))
  await b.journal.etcd!.expel('a')
  await until(() => b.ownership.epochOf('rover') !== undefined)
  await until(() => !a.ownership.mayCommand('rover'))
  const refused = await t.throwsAsync(a.driver!.execute('light', { fraction: 1 }, { intentId: randomUUID(), ticket: { device: 'rover', epoch, sequence: 99 }, signal: new AbortController().signal, onProgress() {} }), { instanceOf: MtorError })
  t.is(refused?.code, 'STALE_EPOCH')
  t.like(await a.service.run(a.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator), { state: 'succeeded', node: 'b' })
  t.true(executions(simulator).every((fact) => fact.line === 'b'))
})

test('a device that remembers a newer epoch than the realm is given a newer one still', async (t) => {
  const realm = realmName()
  const simulator = await rover(t, ['a', 'stranger'])
  const before = new RoverDriver({ id: 'rover', port: simulator.lineOf('a'), clock })
  await before.start()
  await before.takeCommand(40)
  await before.stop()
  const a = await workNode(t, etcd, 'a', { realm, line: simulator.lineOf('a') })
  t.like(await a.service.run(a.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator), { state: 'succeeded' })
  t.true(a.ownership.owner('rover')!.epoch > 40)
  const stranger = new RoverDriver({ id: 'rover', port: simulator.lineOf('stranger'), clock })
  await stranger.start()
  await stranger.takeCommand(90)
  await stranger.stop()
  await until(() => (a.ownership.epochOf('rover') ?? 0) > 90)
  t.like(await a.service.run(a.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator), { state: 'succeeded' })
})

test('a node that starts again while another commands its device finds out what became of what its former life had begun', async (t) => {
  const realm = realmName()
  const simulator = await rover(t, ['a', 'b'])
  const before = await former(t, realm, 'a')
  const store = new OwnerStore(before.journal.client, registryKeys(realm), realm)
  const { owner } = await store.change('rover', 0, { node: 'a', lease: before.journal.lease.id! })
  const driver = new RoverDriver({ id: 'rover', port: simulator.lineOf('a'), clock })
  await driver.start()
  await driver.takeCommand(owner!.epoch)
  const b = await workNode(t, etcd, 'b', { realm, line: simulator.lineOf('b') })
  await until(() => b.driver!.connected && b.ownership.owner('rover')?.node === 'a')
  const begin = async (type: string, slots: Record<string, unknown>) => {
    const envelope = b.service.envelope(type, slots, { kind: 'cli' }, { ttlMs: 120_000 })
    await before.journal.accept({ envelope, client: 'test', acceptedAt: { boot: before.boot, mono: clock.monoMs(), wall: Date.now() } })
    return { id: envelope.id, ticket: (await before.journal.claim(envelope.id, { node: 'a', device: 'rover', epoch: owner!.epoch }))!.ticket! }
  }
  const [done, never] = [await begin('drive.move', { distanceM: 0.2 }), await begin('drive.move', { distanceM: 0.4 })]
  await driver.execute('move', { distanceM: 0.2 }, { intentId: done.id, ticket: done.ticket, signal: new AbortController().signal, onProgress() {} })
  // The device goes to b while a is, for all that etcd knows, alive.
  driver.standBy()
  await store.change('rover', owner!.revision, { node: 'b', lease: b.journal.etcd!.lease.id! })
  await until(() => b.ownership.epochOf('rover') !== undefined)
  await driver.stop()
  t.is((await b.journal.get(done.id))?.state, 'claimed', 'of a node that lives it is that node’s to end')
  const a = await workNode(t, etcd, 'a', { realm, line: simulator.lineOf('a'), at: b })
  const ends = async (id: string) => { await until(async () => isFinal((await a.journal.get(id))?.state ?? '')); return (await a.journal.get(id))! }
  t.is((await ends(done.id)).state, 'succeeded')
  t.like(await ends(never.id), { state: 'failed', final: { code: 'INTERRUPTED' }, deadLetter: true })
  t.is(executions(simulator).length, 1)
})
