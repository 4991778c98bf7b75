import test from 'ava'
import { becomes } from '../testing.ts'
import { app, heard, threeBuses, topics } from './testing.ts'

test('what a client publishes at one node reaches the subscribers of all nodes once, in order', async (t) => {
  const nodes = await threeBuses(t)
  const [a] = nodes
  const subscribers = await Promise.all(nodes.map(async (node) => heard(await node.client(), app('#'))))
  const publisher = await a.client()
  const sent = Array.from({ length: 500 }, (_, i) => String(i))
  for (const text of sent) publisher.publish(app('x'), text, { qos: 1 })
  await publisher.publishAsync(app('last'), 'last', { qos: 1 })
  await becomes('all have the last', () => subscribers.every((one) => one.got.some(({ topic }) => topic === app('last'))))
  for (const one of subscribers) t.deepEqual(one.texts(app('x')), sent)
})
