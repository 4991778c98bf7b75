import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { readLog } from '../../../drivers/rover/testing.ts'
import { MtorError } from '../../contracts/errors.ts'
import { isFinal } from '../../contracts/events.ts'
import { TestEtcd } from '../../journal/etcd/harness.ts'
import { operator, rover, until, workNode, type WorkNode } from './testing.ts'

let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make(1) })
test.after.always(async () => { await etcd.dispose() })

/** Node a commands the rover, b and c do not. */
async function nodes(t: ExecutionContext): Promise<{ moved(): number; a: WorkNode; b: WorkNode; c: WorkNode }> {
  const realm = `s${randomUUID().slice(0, 8)}`
  const simulator = await rover(t, ['a'])
  const a = await workNode(t, etcd, 'a', { realm, line: simulator.lineOf('a') })
  const b = await workNode(t, etcd, 'b', { realm, at: a })
  const c = await workNode(t, etcd, 'c', { realm, at: a })
  await until(() => a.ownership.epochOf('rover') !== undefined && [a, b, c].every((one) => one.online().length === 2))
  return { moved: () => readLog(simulator.logFile).filter(({ fact }) => fact === 'execute').length, a, b, c }
}

const light = (at: WorkNode, parent?: string) => ({ ...at.service.envelope('light.set', { on: true }, { kind: 'cli' }), ...(parent === undefined ? {} : { parent }) })
const endOf = async (at: WorkNode, id: string) => { await until(async () => isFinal((await at.journal.get(id))?.state ?? '')); return (await at.journal.get(id))! }

test('no step of an intent that was stopped on one node is begun on another, wherever it is submitted', async (t) => {
  const { moved, a, b, c } = await nodes(t)
  // It runs on b until it is ended, as a patrol of a flow does.
  b.runs.set('timer.set', ({ signal }) => new Promise((_, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }) }))
  const whole = b.service.envelope('timer.set', { durationS: 60 }, { kind: 'cli' })
  t.true((await b.service.submit(whole, operator)).accepted)
  t.like(await b.service.run(light(b, whole.id), operator), { state: 'succeeded', node: 'a' }, 'a step is carried out before')
  b.dispatcher.cancel(({ id }) => id === whole.id, new MtorError('STOPPED', 'stopped (test)'))
  t.like(await endOf(b, whole.id), { state: 'aborted', final: { code: 'STOPPED' } })
  await until(() => [a, c].every(({ dispatcher }) => dispatcher.over(light(a, whole.id)) !== undefined))
  for (const at of [b, a, c]) t.like(await at.service.run(light(at, whole.id), operator), { state: 'aborted', code: 'STOPPED' }, at.node)
  t.is(moved(), 1)
})

test('what was stopped where it was accepted is not begun by a node that sees it only then', async (t) => {
  const { moved, a, c } = await nodes(t)
  const late = light(c)
  c.work.takenAway(late.id, new MtorError('STOPPED', 'stopped (test)'))
  await until(() => a.dispatcher.over(late) !== undefined)
  t.true((await c.service.submit(late, operator)).accepted)
  t.like(await endOf(c, late.id), { state: 'aborted', final: { code: 'STOPPED' } })
  t.is(moved(), 0)
})

test('a stop ends what another node has begun meanwhile', async (t) => {
  const { a, c } = await nodes(t)
  const move = c.service.envelope('drive.move', { distanceM: 5 }, { kind: 'cli' })
  t.true((await c.service.submit(move, operator)).accepted)
  await until(() => a.driver!.state().moving === true)
  c.stop.trigger('test')
  t.like(await endOf(c, move.id), { state: 'aborted', final: { code: 'STOPPED' } })
  await until(() => a.driver!.state().moving !== true)
  t.true((a.driver!.state() as { odometerM: number }).odometerM < 5, 'it stands before it is there')
})
