import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { readLog } from '../../../drivers/rover/testing.ts'
import { isFinal } from '../../contracts/events.ts'
import { CutProxy } from '../../journal/etcd/cut-proxy.ts'
import { TestEtcd } from '../../journal/etcd/harness.ts'
import { operator, rover, statesOf, until, workNode } from './testing.ts'

/** A node with a rover, in a realm whose etcd can be cut off. */
async function alone(t: ExecutionContext, standAloneDevices: string[] = []) {
  const etcd = await TestEtcd.make(1)
  t.teardown(() => etcd.dispose())
  const proxy = await CutProxy.to(etcd.endpoints[0]!)
  t.teardown(() => proxy.stop())
  const simulator = await rover(t, ['a'])
  const a = await workNode(t, etcd, 'a', { realm: `q${randomUUID().slice(0, 8)}`, line: simulator.lineOf('a'), mode: { standAloneDevices }, etcd: { etcd: { endpoints: [proxy.url] } } })
  await until(() => a.ownership.epochOf('rover') !== undefined)
  return { a, simulator, lose: () => { proxy.cut() }, find: () => { proxy.mend() }, executions: () => readLog(simulator.logFile).filter(({ fact }) => fact === 'execute') }
}

test.serial('without a majority nothing moves, harmless questions and the stop are served with a receipt that says so, and it is said aloud once each way', async (t) => {
  const { a, lose, find, executions } = await alone(t)
  lose()
  const light = () => a.service.submit(a.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator)
  const refused = await light()
  t.false(refused.accepted)
  t.true(['NO_QUORUM', 'JOURNAL_UNAVAILABLE'].includes(refused.code!))
  await light()
  const question = a.service.envelope('time.tell', {}, { kind: 'cli' })
  const receipt = await a.service.submit(question, operator)
  t.like(receipt, { accepted: true, durable: false })
  await until(() => statesOf(a, question.id).some(isFinal))
  const timer = await a.service.submit(a.service.envelope('timer.set', { durationS: 5 }, { kind: 'cli' }), operator)
  t.false(timer.accepted, 'what must not be done twice is not done without a record')
  t.like(await a.service.run(a.service.envelope('stop', {}, { kind: 'cli' }), operator), { state: 'succeeded' })
  await until(() => !a.ownership.mayCommand('rover'))
  t.is(a.named('journal.unavailable').filter(({ say }) => say !== undefined).length, 1)
  find()
  await until(() => a.named('journal.recovered').some(({ say }) => say !== undefined))
  await until(() => a.ownership.epochOf('rover') !== undefined)
  t.like(await a.service.run(a.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator), { state: 'succeeded' })
  t.is(executions().length, 1)
  await until(async () => (await a.journal.unfinished()).length === 0)
  t.is(statesOf(a, question.id).filter(isFinal).length, 1, 'what etcd may have got of it is ended without a second end')
})

test.serial('a motion that runs when the majority is lost is not commanded any more; its end is found out and written once it is back', async (t) => {
  const { a, lose, find, executions, simulator } = await alone(t)
  const moving = a.service.run(a.service.envelope('drive.move', { distanceM: 90 }, { kind: 'cli' }), operator)
  await until(() => executions().length === 1)
  lose()
  await until(() => !a.ownership.mayCommand('rover'))
  await until(() => readLog(simulator.logFile).some(({ fact, cause }) => fact === 'motion.stop' && cause === 'deadMan'))
  find()
  t.like(await moving, { state: 'failed', code: 'INTERRUPTED' })
  t.is(executions().length, 1)
})

test.serial('a device that the operator has named goes on under this node alone, with a journal of its own, and the realm takes it back with a newer epoch', async (t) => {
  const { a, lose, find, executions } = await alone(t, ['rover'])
  const light = async (on: boolean) => await a.service.run(a.service.envelope('light.set', { on }, { kind: 'cli' }), operator)
  await light(true)
  lose()
  await a.service.submit(a.service.envelope('light.set', { on: true }, { kind: 'cli' }), operator)
  await until(() => a.ownership.isAlone('rover'))
  const final = await light(false)
  t.is(final.state, 'succeeded')
  t.is((await a.journal.local.get(final.id))?.state, 'succeeded')
  find()
  await until(() => a.journal.hasQuorum && !a.ownership.isAlone('rover') && a.ownership.epochOf('rover') !== undefined)
  t.is((await light(true)).state, 'succeeded')
  const epochs = executions().map(({ epoch }) => epoch as number)
  t.is(epochs.length, 3)
  t.true(epochs[0]! < epochs[1]! && epochs[1]! < epochs[2]!)
})
