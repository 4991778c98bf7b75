import test from 'ava'
import { startFlows } from '../../lib/testing.ts'
import say from './index.ts'

const tab = { id: 'tab', type: 'tab', label: 'test' }
const nodes = [{ id: 'said', z: 'tab', type: 'helper' }, { id: 'catcher', z: 'tab', type: 'catch', scope: ['say'], wires: [['caught']] }, { id: 'caught', z: 'tab', type: 'helper' }]

test.serial('the text is said, and the message goes on as it was', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded' }))
  await bench.load([say], [tab, { id: 'say', z: 'tab', type: 'mtor-say', realm: 'realm', text: 'payload', textType: 'msg', interrupt: true, wires: [['said']] }, ...nodes])
  await bench.connected()
  const said = bench.next('said')
  bench.helper.getNode('say').receive({ payload: 'Good morning.', kept: 1 })
  t.like(await said, { payload: 'Good morning.', kept: 1 })
  t.like(bench.submitted[0]!.envelope, { type: 'speech.say', slots: { text: 'Good morning.', interrupt: true } })
})

test.serial('nothing to say is an error, not silence', async (t) => {
  const bench = await startFlows(t)
  await bench.load([say], [tab, { id: 'say', z: 'tab', type: 'mtor-say', realm: 'realm', text: 'payload', textType: 'msg', wires: [['said']] }, ...nodes])
  await bench.connected()
  const caught = bench.next('caught')
  bench.helper.getNode('say').receive({ payload: ' ' })
  t.like((await caught).error, { code: 'INVALID_SLOTS' })
  t.deepEqual(bench.submitted, [])
})
