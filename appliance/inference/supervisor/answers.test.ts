import test from 'ava'
import { becomes, bench, talker } from './testing.ts'

test('an answer whose proof came out wrong is thrown away, and the next process answers right', async (t) => {
  const b = await bench(t)
  const answer = await b.supervisor.run('read', 'talker', { image: 'once truth lie' }, { deadlineMs: 20_000 })
  t.is(answer.output.text, 'truth')
  t.is(answer.attempts, 2)
  const lied = await b.event('model.lied')
  t.like(lied, { severity: 'error', component: 'inference' })
  t.regex(lied.message!, /"known" was expected, got "something else"/)
  t.like(b.supervisor.faults()[0], { kind: 'wrong-answer', model: 'talker' })
})

test('raw outputs that are not bit for bit those of the load are a wrong proof, though the text is the same', async (t) => {
  const b = await bench(t)
  t.is(await b.say('once truth drift'), 'truth')
  t.regex((await b.event('model.lied')).message!, /raw outputs are not those of the load/)
})

test('without digests a proof is judged by the equality of the task', async (t) => {
  const b = await bench(t, {}, (folder) => [talker(folder, {}, { digests: false })])
  t.is(await b.say('drift'), 'a drift')
  t.is(await b.say('once truth lie'), 'truth')
})

test('a model that is proven while idle only gives its answer without proof, and is found out soon after', async (t) => {
  const b = await bench(t, { idleProofMs: 100 }, (folder) => [talker(folder, { prove: 'idle' })])
  t.is(await b.say('lie'), 'a lie')
  t.regex((await b.event('model.lied')).message!, /known answer 0/)
  t.is(await b.say('say hello'), 'hello')
})

test('a worker with nothing to do proves itself, and the standby too', async (t) => {
  const b = await bench(t, { idleProofMs: 100, standby: true })
  await b.supervisor.warm('talker')
  const workers = () => b.supervisor.status().workers
  await becomes('both loaded', () => workers().length === 2 && workers().every(({ provenAgeMs }) => provenAgeMs !== undefined))
  const ages = new Map<string, number>()
  const seen = new Set<string>()
  // A proof is seen by an age that is less than it was before.
  await becomes('fresh proofs of both', () => {
    for (const { worker, provenAgeMs } of workers()) {
      if (provenAgeMs! < (ages.get(worker) ?? 0)) seen.add(worker)
      ages.set(worker, provenAgeMs!)
    }
    return seen.size === 2
  })
  t.deepEqual(b.supervisor.faults(), [])
})

test('a worker that hangs while idle is found out by its proof, before anybody asks', async (t) => {
  const b = await bench(t, { idleProofMs: 100, models: { talker: { timeoutMs: 300 } } })
  t.is(await b.say('deaf'), 'deaf')
  const lost = await b.event('worker.lost')
  t.regex(lost.message!, /hang/)
  await becomes('recovery without a request', () => b.supervisor.faults()[0]?.recoveredAfterMs !== undefined)
})

test('a model that comes out wrong at the load is not used', async (t) => {
  const b = await bench(t, {}, (folder) => [talker(folder, {}, { lying: ['cpu'] })])
  const error = await t.throwsAsync(b.say('say hello'), { code: 'MODEL_UNAVAILABLE' })
  t.regex(error.message, /known answer 0: "known" was expected/)
  t.is(b.supervisor.status().models[0]!.state, 'broken')
})

test('an input that costs two workers is poison from then on, also after a restart; others are answered', async (t) => {
  const b = await bench(t)
  const error = await t.throwsAsync(b.say('abort'), { code: 'POISON' })
  t.regex(error.message, /crash: text-1: killed by SIGABRT; crash: text-1: killed by SIGABRT/)
  t.is(b.supervisor.status().models[0]!.quarantined, 1)
  t.is(await b.say('say hello'), 'hello')
  const before = b.supervisor.status().workers[0]!.pid
  await t.throwsAsync(b.say('abort'), { code: 'POISON' })
  t.is(b.supervisor.status().workers[0]!.pid, before)
  await b.supervisor.stop()
  const again = await bench(t, {}, () => b.library.models, { stateDir: b.stateDir })
  await t.throwsAsync(again.say('abort'), { code: 'POISON' })
  t.deepEqual(again.supervisor.status().workers, [])
  t.is(again.supervisor.faults().length, 2)
})

