import test from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import type { Envelope } from '../../contracts/envelope.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { JournalEntry } from '../../journal/port.ts'
import { Ages } from './ages.ts'
import { Waiting } from './waiting.ts'

const entry = (id: string, wall?: number) => ({ envelope: { id, ttlMs: 1_000 }, acceptedAt: { boot: 1, mono: 5, ...(wall === undefined ? {} : { wall }) } }) as unknown as JournalEntry

test('an intent seen by a node that has long held its lease ages from then on, whatever the wall clocks say', async (t) => {
  const clock = new ManualClock()
  const ages = new Ages(clock)
  ages.lease(true)
  await clock.advance(5_000)
  ages.saw('x')
  await clock.advance(700)
  t.is(ages.of(entry('x', clock.wallMs()! - 3_600_000)), 700)
})

test('a node that has just got its lease may see old ones: then the wall clocks tell, and if they cannot, nobody does', async (t) => {
  const clock = new ManualClock()
  const ages = new Ages(clock)
  ages.lease(true)
  await clock.advance(1_000)
  ages.saw('x')
  t.is(ages.of(entry('x', clock.wallMs()! - 400)), 400)
  t.is(ages.of(entry('x', clock.wallMs()! + 9_000)), 0, 'a clock that is ahead makes nothing younger than new')
  t.is(ages.of(entry('x')), undefined)
  ages.lease(false)
  await clock.advance(10_000)
  ages.lease(true)
  ages.saw('y')
  t.is(ages.of(entry('y')), undefined, 'it was cut off meanwhile')
  const unset = new Ages(new ManualClock(1_000, undefined))
  t.is(unset.of(entry('z', 1_800_000_000_000)), undefined)
})

test('what the accepting node says over its link counts before everything', async (t) => {
  const clock = new ManualClock()
  const ages = new Ages(clock)
  ages.lease(true)
  await clock.advance(5_000)
  ages.saw('x')
  ages.told('x', 250)
  await clock.advance(50)
  t.is(ages.of(entry('x')), 300)
  ages.forget('x')
  t.is(ages.of(entry('x')), undefined)
})

test('what waits for other nodes is told again while it waits, and ends when its time is over or nobody can do it', async (t) => {
  const clock = new ManualClock()
  const still: string[] = []
  const due: (string | undefined)[][] = []
  let hopeless: MtorError | undefined
  const waiting = new Waiting({ clock, onStill: ({ id }) => { still.push(id) }, onDue: ({ id }, why) => { due.push([id, why?.code]) }, hopeless: ({ id }) => id === 'lost' ? hopeless : undefined })
  const envelope = (id: string) => ({ id, type: 'drive.move' }) as Envelope
  waiting.add(envelope('short'), clock.monoMs() + 1_500)
  waiting.add(envelope('lost'), clock.monoMs() + 60_000)
  waiting.add(envelope('gone'), clock.monoMs() + 60_000)
  await clock.advance(1_300)
  t.deepEqual(still.sort(), ['gone', 'lost', 'short'])
  waiting.drop('gone')
  await clock.advance(500)
  t.deepEqual(due, [['short', undefined]])
  hopeless = new MtorError('DEVICE_UNREACHABLE', 'nobody')
  await clock.advance(300)
  t.deepEqual(due, [['short', undefined], ['lost', 'DEVICE_UNREACHABLE']])
  t.is(waiting.size, 0)
})
