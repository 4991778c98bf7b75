import test from 'ava'
import { envelope, startBus, topics } from '../../appliance/bus/testing.ts'
import { passThrough, submissions } from './load.ts'

for (const qos of [0, 1] as const) test(`the load with QoS ${qos} counts what has come back, from several clients`, async (t) => {
  const b = await startBus(t)
  t.true(await passThrough(b.port, topics.root, 3, qos, 1_500) > 0)
})

test('what the broker does not deliver is not counted', async (t) => {
  const b = await startBus(t, { anonymousRole: 'observer' })
  t.is(await passThrough(b.port, topics.root, 2, 1, 100), 0)
})

test('every acknowledged submission is counted with its latency and its receipt', async (t) => {
  const b = await startBus(t)
  const { latenciesMs, receipts, perSecond } = await submissions(b.port, topics.root, 4, 16, 100, () => envelope(b.hub))
  t.true(perSecond > 0)
  t.is(latenciesMs.length, b.submitted.length)
  t.is(receipts, b.submitted.length)
})
