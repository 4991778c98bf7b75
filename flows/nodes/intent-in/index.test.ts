import test from 'ava'
import { startFlows } from '../../lib/testing.ts'
import intentResult from '../intent-result/index.ts'
import intentIn from './index.ts'

const flow = (more: Record<string, unknown> = {}) => [
  { id: 'in', type: 'mtor-intent-in', realm: 'realm', intentType: 'airlock.open', wires: [['result', 'work'], ['lost']], ...more },
  { id: 'result', type: 'mtor-intent-result', outcome: 'succeeded', say: 'The airlock is open.', sayType: 'str', data: 'payload', dataType: 'msg', wires: [] },
  { id: 'work', type: 'helper' },
  { id: 'lost', type: 'helper' },
]

test('an intent of its type is claimed, sent on with its slots, and ends as intent result says', async (t) => {
  const bench = await startFlows(t)
  await bench.load([intentIn, intentResult], flow())
  const message = bench.next('work')
  const result = await bench.carryOut('airlock.open', { side: 'port' })
  t.is(result.say, 'The airlock is open.')
  t.deepEqual(result.data, { side: 'port' })
  const { payload, intent, deadline } = await message as { payload: unknown; intent: { type: string; attempt: number; source: { kind: string } }; deadline: number }
  t.deepEqual(payload, { side: 'port' })
  t.like(intent, { type: 'airlock.open', attempt: 1, source: { kind: 'voice' } })
  t.true(deadline > Date.now())
})
