import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import { Gate, Throttle, TokenBucket } from './limits.ts'

test('a bucket gives its burst at once, then only what time has filled in, and never more than the burst', (t) => {
  const bucket = new TokenBucket(10, 3, 0)
  t.deepEqual([1, 2, 3, 4].map(() => bucket.take()), [true, true, true, false])
  bucket.refill(99)
  t.false(bucket.take())
  bucket.refill(100)
  t.true(bucket.take())
  t.false(bucket.take())
  bucket.refill(1_000_000)
  t.deepEqual([1, 2, 3, 4].map(() => bucket.take()), [true, true, true, false])
})

test('a throttle tells how many it held back since the last it let through', async (t) => {
  const clock = new ManualClock()
  const throttle = new Throttle(clock, 1, 2)
  t.deepEqual([1, 2, 3, 4, 5].map(() => throttle.pass()), [0, 0, undefined, undefined, undefined])
  await clock.advance(1000)
  t.is(throttle.pass(), 3)
})

test('a gate runs only so many at once, keeps the order, and refuses with BUSY when too many wait', async (t) => {
  const gate = new Gate(2, 2)
  const ends: (() => void)[] = []
  const log: string[] = []
  const job = (name: string) => gate.run(() => new Promise<void>((resolve) => { log.push(name); ends.push(resolve) }))
  const jobs = [job('a'), job('b'), job('c'), job('d')]
  await t.throwsAsync(job('e'), { code: 'BUSY' })
  t.deepEqual(log, ['a', 'b'])
  ends[0]!()
  await jobs[0]
  await Promise.resolve()
  t.deepEqual(log, ['a', 'b', 'c'])
  ends[1]!(); ends[2]!()
  await Promise.all([jobs[1], jobs[2]])
  ends[3]!()
  await jobs[3]
  t.deepEqual(log, ['a', 'b', 'c', 'd'])
  const after = job('f')
  t.is(log.at(-1), 'f')
  ends.at(-1)!()
  await after
})

test('a gate goes on after a job that fails', async (t) => {
  const gate = new Gate(1, 1)
  await t.throwsAsync(gate.run(async () => { throw new RangeError('x') }))
  t.is(await gate.run(async () => 7), 7)
})
