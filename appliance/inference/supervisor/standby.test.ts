import test from 'ava'
import { becomes, bench, type Bench } from './testing.ts'

const workers = (b: Bench) => b.supervisor.status().workers
const named = (b: Bench, name: string) => workers(b).find(({ worker }) => worker === name)!

/** A supervisor with one worker in service and a standby that has the model loaded and proven, whichever was loaded first. */
async function withStandby(...[t, config]: [Parameters<typeof bench>[0], Record<string, unknown>?]) {
  const b = await bench(t, { standby: true, ...config })
  await b.supervisor.warm('talker')
  await becomes('a proven standby', () => workers(b).map(({ state }) => state).sort().join() === 'idle,standby' && workers(b).every(({ provenAgeMs }) => provenAgeMs !== undefined))
  return { ...b, active: workers(b).find(({ state }) => state === 'idle')!, standby: workers(b).find(({ state }) => state === 'standby')! }
}

test('the standby takes the place of a lost worker, and the lost one becomes the next standby', async (t) => {
  const b = await withStandby(t)
  process.kill(b.active.pid!, 'SIGKILL')
  await b.event('worker.promoted', ({ data }) => data!['instead'] === b.active.worker)
  t.is(await b.say('pid'), String(b.standby.pid))
  await becomes('a new standby', () => named(b, b.active.worker).state === 'standby' && named(b, b.active.worker).provenAgeMs !== undefined)
  t.is(named(b, b.standby.worker).state, 'idle')
  t.like(b.supervisor.faults()[0], { kind: 'crash', done: `its process is started again; ${b.standby.worker} has taken over` })
})

test('a request that its worker does not take is answered by the standby meanwhile', async (t) => {
  const b = await withStandby(t, { models: { talker: { timeoutMs: 3_600_000 } } })
  t.is(await b.say('deaf'), 'deaf')
  const answer = await b.supervisor.run('read', 'talker', { image: 'pid' }, { deadlineMs: 20_000 })
  t.is(answer.output.text, String(b.standby.pid))
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

test('when both are lost, whoever is loaded first serves', async (t) => {
  const b = await withStandby(t)
  for (const { pid } of workers(b)) process.kill(pid!, 'SIGKILL')
  await becomes('both lost', () => workers(b).every(({ restarts }) => restarts === 1))
  t.is(await b.say('say hello'), 'hello')
  await becomes('one in service, one standby, both proven', () => workers(b).map(({ state }) => state).sort().join() === 'idle,standby' && workers(b).every(({ provenAgeMs }) => provenAgeMs !== undefined))
})

test('a leak costs no pause where there is a standby', async (t) => {
  const b = await withStandby(t, { maxRssMB: 200 })
  t.is(await b.say('leak 250 leaked'), 'leaked')
  t.is(await b.say('pid'), String(b.standby.pid))
  t.like(b.supervisor.faults()[0], { kind: 'memory', done: `it is replaced between requests; ${b.standby.worker} has taken over` })
})
