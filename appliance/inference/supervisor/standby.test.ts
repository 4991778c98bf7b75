import test from 'ava'
import { becomes, bench, type Bench } from './testing.ts'

const workers = (b: Bench) => b.supervisor.status().workers
/** A supervisor whose standby has the model loaded and proven. */
async function withStandby(...[t, config]: [Parameters<typeof bench>[0], Record<string, unknown>?]) {
  const b = await bench(t, { standby: true, ...config })
  await b.supervisor.warm('talker')
  await becomes('a proven standby', () => workers(b).length === 2 && workers(b).every(({ provenAgeMs }) => provenAgeMs !== undefined))
  return b
}

test('the standby takes the place of a lost worker, and the lost one becomes the next standby', async (t) => {
  const b = await withStandby(t)
  const [first, second] = workers(b)
  t.deepEqual([first!.state, second!.state], ['idle', 'standby'])
  process.kill(first!.pid!, 'SIGKILL')
  await b.event('worker.promoted')
  t.is(await b.say('pid'), String(second!.pid))
  await becomes('a new standby', () => workers(b)[0]!.state === 'standby' && workers(b)[0]!.provenAgeMs !== undefined)
  t.is(workers(b)[1]!.state, 'idle')
  t.like(b.supervisor.faults()[0], { kind: 'crash', done: 'its process is started again; text-2 has taken over' })
})

test('a request that its worker does not take is answered by the standby meanwhile', async (t) => {
  const b = await withStandby(t, { models: { talker: { timeoutMs: 3_600_000 } } })
  const [, second] = workers(b)
  t.is(await b.say('deaf'), 'deaf')
  const answer = await b.supervisor.run('read', 'talker', { image: 'pid' }, { deadlineMs: 20_000 })
  t.is(answer.output.text, String(second!.pid))
  t.is(answer.attempts, 2)
  await b.event('worker.lost')
})

test('a run that takes suspiciously long is run by the standby as well, and the first answer counts', async (t) => {
  const b = await withStandby(t, { models: { talker: { timeoutMs: 3_600_000 } } })
  for (let i = 0; i < 20; i++) await b.say('say quick')
  const answer = await b.supervisor.run('read', 'talker', { image: 'once early sleep 3000 late' }, { deadlineMs: 20_000 })
  t.is(answer.output.text, 'early')
  t.is(answer.attempts, 2)
})

test('a leak costs no pause where there is a standby', async (t) => {
  const b = await withStandby(t, { maxRssMB: 200 })
  const [, second] = workers(b)
  t.is(await b.say('leak 250 leaked'), 'leaked')
  t.is(await b.say('pid'), String(second!.pid))
  t.like(b.supervisor.faults()[0], { kind: 'memory', done: 'it is replaced between requests; text-2 has taken over' })
})
