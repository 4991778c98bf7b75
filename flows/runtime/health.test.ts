import test from 'ava'
import { ManualClock } from '../../appliance/contracts/clock.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { Health } from './health.ts'

/** Probes that come back while `answers` is true; else each takes its whole time. */
function bench() {
  const clock = new ManualClock()
  const state = { answers: true, proven: 0, hung: [] as string[], nonces: [] as string[] }
  const health = new Health({
    clock, periodMs: 5_000, timeoutMs: 4_000, onProven: () => { state.proven++ }, onHung: (reason) => { state.hung.push(reason) },
    probe: (nonce, timeoutMs) => {
      state.nonces.push(nonce)
      return state.answers ? Promise.resolve() : new Promise((_resolve, reject) => { clock.setTimeout(() => { reject(new MtorError('DEADLINE', `not within ${timeoutMs} ms`)) }, timeoutMs) })
    },
  })
  return { clock, health, state }
}

test('flows are proven by the first probe that comes back, then again and again, each with a nonce of its own', async (t) => {
  const { clock, health, state } = bench()
  health.start()
  await clock.advance(0)
  await clock.advance(20_000)
  t.is(state.proven, 1)
  t.is(state.nonces.length, 5)
  t.is(new Set(state.nonces).size, 5)
  t.like(health.state, { proven: true, misses: 0, lastMs: 0 })
  health.stop()
  await clock.advance(60_000)
  t.is(state.nonces.length, 5)
})

test('one lost probe is borne, two in a row are not; a deploy in between excuses one', async (t) => {
  const { clock, health, state } = bench()
  health.start()
  await clock.advance(1_000)
  state.answers = false
  await clock.advance(8_100)
  t.is(health.state.misses, 1)
  state.answers = true
  await clock.advance(1_000)
  t.is(health.state.misses, 0)
  state.answers = false
  await clock.advance(9_000)
  health.excuse()
  await clock.advance(5_000)
  t.deepEqual(state.hung, [])
  await clock.advance(5_000)
  t.deepEqual(state.hung, ['2 probe intents in a row did not come back: not within 4000 ms'])
  const sent = state.nonces.length
  await clock.advance(60_000)
  t.is(state.nonces.length, sent, 'it is for others to start it anew')
})

test('after a start the first probe has time, and is sent often', async (t) => {
  const { clock, health, state } = bench()
  state.answers = false
  health.start()
  await clock.advance(11_000)
  t.deepEqual(state.hung, [])
  t.is(state.nonces.length, 6)
  await clock.advance(3_000)
  t.is(state.hung.length, 1)
  health.start()
  await clock.advance(5_000)
  state.answers = true
  await clock.advance(1_000)
  t.is(state.proven, 1)
  t.is(state.hung.length, 1)
  health.stop()
})

test('an answer for a life that is over proves nothing', async (t) => {
  const { clock, health, state } = bench()
  state.answers = false
  health.start()
  health.stop()
  await clock.advance(60_000)
  t.deepEqual([state.proven, state.hung, state.nonces.length], [0, [], 1])
})
