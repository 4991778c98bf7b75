import test from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import { becomes, bench } from './testing.ts'

test('priority 0 goes first, and within a priority who came first', async (t) => {
  const b = await bench(t)
  const done: string[] = []
  const ask = async (command: string, priority: number) => { done.push(await b.say(command, { priority })) }
  await b.supervisor.warm('talker')
  const first = ask('sleep 200 first', 5)
  await becomes('busy', () => b.supervisor.status().workers[0]!.state === 'busy')
  await Promise.all([first, ask('say late', 9), ask('say usual', 5), ask('say usual too', 5), ask('say urgent', 0)])
  t.deepEqual(done, ['first', 'urgent', 'usual', 'usual too', 'late'])
})

test('a request whose deadline passes in the queue is refused and never run', async (t) => {
  const clock = new ManualClock()
  const b = await bench(t, {}, undefined, { clock })
  await b.supervisor.warm('talker')
  const long = b.say('sleep 1000 long', { deadlineMs: 3_600_000 })
  await becomes('busy', () => b.supervisor.status().workers[0]!.state === 'busy')
  const short = t.throwsAsync(b.say('once ran say ran', { deadlineMs: 1_000 }), { code: 'DEADLINE', message: /still waited for a worker/ })
  await becomes('waiting', () => b.supervisor.status().queue === 1)
  await clock.advance(999)
  t.is(b.supervisor.status().queue, 1)
  await clock.advance(1)
  await short
  t.is(b.supervisor.status().queue, 0)
  t.is(await long, 'long')
  t.is(await b.say('once ran say again', { deadlineMs: 3_600_000 }), 'again')
  // The clock stands still but for us: the supervisor ends its children by it.
  const stopped = b.supervisor.stop()
  await clock.advance(10_000)
  await stopped
})

test('a deadline that passes while a worker is at it frees the caller, and the worker goes on', async (t) => {
  const b = await bench(t)
  await b.supervisor.warm('talker')
  const { pid } = b.supervisor.status().workers[0]!
  await t.throwsAsync(b.say('sleep 400 late', { deadlineMs: 100 }), { code: 'DEADLINE', message: /a worker was at it/ })
  t.is(await b.say('pid'), String(pid))
  t.deepEqual(b.supervisor.faults(), [])
})

test('a cancelled request is refused at once, waiting or running', async (t) => {
  const b = await bench(t)
  await b.supervisor.warm('talker')
  const running = new AbortController(); const waiting = new AbortController()
  const first = t.throwsAsync(b.say('sleep 300 never', { signal: running.signal }), { code: 'CANCELLED' })
  const second = t.throwsAsync(b.say('say never', { signal: waiting.signal }), { code: 'CANCELLED' })
  await becomes('waiting', () => b.supervisor.status().queue === 1)
  waiting.abort()
  await second
  running.abort()
  await first
  await t.throwsAsync(b.say('say never', { signal: AbortSignal.abort() }), { code: 'CANCELLED' })
  t.is(await b.say('say hello'), 'hello')
})

test('more than the queue holds is BUSY', async (t) => {
  const b = await bench(t, { maxQueue: 2 })
  await b.supervisor.warm('talker')
  const asked = [b.say('sleep 300 one')]
  await becomes('busy', () => b.supervisor.status().workers[0]!.state === 'busy')
  asked.push(b.say('say two'), b.say('say three'))
  await becomes('full', () => b.supervisor.status().queue === 2)
  await t.throwsAsync(b.say('say four'), { code: 'BUSY' })
  t.deepEqual(await Promise.all(asked), ['one', 'two', 'three'])
})

test('two workers do two things at once', async (t) => {
  const b = await bench(t, { workers: 2 })
  await b.supervisor.warm('talker')
  const asked = [b.say('sleep 500 one'), b.say('sleep 500 two')]
  await becomes('both busy', () => b.supervisor.status().workers.every(({ state, provenAgeMs }) => state === 'busy' && provenAgeMs !== undefined))
  t.deepEqual(await Promise.all(asked), ['one', 'two'])
})

test('stop refuses what is open, leaves no process, and may be called twice', async (t) => {
  const b = await bench(t, { workers: 2, standby: true })
  await b.supervisor.warm('talker')
  await becomes('all up', () => b.supervisor.status().workers.every(({ state }) => state === 'idle' || state === 'standby'))
  const pids = b.supervisor.status().workers.map(({ pid }) => pid!)
  t.is(pids.length, 3)
  const open = [1, 2, 3].map(() => t.throwsAsync(b.say('sleep 60000 never'), { code: 'MODEL_UNAVAILABLE', message: /stopping/ }))
  await becomes('waiting', () => b.supervisor.status().queue === 1)
  await Promise.all([b.supervisor.stop(), b.supervisor.stop()])
  await Promise.all(open)
  for (const pid of pids) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
})
