import test from 'ava'
import fc from 'fast-check'
import { ManualClock } from '../../contracts/clock.ts'
import { RetainedVersions } from './retained.ts'
import { isLater, VersionClock, type Version } from './version.ts'

const bytes = (text: string) => Buffer.from(text)
const kept = (t: number, n: string, text: string) => ({ version: { t, n }, payload: bytes(text), qos: 1 as const })

test('nodes that were told the same writes agree, in whatever order and however often they were told', (t) => {
  const write = fc.record({ topic: fc.constantFrom('x', 'y', 'z'), t: fc.nat(20), n: fc.constantFrom('a', 'b', 'c'), text: fc.constantFrom('', '1', '2') })
  fc.assert(fc.property(fc.uniqueArray(write, { selector: ({ t, n, topic }) => `${t} ${n} ${topic}`, maxLength: 30 }).chain((writes) => fc.tuple(fc.constant(writes), fc.shuffledSubarray([...writes, ...writes], { minLength: writes.length * 2 }), fc.shuffledSubarray(writes, { minLength: writes.length }))), ([writes, once, twice]) => {
    const nodes = [writes, once, twice].map((told) => {
      const retained = new RetainedVersions()
      for (const { topic, t: time, n, text } of told) retained.offer(topic, kept(time, n, text))
      return [retained.digest(), ...['x', 'y', 'z'].map((topic) => retained.visible(topic)?.toString())]
    })
    t.deepEqual(nodes[1], nodes[0])
    t.deepEqual(nodes[2], nodes[0])
  }))
})

test('what was deleted is not brought back by a node with an older copy', (t) => {
  const retained = new RetainedVersions()
  retained.offer('x', kept(1, 'a', 'there'))
  t.true(retained.offer('x', kept(2, 'b', '')))
  t.false(retained.offer('x', kept(1, 'a', 'there')))
  t.is(retained.visible('x')!.length, 0)
})

test('what stands for a lost node hides its own news that come by way of others, but not that of others', (t) => {
  const retained = new RetainedVersions()
  retained.offer('x', kept(1, 'c', 'online'))
  retained.cover('x', { node: 'c', session: 's1', payload: bytes('gone'), version: { t: 2, n: 'c' } })
  t.false(retained.offer('x', kept(3, 'c', 'still here')))
  t.is(retained.visible('x')!.toString(), 'gone')
  t.deepEqual(retained.uncover('c', 's1').map(({ payload }) => payload.toString()), ['still here'])
  retained.cover('x', { node: 'c', session: 's1', payload: bytes('gone'), version: { t: 4, n: 'c' } })
  t.true(retained.offer('x', kept(5, 'b', 'moved to b')))
  t.deepEqual(retained.uncover('c', 's1'), [])
  t.is(retained.visible('x')!.toString(), 'moved to b')
})

test('what stands for a node that was started anew stays, with the same version at every node', (t) => {
  const nodes = ['gone', 'gone'].map((payload) => {
    const retained = new RetainedVersions()
    retained.offer('x', kept(7, 'c', 'online'))
    retained.cover('x', { node: 'c', session: 's1', payload: bytes(payload), version: { t: 9, n: 'c' } })
    t.deepEqual(retained.uncover('c', 's2'), [])
    retained.settle('c')
    return retained
  })
  t.is(nodes[0]!.digest(), nodes[1]!.digest())
  t.is(nodes[0]!.visible('x')!.toString(), 'gone')
  t.false(nodes[0]!.offer('x', kept(7, 'c', 'online')))
})

test('deletions are remembered within a bound', (t) => {
  const retained = new RetainedVersions()
  for (let i = 0; i < 12_000; i++) retained.write(`x/${i}`, kept(i, 'a', ''))
  t.is(retained.size, 10_000)
  t.is(retained.visible('x/11999')!.length, 0)
  t.is(retained.visible('x/0'), undefined)
})

test('an answer is later than what it answers, whatever the clocks say, also where one jumps or is not set', (t) => {
  const wall = { ahead: new ManualClock(0, Date.UTC(2030, 0, 1)), behind: new ManualClock(0, Date.UTC(2026, 0, 1)), none: new ManualClock(0, undefined) }
  const clocks = Object.entries(wall).map(([name, clock]) => new VersionClock(clock, name))
  let last: Version = clocks[0]!.next()
  fc.assert(fc.property(fc.array(fc.nat(2), { minLength: 1, maxLength: 20 }), (turns) => {
    for (const turn of turns) {
      clocks[turn]!.seen(last.t)
      const next = clocks[turn]!.next()
      t.true(isLater(next, last))
      last = next
    }
  }), { numRuns: 50 })
})

test('a time that cannot be does not take our clock along', (t) => {
  const clock = new VersionClock(new ManualClock(0), 'a')
  clock.seen(Number.MAX_SAFE_INTEGER)
  t.true(clock.next().t < Date.UTC(2027, 0, 1) * 1_000)
})
