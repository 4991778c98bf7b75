import test from 'ava'
import { setTimeout } from 'node:timers/promises'
import { MtorError } from '../../contracts/errors.ts'
import { sampleInput } from '../contract.ts'
import { TestEtcd } from './harness.ts'

const until = async (what: () => boolean) => { while (!what()) await setTimeout(10) }

async function realm(t: { teardown(fn: () => Promise<void>): void }, overrides: Parameters<TestEtcd['journal']>[0] = {}) {
  const etcd = await TestEtcd.make(3)
  t.teardown(() => etcd.dispose())
  const harness = await etcd.journal(overrides)
  t.teardown(() => harness.dispose())
  return { etcd, ...harness, harness, journal: harness.journal }
}

test.serial('the leader is killed −9 under load: nothing acknowledged is lost, nothing is there twice', async (t) => {
  const { etcd, journal } = await realm(t, { timeoutMs: 5_000 })
  const acknowledged: string[] = []
  let running = true
  const load = Promise.all(Array.from({ length: 8 }, async () => {
    while (running) {
      const input = sampleInput()
      t.is(await journal.accept(input), 'accepted', 'also where the reply to the first attempt was lost')
      acknowledged.push(input.envelope.id)
      t.true(await journal.finish(input.envelope.id, { state: 'succeeded' }))
    }
  }))
  for (let kill = 0; kill < 2; kill++) {
    const before = acknowledged.length
    await until(() => acknowledged.length > before + 50)
    const leader = await etcd.leader()
    leader.kill()
    const after = acknowledged.length
    await until(() => acknowledged.length > after + 50)
    await leader.ready(10_000)
  }
  running = false
  await load
  for (let at = 0; at < acknowledged.length; at += 50) {
    const states = await Promise.all(acknowledged.slice(at, at + 50).map(async (id) => (await journal.get(id))?.state))
    t.true(states.every((state) => state === 'succeeded'))
  }
})

test.serial('without a majority requests are refused with NO_QUORUM, then at once, until it is back', async (t) => {
  const { etcd, journal, harness } = await realm(t)
  const input = sampleInput()
  await journal.accept(input)
  const others = etcd.members.slice(1)
  for (const member of others) member.signal('SIGSTOP')
  const refused = await t.throwsAsync(journal.accept(sampleInput()), { instanceOf: MtorError, code: 'NO_QUORUM', message: 'this node cannot reach a majority of the nodes' })
  t.regex(refused!.hint, /mtor realm status/)
  t.regex(String(refused!.data?.cause), /no leader/, 'what etcd said is for the log')
  const event = harness.events.find(({ name }) => name === 'journal.unavailable')
  t.is(event?.code, 'NO_QUORUM')
  t.notRegex(event!.message!, /etcdserver/)
  t.regex(String(event!.data?.['cause']), /no leader/)
  const untouched = journal.client.waiting
  await t.throwsAsync(journal.accept(sampleInput()), { instanceOf: MtorError, code: 'NO_QUORUM' })
  t.true(journal.client.waiting <= untouched + 1, 'etcd is not asked for each')
  await t.throwsAsync(journal.unfinished(), { instanceOf: MtorError, code: 'NO_QUORUM' }, 'nothing is read that may be old')
  await until(() => harness.events.some(({ name }) => name === 'journal.lease-lost'))
  t.false(journal.lease.held)
  for (const member of others) member.signal('SIGCONT')
  await until(() => harness.events.some(({ name }) => name === 'journal.recovered'))
  t.is(await journal.accept(input), 'duplicate')
  t.is(await journal.accept(sampleInput()), 'accepted')
  await until(() => journal.lease.held)
})

test.serial('the own member stands still: the next one is asked, and the own one again when it goes on', async (t) => {
  const { etcd, journal } = await realm(t)
  const member = etcd.members[0]!
  member.signal('SIGSTOP')
  const seen: string[] = []
  journal.watchNodes((node) => { seen.push(node) })
  for (let i = 0; i < 10; i++) t.is(await journal.accept(sampleInput()), 'accepted')
  t.not(journal.client.choose().url, etcd.endpoints[0])
  const other = await etcd.journal({ realm: 'x', node: 'x' })
  await other.dispose()
  member.signal('SIGCONT')
  await until(() => journal.client.choose().url === etcd.endpoints[0])
  t.is((await journal.unfinished()).length, 10)
})

test.serial('nobody answers: JOURNAL_UNAVAILABLE, and a start can be repeated when etcd is there', async (t) => {
  const etcd = await TestEtcd.make(1)
  t.teardown(() => etcd.dispose())
  await etcd.members[0]!.stop()
  const { journal } = await etcd.journal({ realm: 'y' }).catch(() => ({ journal: undefined }))
  t.is(journal, undefined)
  const options = etcd.options({ realm: 'y' })
  const { EtcdJournal } = await import('./journal.ts')
  const late = new EtcdJournal(options)
  t.teardown(() => late.stop())
  await t.throwsAsync(late.start(), { instanceOf: MtorError, code: 'JOURNAL_UNAVAILABLE' })
  await etcd.members[0]!.start()
  await etcd.members[0]!.ready(10_000)
  await late.start()
  t.is(await late.accept(sampleInput()), 'accepted')
})
