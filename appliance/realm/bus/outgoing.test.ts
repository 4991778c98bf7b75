import test from 'ava'
import fc from 'fast-check'
import type { Item } from '../../bus/mesh/index.ts'
import { decodeItems, encodeItems } from './items.ts'
import { Outgoing, WINDOW_BYTES } from './outgoing.ts'

const publish = (topic: string, { qos = 1, retain = false, bytes = 10 }: { qos?: 0 | 1 | 2; retain?: boolean; bytes?: number } = {}): Item => ({ kind: 'publish', version: { t: 1, n: 'a' }, topic, payload: Buffer.alloc(bytes, 0x61), qos, retain })
const topicsOf = (items: readonly Item[]) => items.map((item) => item.kind === 'publish' ? item.topic : item.kind)
const drain = (queue: Outgoing) => {
  const topics: string[] = []
  for (let batch = queue.next(); batch; batch = queue.next()) { topics.push(...topicsOf(batch.items)); queue.acknowledge(batch.seq + batch.items.length - 1) }
  return topics
}

test('everything is sent in order, in batches, and no more than the window unacknowledged', (t) => {
  const queue = new Outgoing(64 * 1024 * 1024)
  const sent = Array.from({ length: 2_000 }, (_, i) => `x/${i}`)
  for (const topic of sent) queue.push(publish(topic, { bytes: 1_000 }), 0)
  let count = 0
  for (let batch = queue.next(); batch; batch = queue.next()) count += batch.items.length
  t.true(count * 1_000 > WINDOW_BYTES / 2 && count * 1_000 < WINDOW_BYTES + 40_000, `${count} messages`)
  t.deepEqual(queue.again().flatMap(({ items }) => topicsOf(items)), sent.slice(0, count))
  queue.acknowledge(count)
  t.deepEqual(drain(queue), sent.slice(count))
})

test('when it is full the oldest of QoS 0 goes first, then the oldest of QoS 1, and states are owed', (t) => {
  const queue = new Outgoing(20_000)
  for (let i = 0; i < 5; i++) queue.push(publish(`one/${i}`, { bytes: 1_000 }), 0)
  for (let i = 0; i < 30; i++) queue.push(publish(`nil/${i}`, { qos: 0, bytes: 1_000 }), 0)
  t.true(queue.bytes <= 20_000)
  t.true(queue.takeDropped() > 0)
  t.false(queue.isIncomplete)
  const left = drain(queue)
  t.deepEqual(left.filter((topic) => topic.startsWith('one')), ['one/0', 'one/1', 'one/2', 'one/3', 'one/4'])
  t.is(left.at(-1), 'nil/29', 'the oldest went')
  t.false(left.includes('nil/0'))
  for (let i = 0; i < 12; i++) queue.push(publish(`state/${i}`, { retain: true, bytes: 1_000 }), 0)
  for (let i = 0; i < 9; i++) queue.push(publish(`one/${i}`, { bytes: 1_000 }), 0)
  t.false(queue.isIncomplete)
  const states = drain(queue)
  t.is(states.filter((topic) => topic.startsWith('state')).length, 12)
  t.false(states.includes('one/0'))
  t.true(states.includes('one/8'))
  for (let i = 0; i < 40; i++) queue.push(publish(`state/${i}`, { retain: true, bytes: 1_000 }), 0)
  t.true(queue.isIncomplete, 'they are told anew')
})

test('for a node that is away QoS 0 is not kept, QoS 1 is for a minute', (t) => {
  const queue = new Outgoing(1_000_000)
  queue.push(publish('nil', { qos: 0 }), 0, true)
  queue.push(publish('old'), 0, true)
  queue.push(publish('state', { retain: true }), 0, true)
  queue.push(publish('young'), 50_000, true)
  queue.expire(61_000)
  t.deepEqual(drain(queue), ['state', 'young'])
  t.is(queue.takeDropped(), 2)
})

test('what was not acknowledged is sent again under the same number; a node that knows nothing gets it under a new one, states around it', (t) => {
  const queue = new Outgoing(1_000_000)
  for (const topic of ['x/1', 'x/2', 'x/3']) queue.push(publish(topic), 0)
  t.is(queue.next()!.seq, 1)
  t.true(queue.acknowledge(1))
  t.deepEqual(queue.again().map(({ seq, items }) => [seq, topicsOf(items)]), [[2, ['x/2', 'x/3']]])
  t.false(queue.acknowledge(0), 'what came before is gone')
  t.false(queue.acknowledge(9), 'that was never sent')
  queue.restart()
  queue.putSnapshot({ clients: [{ kind: 'acknowledged', client: 'c', ids: [] }], retained: [publish('state', { retain: true })] }, 0)
  const batch = queue.next()!
  t.is(batch.seq, 1)
  t.deepEqual(topicsOf(batch.items), ['acknowledged', 'x/2', 'x/3', 'state'])
})

const version = fc.record({ t: fc.integer({ min: 0, max: 2 ** 50 }), n: fc.constantFrom('a', 'b-2') })
const topic = fc.stringMatching(/^[a-z/]{1,30}$/)
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const)
const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ kind: fc.constant('publish' as const), version, topic, payload, qos, retain: fc.boolean(), identity: fc.constantFrom({ client: 'x', role: 'flow' as const, kind: 'flow' as const }, { client: 'y', role: 'operator' as const, kind: 'mqtt' as const }) }),
  fc.record({ kind: fc.constant('publish' as const), version, topic, payload, qos, retain: fc.boolean() }),
  fc.record({ kind: fc.constant('queued' as const), version, topic, payload, qos, client: fc.stringMatching(/^[a-z]{1,10}$/) }),
  fc.record({ kind: fc.constant('acknowledged' as const), client: fc.stringMatching(/^[a-z]{1,10}$/), ids: fc.array(fc.stringMatching(/^[a-z0-9.]{1,20}$/), { maxLength: 5 }) }),
)

test('items arrive as they were sent, by way of JSON and bytes', (t) => {
  fc.assert(fc.property(fc.array(item, { maxLength: 20 }), (items) => {
    const { bytes, ...rest } = encodeItems('a', items)
    t.deepEqual(decodeItems('a', { ...JSON.parse(JSON.stringify(rest)) as { items: unknown[]; who: unknown }, bytes }), items)
  }))
})

test('whatever a node sends is items, or malformed, and never harms more than itself', (t) => {
  const tuples = fc.array(fc.oneof(fc.array(fc.oneof(fc.constantFrom('p', 'q', 'a', 'c', 'z', ''), fc.integer(), fc.double(), fc.string(), fc.constant(null), fc.array(fc.string()), fc.object()), { maxLength: 9 }), fc.anything()), { maxLength: 5 })
  fc.assert(fc.property(tuples, fc.anything(), fc.uint8Array({ maxLength: 50 }), (items, who, bytes) => {
    try { t.is(decodeItems('a', { items, who, bytes }).length, items.length) } catch (error) { t.is((error as { code?: string }).code, 'MALFORMED') }
  }), { numRuns: 2_000 })
})
