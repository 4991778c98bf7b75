import test from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import { ProviderPolicy } from './policy.ts'
import { talker } from './testing.ts'

const usual = { providers: ['tensorrt', 'cuda', 'cpu'], models: {} }
const { manifest } = talker('/tmp', { providers: undefined })

test('the list is that of the node, before it that of the model, before that what its configuration says', (t) => {
  const policy = new ProviderPolicy(new ManualClock(), { ...usual, models: { fixed: { providers: ['cpu'] } } })
  t.deepEqual(policy.list(manifest, 'text'), ['tensorrt', 'cuda', 'cpu'])
  t.deepEqual(policy.list({ ...manifest, providers: ['cuda'] }, 'text'), ['cuda'])
  t.deepEqual(policy.list({ ...manifest, name: 'fixed', providers: ['cuda'] }, 'text'), ['cpu'])
})

test('a provider that failed is put aside for 30 s, then for twice as long each time, up to an hour', async (t) => {
  const clock = new ManualClock()
  const policy = new ProviderPolicy(clock, usual)
  const pauses: number[] = []
  for (let i = 0; i < 9; i++) {
    const pauseMs = policy.demote('cuda', { group: 'text' })
    pauses.push(pauseMs / 1_000)
    t.deepEqual(policy.list(manifest, 'text'), ['tensorrt', 'cpu'])
    t.deepEqual(policy.list(manifest, 'vision'), ['tensorrt', 'cuda', 'cpu'])
    await clock.advance(pauseMs)
    t.deepEqual(policy.list(manifest, 'text'), ['tensorrt', 'cuda', 'cpu'])
  }
  t.deepEqual(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600])
  await clock.advance(3600_000)
  t.is(policy.demote('cuda', { group: 'text' }), 30_000)
})

test('one fault that several workers meet counts once, and the CPU is never put aside', async (t) => {
  const clock = new ManualClock()
  const policy = new ProviderPolicy(clock, usual)
  t.is(policy.demote('cuda', 'all'), 30_000)
  await clock.advance(1_000)
  t.is(policy.demote('cuda', 'all'), 29_000)
  t.is(policy.demote('cpu', 'all'), 0)
  t.deepEqual(policy.list(manifest, 'vision'), ['tensorrt', 'cpu'])
})

test('what the governor excludes is left out, but never the CPU', (t) => {
  const policy = new ProviderPolicy(new ManualClock(), usual)
  policy.throttle(['tensorrt', 'cuda', 'cpu'])
  t.deepEqual(policy.list(manifest, 'text'), ['cpu'])
  policy.throttle([])
  t.deepEqual(policy.list(manifest, 'text'), ['tensorrt', 'cuda', 'cpu'])
})

test('a move is due away from what is excluded, and back to what was not offered, but not to what was tried in vain', async (t) => {
  const clock = new ManualClock()
  const policy = new ProviderPolicy(clock, usual)
  const isDue = (provider: string, offered: string[]) => policy.isMoveDue(manifest, 'text', provider, offered)
  t.false(isDue('cpu', ['tensorrt', 'cuda', 'cpu']))
  t.false(isDue('own', []))
  policy.throttle(['cuda'])
  t.true(isDue('cuda', ['tensorrt', 'cuda', 'cpu']))
  t.false(isDue('cpu', ['tensorrt', 'cpu']))
  policy.throttle([])
  t.true(isDue('cpu', ['tensorrt', 'cpu']))
  policy.demote('cuda', { model: manifest.name })
  t.false(isDue('cpu', ['tensorrt', 'cpu']))
  await clock.advance(30_000)
  t.true(isDue('cpu', ['tensorrt', 'cpu']))
  policy.stillFailing('cuda', manifest, 'text')
  t.false(isDue('cpu', ['tensorrt', 'cpu']))
  await clock.advance(59_000)
  t.false(isDue('cpu', ['tensorrt', 'cpu']))
  await clock.advance(1_000)
  t.true(isDue('cpu', ['tensorrt', 'cpu']))
  policy.stillFailing('tensorrt', manifest, 'text')
  t.deepEqual(policy.list(manifest, 'text'), ['tensorrt', 'cuda', 'cpu'])
})
