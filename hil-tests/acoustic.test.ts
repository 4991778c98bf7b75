import test from 'ava'
import { statSync } from 'node:fs'
import { Bench } from './resources/bench.ts'
import { computerGoForward, synthetic } from './resources/sounds.ts'

// WAV in, wheels turn, sentence out: the same on this machine and on a board (MTOR_BENCH names the bench).
let bench: Bench
test.before(async () => { bench = await Bench.open({ speedFactor: 10 }) })
test.after.always(async () => { await bench?.close() })

const moved = () => bench.controllerFacts().filter((f) => f.fact === 'done')

test.serial('HIL-001 a person says "go forward ten meters" behind the wake word: the wheels turn ten metres, once, and a sentence comes out', async (t) => {
  const heard = await bench.play(await computerGoForward(bench.dir))
  t.like(heard.find((e) => e.state === 'accepted'), { type: 'drive.move', data: { slots: { distanceM: 10 } } })
  const done = moved()
  t.is(done.length, 1)
  t.is(done[0]?.outcome, 'done')
  t.true(Math.abs((done[0]?.distanceMm as number) - 10_000) < 500, JSON.stringify(done[0]))
  const reply = bench.replies().at(-1)
  t.regex(reply?.text ?? '', /10 metres/)
  t.true(statSync(reply!.file).size > 8_000, 'there is sound in the reply')
})

test.serial('HIL-002 the same at 48 kHz on four channels', async (t) => {
  const before = moved().length
  const heard = await bench.play(await computerGoForward(bench.dir, { rateHz: 48_000, channels: 4 }))
  t.truthy(heard.find((e) => e.state === 'succeeded' && e.type === 'drive.move'), JSON.stringify(heard))
  t.is(moved().length, before + 1)
})

test.serial('HIL-003 the same sentence without the wake word moves nothing', async (t) => {
  const before = moved().length
  const heard = await bench.play(await synthetic(bench.dir, 'go forward ten meters'))
  t.is(heard.find((e) => e.state === 'accepted'), undefined)
  t.is(moved().length, before)
})

test.serial('HIL-004 "stop" without the wake word reaches the controller', async (t) => {
  await bench.play(await synthetic(bench.dir, 'stop'))
  t.truthy(bench.controllerFacts().find((f) => f.fact === 'received' && f.command === 'STOP'))
})
