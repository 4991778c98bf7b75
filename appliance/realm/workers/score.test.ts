import test from 'ava'
import type { WorkerStatus } from '../../inference/port.ts'
import { expectedMs } from './expected.ts'
import { modelScore, nodeScore } from './score.ts'

const idle: WorkerStatus = { worker: 'text-1', group: 'text', state: 'idle', restarts: 0, provenAgeMs: 10 }
const ready = { state: 'ready', circuit: 'closed' } as const
const calm = { load1: 0.5, memory: 0.5 }

test('a model that is proven, idle and without a recent fault has 100', (t) => {
  t.deepEqual(modelScore(ready, [idle], 0, undefined), { score: 100 })
})

for (const [why, model, workers] of [
  ['its files are not the right ones', { state: 'untrusted', circuit: 'closed' }, [idle]],
  ['it cannot be loaded', { state: 'broken', circuit: 'closed' }, [idle]],
  ['it has failed too often', { state: 'ready', circuit: 'open' }, [idle]],
  ['it has failed too often', { state: 'ready', circuit: 'half-open' }, [idle]],
  ['its worker is lost', ready, [{ ...idle, state: 'down' }]],
  ['its worker is lost', ready, [{ ...idle, state: 'starting' }]],
] as const) test(`0 at once: ${why} (circuit ${model.circuit}, worker ${workers[0].state})`, (t) => { t.deepEqual(modelScore(model, workers as never, 0, undefined), { score: 0, why }) })

test('a fault weighs less as it is longer ago, and is forgiven after a minute', (t) => {
  t.deepEqual([0, 30_000, 60_000, 90_000].map((age) => modelScore(ready, [idle], 0, age).score), [70, 85, 100, 100])
})

test('waiting requests and a model that is not loaded cost, within limits', (t) => {
  t.deepEqual([1, 4, 50].map((queue) => modelScore(ready, [idle], queue, undefined).score), [90, 60, 60])
  t.deepEqual(modelScore({ state: 'cold', circuit: 'closed' }, [], 0, undefined), { score: 50, why: 'it is not loaded' })
})

test('a node has the mean of its models, less what strains the board', (t) => {
  t.deepEqual(nodeScore([{ score: 100 }, { score: 0, why: 'it cannot be loaded' }], calm), { score: 50, why: 'it cannot be loaded' })
  t.deepEqual(nodeScore([{ score: 100 }], { load1: 3, memory: 0.5 }), { score: 80, why: 'the processor is overloaded' })
  t.deepEqual(nodeScore([{ score: 100 }], { load1: 0, memory: 0.05 }), { score: 90, why: 'memory is short' })
  t.deepEqual(nodeScore([], calm), { score: 0, why: 'no model is here' })
})

test('what is expected: the queue, the run, the way, and loading where it is not loaded', (t) => {
  t.is(expectedMs({ p50Ms: 40, queue: 2, rttMs: 5, isLoaded: true }), 125)
  t.true(expectedMs({ p50Ms: 10, queue: 0, rttMs: 1, isLoaded: false }) > expectedMs({ p50Ms: 400, queue: 3, rttMs: 100, isLoaded: true }))
})
