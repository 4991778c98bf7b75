import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import test from 'ava'
import { systemClock, type Clock } from '../../contracts/clock.ts'
import { becomes, bench, talker } from './testing.ts'

const GPU = { providers: ['tensorrt', 'cuda', 'cpu'] }

test('the first provider that can be had is chosen, with an event that says why not the others', async (t) => {
  const b = await bench(t, {}, (folder) => [talker(folder, GPU, { missing: ['tensorrt'] })])
  await b.supervisor.warm('talker')
  t.like(b.providers[0], { provider: 'cuda', tried: [{ provider: 'tensorrt', error: 'not in this build' }] })
  t.regex((await b.event('provider.chosen')).message!, /runs on cuda .* not on tensorrt \(not in this build\)/)
})

test('a lost GPU puts its provider aside; the request is answered on the next one', async (t) => {
  const b = await bench(t, {}, (folder) => [talker(folder, GPU, { missing: ['tensorrt'] })])
  const answer = await b.supervisor.run('read', 'talker', { image: 'once back gpu' }, { deadlineMs: 20_000 })
  t.like(answer, { provider: 'cpu', output: { text: 'back' } })
  const demoted = await b.event('provider.demoted')
  t.like(demoted, { severity: 'warning', data: { provider: 'cuda', scope: { group: 'text' }, coolDownMs: 30_000 } })
  t.like(b.supervisor.faults()[0], { kind: 'provider', provider: 'cuda', detail: 'CUDA failure 719' })
})

test('a GPU whose memory is taken when a model is loaded is put aside, and the model goes back to it after the pause', async (t) => {
  let aheadMs = 0
  const clock: Clock = { ...systemClock, monoMs: () => systemClock.monoMs() + aheadMs }
  const b = await bench(t, {}, (folder) => [talker(folder, GPU, { missing: ['tensorrt'], full: ['cuda'] })], { clock })
  await b.supervisor.warm('talker')
  t.is(b.supervisor.status().models[0]!.provider, 'cpu')
  t.like((await b.event('provider.demoted')).data, { provider: 'cuda', scope: { group: 'text' }, coolDownMs: 30_000, reason: 'out of memory' })
  aheadMs = 31_000
  await becomes('on cuda', () => b.supervisor.status().models[0]!.provider === 'cuda')
})

test('a provider that gives wrong known answers at the load is put aside for that model', async (t) => {
  const b = await bench(t, {}, (folder) => [talker(folder, GPU, { missing: ['tensorrt'], lying: ['cuda'] })])
  const { provider } = await b.supervisor.run('read', 'talker', { image: 'say hello' }, { deadlineMs: 20_000 })
  t.is(provider, 'cpu')
  t.like((await b.event('provider.demoted')).data, { provider: 'cuda', scope: { model: 'talker' } })
})

test('the governor moves a model between requests, and back', async (t) => {
  const b = await bench(t, { idleProofMs: 100 }, (folder) => [talker(folder, GPU, { missing: ['tensorrt'] })])
  await b.supervisor.warm('talker')
  const provider = () => b.supervisor.status().models[0]!.provider
  t.is(provider(), 'cuda')
  const { pid } = b.supervisor.status().workers[0]!
  b.supervisor.throttle({ frameRateFactor: 0.5, excludeProviders: ['cuda'], reason: '90 °C' })
  await becomes('on the cpu', () => provider() === 'cpu')
  t.is((await b.supervisor.run('read', 'talker', { image: 'say hello' }, { deadlineMs: 20_000 })).provider, 'cpu')
  b.supervisor.throttle({ frameRateFactor: 1 })
  await becomes('on cuda again', () => provider() === 'cuda')
  t.is(b.supervisor.status().workers[0]!.pid, pid)
})

test('an Xid in the kernel log puts NVIDIA\'s providers aside everywhere; a harmless one is only told', async (t) => {
  const folder = await bench(t).then(({ stateDir }) => stateDir)
  const log = join(folder, 'kernel.log')
  await writeFile(log, '')
  const b = await bench(t, {}, (at) => [talker(at, GPU, { missing: ['tensorrt'] })], { kernelLog: ['tail', ['-n', '0', '-s', '0.05', '-f', log]] })
  await b.supervisor.warm('talker')
  t.is(b.supervisor.status().models[0]!.provider, 'cuda')
  const write = async (code: number) => { await writeFile(log, `[ 12.5] NVRM: Xid (PCI:0000:03:00): ${code}, pid=1234, name=node, what happened\n`, { flag: 'a' }) }
  // Until tail follows: a line that comes before is passed over.
  let code = 63
  const timer = setInterval(() => { void write(code) }, 50)
  try {
    t.is((await b.event('gpu.xid')).severity, 'info')
    t.false(b.events.some(({ name }) => name === 'provider.demoted'))
    code = 79
    await b.event('provider.demoted', ({ data }) => data!['provider'] === 'cuda' && data!['scope'] === 'all')
  } finally { clearInterval(timer) }
  await becomes('on the cpu', () => b.supervisor.status().models[0]!.provider === 'cpu')
})

test('what CUDA takes of a process does not count as the model\'s own memory', async (t) => {
  for (const { providers, large } of [{ providers: ['cuda'], large: false }, { providers: ['cpu'], large: true }]) {
    const b = await bench(t, { maxRssMB: 150, idleProofMs: 100 }, (folder) => [talker(folder, { providers })])
    await b.supervisor.run('read', 'talker', { image: 'leak 190 kept' }, { deadlineMs: 20_000 })
    await new Promise((resolve) => { setTimeout(resolve, 500) })
    t.is(b.events.some(({ name }) => name === 'worker.large'), large, providers.join())
    await b.supervisor.stop()
  }
})