test('an input that was answered right at the second try is not suspected any more', async (t) => {
  const b = await bench(t)
  t.is(await b.say('once mild abort'), 'mild')
  t.is(b.supervisor.status().models[0]!.quarantined, 0)
  t.is(await b.say('once mild abort'), 'mild')
})

test('a circuit opens after faults in a row, refuses at once, and closes when a proof comes out right', async (t) => {
  const b = await bench(t, {}, (folder) => [talker(folder, {}, { load: 'once load abort' }), talker(folder, { name: 'other', knownAnswers: [{ input: { image: 'say other' }, output: { text: 'other', lines: [] } }] })])
  t.is(await b.say('say hello'), 'hello')
  // Two inputs cost two workers each, the third one.
  for (const command of ['abort', 'exit 3', 'exit 4']) await t.throwsAsync(b.say(command))
  t.is(b.supervisor.status().models[0]!.circuit, 'open')
  const error = await t.throwsAsync(b.say('say hello'), { code: 'MODEL_UNAVAILABLE' }) as Error & { data: { retryAfterMs: number } }
  t.true(error.data.retryAfterMs > 0)
  t.is((await b.supervisor.run('read', 'other', { image: 'say fine' }, { deadlineMs: 20_000 })).output.text, 'fine')
  await b.event('model.back')
  t.is(await b.say('say hello'), 'hello')
  t.is(b.supervisor.status().models[0]!.circuit, 'closed')
})

test('a worker that crashes while it loads is tried again; one that always does opens the circuit', async (t) => {
  const once = await bench(t, {}, (folder) => [talker(folder, {}, { load: 'once loaded abort' })])
  t.is(await once.say('say hello'), 'hello')
  const always = await bench(t, {}, (folder) => [talker(folder, {}, { load: 'exit 5' })])
  await t.throwsAsync(always.say('say hello'), { code: 'MODEL_UNAVAILABLE' })
  t.like(always.supervisor.faults()[0], { kind: 'crash', model: 'talker' })
  await always.event('model.unavailable')
  await t.throwsAsync(always.say('say hello'), { code: 'MODEL_UNAVAILABLE' })
})

test('a model that is not trusted is refused with its own code, and used again once it is', async (t) => {
  const b = await bench(t)
  b.library.untrusted.add('talker')
  await t.throwsAsync(b.say('say hello'), { code: 'MODEL_UNTRUSTED' })
  t.is(b.supervisor.status().models[0]!.state, 'untrusted')
  b.library.untrusted.clear()
  t.is(await b.say('say hello'), 'hello')
  t.is(b.supervisor.status().models[0]!.state, 'ready')
})

test('another version of a model takes the place of the one that is loaded', async (t) => {
  const b = await bench(t)
  await b.supervisor.warm('talker')
  b.library.models[0] = talker(b.stateDir, { version: '2' })
  const versions = new Set<string>()
  for (const untilMs = performance.now() + 20_000; !versions.has('2') && performance.now() < untilMs;) versions.add((await b.supervisor.run('read', 'talker', { image: 'sleep 20 hello' }, { deadlineMs: 20_000 })).version)
  t.true(versions.has('2'))
  t.is(b.supervisor.status().workers[0]!.restarts, 0)
})

test('what cannot be asked is refused in words', async (t) => {
  const b = await bench(t)
  await t.throwsAsync(b.supervisor.run('read', 'nobody', { image: 'x' }, { deadlineMs: 1_000 }), { code: 'NOT_FOUND' })
  await t.throwsAsync(b.supervisor.run('detect', 'talker', { image: 'x' }, { deadlineMs: 1_000 }), { code: 'MODEL_INVALID' })
  await t.throwsAsync(bench(t, { providers: ['cpu', 'abacus'] }), { code: 'CONFIG_INVALID', message: /inference.providers: .*abacus/ })
  await b.supervisor.stop()
  await t.throwsAsync(b.say('say hello'), { code: 'MODEL_UNAVAILABLE', message: /stopping/ })
})
