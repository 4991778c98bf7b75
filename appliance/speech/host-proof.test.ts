import { existsSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { KNOWN_UTTERANCE } from './proof.ts'
import { becomes, speech } from './testing.ts'

test.serial('ears that hear a known recording wrong twice are killed, all their files are read again, and those that hear it right are shown as proven', async (t) => {
  const { host, stateDir, event, events } = await speech(t, { known: { ...KNOWN_UTTERANCE, text: 'something else' } })
  await host.start()
  await host.ready()
  const cache = join(stateDir, 'cache', 'trusted-files.json')
  const { ino } = await stat(cache)
  const lied = await event('process.lied')
  t.is(lied.code, 'MODEL_UNTRUSTED')
  t.is(events.filter(({ name }) => name === 'proof.wrong').length, 2)
  await event('process.lost')
  t.is(host.inferenceStatus().models[0]?.lastFault?.message, '“computer stop” was heard in the known recording, “something else” is in it, 2 times')
  await becomes(() => existsSync(cache) && statSync(cache).ino !== ino)
  await host.stop()
  const honest = await speech(t, { speech: { proofPeriodMs: 1_000 } })
  t.deepEqual(honest.host.inferenceStatus(), { models: [], workers: [] })
  await honest.host.start()
  await honest.host.ready()
  await becomes(() => honest.messages.filter(({ kind }) => kind === 'proven').length >= 2)
  t.true(honest.host.status().provenAgeMs! >= 0)
  t.true(honest.messages.every((message) => message.kind !== 'proven' || message.ok))
  t.false(honest.messages.some(({ kind }) => kind === 'wake' || kind === 'stop-word' || kind === 'utterance'))
  const { models, workers } = honest.host.inferenceStatus()
  t.deepEqual(models.map(({ model }) => model), ['vosk-small-en-us', 'silero-vad'])
  for (const model of models) t.like(model, { task: 'speech', group: 'speech', state: 'ready', provider: 'cpu', restarts: 0, circuit: 'closed' })
  t.true(models[0]!.runs >= 2 && models[0]!.p50Ms! > 0)
  t.like(workers, [{ group: 'speech', state: 'idle', pid: honest.host.status().pid }])
})
