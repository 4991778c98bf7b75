import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { alive, becomes, bench, talker } from './testing.ts'

const pidOf = (b: { supervisor: { status(): { workers: { pid?: number }[] } } }) => b.supervisor.status().workers[0]!.pid!

test('an answer comes with model, version, provider and times; the worker is forked at the first request', async (t) => {
  const b = await bench(t)
  t.deepEqual(b.supervisor.status().workers, [])
  const answer = await b.supervisor.run('read', 'talker', { image: 'say hello' }, { deadlineMs: 20_000 })
  t.like(answer, { output: { text: 'hello', lines: [] }, model: 'talker', version: '1', provider: 'cpu', attempts: 1 })
  t.true(answer.queuedMs >= 0 && answer.runMs >= 0)
  t.like(b.supervisor.status().models[0], { model: 'talker', state: 'ready', provider: 'cpu', nodeCounts: { cpu: 7 }, runs: 1, restarts: 0, circuit: 'closed', group: 'text' })
  t.deepEqual(b.providers, [{ model: 'talker', version: '1', worker: 'text-1', provider: 'cpu', nodeCounts: { cpu: 7 }, tried: [] }])
})

test('a worker that is killed mid-run costs the caller nothing but time', async (t) => {
  const b = await bench(t)
  await b.supervisor.warm('talker')
  const before = pidOf(b)
  const asked = b.supervisor.run('read', 'talker', { image: 'once killed sleep 60000' }, { deadlineMs: 20_000 })
  await becomes('at it', () => existsSync(join(b.stateDir, 'once-killed')))
  process.kill(before, 'SIGKILL')
  const answer = await asked
  t.is(answer.output.text, 'killed')
  t.is(answer.attempts, 2)
  t.not(pidOf(b), before)
  const [fault] = b.supervisor.faults()
  t.like(fault, { worker: 'text-1', pid: before, model: 'talker', kind: 'crash', detail: 'killed by SIGKILL', provider: 'cpu' })
  t.true(fault!.recoveredAfterMs! > 0 && fault!.noticedAfterMs! > 0)
  t.like(b.supervisor.status().models[0], { restarts: 1, lastFault: { code: 'crash', message: 'killed by SIGKILL' } })
})

test('a worker that is stopped mid-run is killed at once, long before its limit', async (t) => {
  const b = await bench(t, { models: { talker: { timeoutMs: 3_600_000 } } })
  t.is(await b.say('once frozen stop'), 'frozen')
  t.like(b.supervisor.faults()[0], { kind: 'stopped', detail: 'the process is stopped' })
})

test('a worker that is stopped while idle is found out without a request', async (t) => {
  const b = await bench(t, { models: { talker: { timeoutMs: 3_600_000 } } })
  await b.supervisor.warm('talker')
  const before = pidOf(b)
  process.kill(before, 'SIGSTOP')
  await b.event('worker.lost', ({ data }) => data!['pid'] === before && data!['kind'] === 'stopped')
  t.is(await b.say('say hello'), 'hello')
  t.false(alive(before))
  t.like(b.supervisor.faults()[0], { kind: 'stopped', pid: before })
})

test('a busy loop ends at the limit of one run, and the request is answered by the next process', async (t) => {
  const b = await bench(t, { models: { talker: { timeoutMs: 300 } } })
  t.is(await b.say('once looped busy'), 'looped')
  t.like(b.supervisor.faults()[0], { kind: 'hang', detail: 'no answer within 300 ms' })
})

test('a worker that does not even take a request is not given the whole limit', async (t) => {
  const b = await bench(t, { models: { talker: { timeoutMs: 3_600_000 } } })
  t.is(await b.say('deaf'), 'deaf')
  t.is(await b.say('say hello'), 'hello')
  t.like(b.supervisor.faults()[0], { kind: 'hang', detail: 'it did not take a request within 300 ms' })
})

test('a native abort is one fault like any other', async (t) => {
  const b = await bench(t)
  t.is(await b.say('once aborted abort'), 'aborted')
  t.like(b.supervisor.faults()[0], { kind: 'crash', detail: 'killed by SIGABRT' })
})

test('a leak is mended between requests: the process is replaced in order, and no request is lost', async (t) => {
  const b = await bench(t, { maxRssMB: 200 })
  t.is(await b.say('pid'), String(pidOf(b)))
  const before = pidOf(b)
  t.is(await b.say('leak 250 leaked'), 'leaked')
  await b.event('worker.large')
  const answer = await b.supervisor.run('read', 'talker', { image: 'pid' }, { deadlineMs: 20_000 })
  t.is(answer.attempts, 1)
  t.not(answer.output.text, String(before))
  t.false(alive(before))
  t.like(b.supervisor.faults()[0], { kind: 'memory', pid: before, done: 'it is replaced between requests' })
  t.is(b.events.filter(({ name }) => name === 'worker.lost').length, 0)
})

test('memory that grows beyond all bounds within one run ends that run', async (t) => {
  const b = await bench(t, { maxRssMB: 150, models: { talker: { timeoutMs: 3_600_000 } } })
  t.is(await b.say('once swollen hold 500'), 'swollen')
  t.regex(b.supervisor.faults()[0]!.detail, /MB while at work, 2 times its ceiling/)
})

test('what is wrong with the input is told to the caller and is no fault', async (t) => {
  const b = await bench(t)
  await t.throwsAsync(b.say('refuse'), { code: 'IMAGE_INVALID', message: 'that is no picture' })
  t.deepEqual(b.supervisor.faults(), [])
  t.is(b.supervisor.status().workers[0]!.restarts, 0)
})

test('a failure of the model\'s own code is tried once more in a fresh process', async (t) => {
  const b = await bench(t)
  t.is(await b.say('once failed fail'), 'failed')
  t.like(b.supervisor.faults()[0], { kind: 'failed', detail: 'the graph failed' })
  const error = await t.throwsAsync(b.say('fail'), { code: 'MODEL_UNAVAILABLE' })
  t.regex(error.message, /the graph failed/)
})

test('an input that another process cannot be sent is refused', async (t) => {
  const b = await bench(t)
  await t.throwsAsync(b.supervisor.run('read', 'talker', { image: (() => '') as never }, { deadlineMs: 20_000 }), { code: 'USAGE' })
  t.is(await b.say('say hello'), 'hello')
})

test('a run that says that it prepares is not taken for a hang', async (t) => {
  const b = await bench(t, {}, (folder) => [talker(folder, { timeoutMs: 400 })])
  t.is(await b.say('prepare 900 ready'), 'ready')
  t.deepEqual(b.supervisor.faults(), [])
  t.is(await b.say('once awake sleep 900 late'), 'awake')
  t.like(b.supervisor.faults()[0], { kind: 'hang', detail: 'no answer within 400 ms' })
})
