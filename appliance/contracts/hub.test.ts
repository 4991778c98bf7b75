import test from 'ava'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock } from './clock.ts'
import { IntentEvent, SystemEvent } from './events.ts'
import { Hub } from './hub.ts'
import { uuidv7 } from './ids.ts'
import { validator } from './validate.ts'

const accepted = () => ({ id: uuidv7(), type: 'help', state: 'accepted' as const })
const fact = { severity: 'info' as const, component: 'bus', name: 'client.connected' }

test('events get version, node and time, and fit their schema', (t) => {
  const hub = new Hub(new ManualClock(1234.5, Date.UTC(2026, 1, 2)), 'base')
  hub.boot = 3
  const event = hub.intent(accepted())
  t.deepEqual(event.at, { wall: Date.UTC(2026, 1, 2), boot: 3, mono: 1234.5 })
  t.is(event.node, 'base')
  t.deepEqual(validator(IntentEvent).problems(event), [])
  t.deepEqual(validator(SystemEvent).problems(hub.system(fact)), [])
})

test('without a good clock an event has no wall time rather than a wrong one', (t) => {
  t.false('wall' in new Hub(new ManualClock(0, undefined), 'base').now())
})

test('a listener that throws reaches neither the raiser nor the other listeners, and is reported once', async (t) => {
  const hub = new Hub(new ManualClock(), 'base')
  const seen: string[] = []
  const failures: SystemEvent[] = []
  hub.onIntent(() => { throw new RangeError('bad listener') })
  hub.onIntent((event) => seen.push(event.type))
  hub.onSystem((event) => failures.push(event))
  t.notThrows(() => hub.intent(accepted()))
  t.deepEqual(seen, ['help'])
  t.is(failures.length, 0, 'not inside the raising call')
  await turn()
  t.deepEqual(failures.map(({ name, message }) => [name, message]), [['listener.failed', 'RangeError: bad listener']])
})

test('after unsubscribing nothing is heard', (t) => {
  const hub = new Hub(new ManualClock(), 'base')
  let heard = 0
  const off = hub.onSystem(() => { heard++ })
  hub.system(fact)
  off()
  off()
  hub.system(fact)
  t.is(heard, 1)
})

test('an intent event of another node is told as it is; one that claims to be of this node is not', (t) => {
  const hub = new Hub(new ManualClock(), 'base')
  const seen: string[] = []
  hub.onIntent((event) => { seen.push(`${event.node} ${event.state}`) })
  const own = hub.intent(accepted())
  hub.intentFrom({ ...own, node: 'other', state: 'succeeded' })
  hub.intentFrom(own)
  t.deepEqual(seen, ['base accepted', 'other succeeded'])
})
