import test from 'ava'
import { becomes } from '../../inference/supervisor/testing.ts'
import { realmOf, WAIT_MS, type WorkerNode } from './testing.ts'

const isAtIt = async (node: WorkerNode): Promise<void> => { await becomes('its worker is busy', () => node.bench.supervisor.status().workers.some(({ state }) => state === 'busy')) }

test('what can be done here at once is done here', async (t) => {
  const { a } = await realmOf(t, { a: {}, b: {} })
  for (let i = 0; i < 3; i++) t.like(await a!.say('say here'), { node: 'a', output: { text: 'here' } })
})

test('a node without any model uses those of another: the file goes along, and nothing of it stays there', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, w: { role: 'witness', hasModel: false } })
  const answer = await w!.say('say from afar')
  t.like(answer, { node: 'a', model: 'talker', version: '1', provider: 'cpu', output: { text: 'from afar', lines: [] } })
  t.is(answer.proof!.index, 0)
  t.deepEqual(await a!.kept(), [])
  t.is(w!.bench.supervisor.status().workers.length, 0)
})

test('a busy node gives what comes meanwhile to another, whose answer is quicker than the wait', async (t) => {
  const { a } = await realmOf(t, { a: {}, b: {} })
  const first = a!.say('sleep 1500 slow')
  await isAtIt(a!)
  const [second, third] = [await a!.say('say quick'), await first]
  t.is(second.node, 'b')
  t.is(third.node, 'a')
})

test('what is not loaded here is asked elsewhere, and loaded here meanwhile', async (t) => {
  const { a } = await realmOf(t, { a: { isWarm: false }, b: {} })
  t.is((await a!.say('say x')).node, 'b')
  await becomes('it is loaded here', () => a!.bench.supervisor.status().models[0]!.state === 'ready')
  await becomes('it is used here', () => a!.health().models[0]!.score > 50)
  t.is((await a!.say('say x')).node, 'a')
})

test('what is wrong with the input is told, and not tried on every node; the node stays in use', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, b: {}, w: { role: 'witness', hasModel: false } })
  await t.throwsAsync(w!.say('refuse'), { code: 'IMAGE_INVALID' })
  t.deepEqual(w!.inference.seen('talker').sort(), ['a', 'b'])
  t.is(a!.bench.supervisor.faults().length, 0)
})

test('an input that cannot be read, or does not fit on a link, goes nowhere', async (t) => {
  const { w } = await realmOf(t, { a: {}, w: { role: 'witness', hasModel: false } })
  await t.throwsAsync(w!.inference.run('read', 'talker', { image: '/nowhere/at/all.jpg' }, { deadlineMs: WAIT_MS }), { code: 'IMAGE_INVALID' })
  await t.throwsAsync(w!.say('x'.repeat(9 * 1024 * 1024)), { code: 'TOO_LARGE' })
  t.deepEqual(w!.inference.seen('talker'), ['a'])
})

test('where an input does not fit on a link it is run here, though here is busy', async (t) => {
  const { a } = await realmOf(t, { a: {}, b: {} })
  const first = a!.say('sleep 300 slow')
  await isAtIt(a!)
  t.is((await a!.say(`say ${'x'.repeat(9 * 1024 * 1024)}`)).node, 'a')
  await first
})

test('a deadline holds wherever the work is done', async (t) => {
  const { w } = await realmOf(t, { a: {}, w: { role: 'witness', hasModel: false } })
  await t.throwsAsync(w!.say('sleep 5000 late', { deadlineMs: 150 }), { code: 'DEADLINE' })
  // Nobody could have done it in that time: the node is not to blame.
  t.deepEqual(w!.inference.seen('talker'), ['a'])
})

test('who aborts is answered at once, and the other node drops the request', async (t) => {
  const { a, w } = await realmOf(t, { a: {}, w: { role: 'witness', hasModel: false } })
  const controller = new AbortController()
  const asked = w!.say('sleep 60000 never', { signal: controller.signal })
  await becomes('it runs there', () => a!.serving() === 1)
  controller.abort()
  await t.throwsAsync(asked, { code: 'CANCELLED' })
  await becomes('it is dropped there', () => a!.serving() === 0)
  t.deepEqual(w!.inference.seen('talker'), ['a'])
})

test('nobody has it: the code is that of a node alone', async (t) => {
  const { a } = await realmOf(t, { a: {}, b: {} })
  await t.throwsAsync(a!.inference.run('read', 'nothing', { image: 'x' }, { deadlineMs: WAIT_MS }), { code: 'NOT_FOUND' })
})

test('a model of the same name that is another is not used', async (t) => {
  const { a, b } = await realmOf(t, { a: {}, b: { options: { other: true }, isOther: true }, w: { role: 'witness', hasModel: false } })
  await becomes('both have heard of each other', () => b!.inference.seen('talker').length === 0 && a!.online().length === 2)
  t.deepEqual(a!.inference.seen('talker'), [])
  const first = a!.say('sleep 200 slow')
  await isAtIt(a!)
  t.is((await a!.say('say it')).node, 'a')
  await first
})

test('a node without the model takes it in the version that is offered, though its own appliance came with another', async (t) => {
  const { w } = await realmOf(t, { a: { manifest: { version: '2' } }, w: { role: 'witness', hasModel: false } })
  t.like(await w!.say('say newer'), { node: 'a', version: '2', output: { text: 'newer' } })
})
