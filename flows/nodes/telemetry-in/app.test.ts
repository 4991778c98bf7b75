import test from 'ava'
import { connectAsync } from 'mqtt'
import { topics } from '../../../appliance/bus/testing.ts'
import { startFlows } from '../../lib/testing.ts'
import telemetryIn from './index.ts'

test('what other programs publish below app/ is sent with its value, topic and whole payload; other topics are not', async (t) => {
  const bench = await startFlows(t)
  await bench.load([telemetryIn], [
    { id: 'button', type: 'mtor-telemetry-in', realm: 'realm', source: 'app', appTopic: 'zigbee2mqtt/+', property: 'action', emit: 'every', wires: [['seen']] },
    { id: 'count', type: 'mtor-telemetry-in', realm: 'realm', source: 'app', appTopic: 'counter', emit: 'every', wires: [['text']] },
    { id: 'seen', type: 'helper' }, { id: 'text', type: 'helper' },
  ])
  const program = await connectAsync(`mqtt://127.0.0.1:${bench.port}`)
  t.teardown(() => program.endAsync(true))
  // Retained, so that it does not matter which of the two connections is first.
  await program.publishAsync(`${topics.root}/app/zigbee2mqtt/kitchen/availability`, 'online', { retain: true, qos: 1 })
  await program.publishAsync(`${topics.root}/app/zigbee2mqtt/kitchen`, '{"action":"single","battery":90}', { retain: true, qos: 1 })
  t.like(await bench.next('seen'), { topic: 'zigbee2mqtt/kitchen/action', payload: 'single', state: { action: 'single', battery: 90 } })
  const text = bench.next('text')
  await program.publishAsync(`${topics.root}/app/counter`, 'twelve', { retain: true, qos: 1 })
  t.like(await text, { topic: 'counter', payload: { value: 'twelve' } })
})
