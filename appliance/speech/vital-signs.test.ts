import test from 'ava'
import type { ProcessState } from '../inference/keeper.ts'
import type { FromSpeech } from './messages.ts'
import { VitalSigns } from './vital-signs.ts'

const health = (lastFrameAgeMs = -1): FromSpeech => ({ kind: 'health', rssBytes: 250e6, cpuS: 1, audioS: 1, lastFrameAgeMs })
const ready: FromSpeech = { kind: 'ready', engine: 'vosk', loadMs: 900, engines: ['vosk'], models: [] }
const proven = (ok = true): FromSpeech => ({ kind: 'proven', ok, text: 'computer stop', tookMs: 40, ...ok ? {} : { message: 'something else was heard' } })
const running: ProcessState = { stopped: false, rssBytes: 250e6, cpuS: 1 }

function signs(proofPeriodMs = 30_000) {
  let nowMs = 0
  const made = new VitalSigns({ proofPeriodMs, monoMs: () => nowMs })
  /** Ticks until there is a verdict; `each`: what is heard before each tick. */
  const ticksUntil = (limit: number, each: FromSpeech[] = [], state = running) => {
    for (let ticks = 1; ticks <= limit; ticks++) {
      nowMs += 1_000
      for (const message of each) made.heard(message)
      const verdict = made.tick(state)
      if (verdict) return { ticks, ...verdict }
    }
    return undefined
  }
  return { signs: made, ticksUntil }
}

test('a process that proves itself is left alone, however long', (t) => {
  const { signs: made, ticksUntil } = signs()
  made.heard(ready)
  for (let period = 0; period < 10; period++) {
    made.heard(proven())
    t.is(ticksUntil(30, [health()]), undefined)
    t.is(made.provenAgeMs, 30_000)
  }
})

test('signs of life alone do not help: without a proof for three periods it hangs', (t) => {
  const { signs: made, ticksUntil } = signs()
  made.heard(ready)
  made.heard(proven())
  const verdict = ticksUntil(200, [health()])!
  t.is(verdict.what, 'hung')
  t.regex(verdict.reason, /not proven themselves for 3 periods/)
  t.true(verdict.ticks >= 90 && verdict.ticks <= 100, `${verdict.ticks} ticks`)
  const short = signs(500)
  short.signs.heard(ready)
  t.true(short.ticksUntil(100, [health()])!.ticks >= 5, 'a short period leaves it some time')
})

test('while it loads, and where it has no ears at all, no proof is asked for', (t) => {
  const loading = signs(500)
  t.is(loading.ticksUntil(59), undefined)
  t.like(loading.ticksUntil(10), { what: 'hung', reason: 'no sign of life' })
  const deaf = signs(500)
  deaf.signs.heard({ kind: 'deaf', error: { code: 'ENGINE_MISSING', message: 'none' } })
  t.is(deaf.ticksUntil(500, [health()]), undefined)
})

test('one wrong answer may pass, a second one is a lie; a wrong answer is no proof', (t) => {
  const { signs: made, ticksUntil } = signs()
  made.heard(ready)
  made.heard(proven(false))
  t.is(made.lie, undefined)
  t.is(made.provenAgeMs, undefined)
  made.heard(proven())
  made.heard(proven(false))
  t.is(made.lie, undefined)
  made.heard(proven(false))
  t.deepEqual(made.lie, { what: 'lied', reason: 'something else was heard, 2 times' })
  const now = signs(2_000)
  now.signs.heard(ready)
  t.is(now.ticksUntil(100, [health(), proven(false), proven()]), undefined)
  t.is(ticksUntil(4, [health()]), undefined)
})

test('silence of five ticks is a hang; one that the kernel has stopped is known after two', (t) => {
  const silent = signs()
  silent.signs.heard(ready)
  t.like(silent.ticksUntil(20), { ticks: 6, what: 'hung', reason: 'no sign of life' })
  const frozen = signs()
  frozen.signs.heard(ready)
  t.is(frozen.ticksUntil(1, [], { ...running, stopped: true }), undefined)
  t.is(frozen.ticksUntil(1), undefined, 'it went on: the count begins anew')
  t.like(frozen.ticksUntil(20, [], { ...running, stopped: true }), { ticks: 2, what: 'hung', reason: 'it is stopped (SIGSTOP)' })
})

test('a capture that is open must bring sound', (t) => {
  const { signs: made, ticksUntil } = signs()
  made.heard(ready)
  t.is(ticksUntil(3, [health(60_000)]), undefined, 'none is open')
  made.heard({ kind: 'capture', state: 'open', device: 'hw:1' })
  t.is(ticksUntil(3, [health(2_900)]), undefined)
  t.like(ticksUntil(3, [health(3_100)]), { ticks: 1, what: 'hung', reason: 'capture is open but no sound comes' })
})

test('memory is what the kernel says, also of one that says nothing; large is told once, runaway is ended', (t) => {
  const { signs: made, ticksUntil } = signs()
  t.is(made.rssBytes, undefined)
  made.heard(health())
  t.is(made.rssBytes, 250e6)
  t.deepEqual(ticksUntil(3, [], { ...running, rssBytes: 700e6 }), { ticks: 1, what: 'large', reason: 'the speech process takes 700 MB; it is renewed at a quiet moment' })
  t.is(ticksUntil(3, [], { ...running, rssBytes: 710e6 }), undefined)
  t.is(made.rssBytes, 710e6)
  t.like(ticksUntil(3, [], { ...running, rssBytes: 1_300e6 }), { what: 'hung', reason: 'it takes 1300 MB' })
})
