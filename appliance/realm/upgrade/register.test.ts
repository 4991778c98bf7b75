import test from 'ava'
import { systemClock as clock } from '../../contracts/clock.ts'
import { SqliteJournal } from '../../journal/index.ts'
import { sampleInput } from '../../journal/contract.ts'
import { TestEtcd } from '../../journal/etcd/harness.ts'
import { EtcdJournal } from '../../journal/etcd/index.ts'
import { join } from 'node:path'
import type { SystemEventInput } from '../../contracts/events.ts'
import { becomes, temporary } from '../testing.ts'
import { RealmJournal } from '../work/index.ts'
import { VersionRegister } from './register.ts'
import type { Versions } from './versions.ts'

let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make(1) })
test.after.always(async () => { await etcd.dispose() })

const at = (n: number): Versions => ({ software: `0.${n}.0`, protocol: n, schema: n, envelope: 1 })
const realmName = () => `v${process.hrtime.bigint()}`
const register = (realm: string, node: string, own: Versions, members = ['a', 'b', 'c']) => new VersionRegister({ realm, node, own, clock, etcd: () => ({ endpoints: etcd.endpoints }), members: () => members })

test('every node registers what it runs, also anew after an upgrade, and all read it', async (t) => {
  const realm = realmName()
  await register(realm, 'a', at(2)).enter()
  await register(realm, 'b', at(3)).enter()
  await register(realm, 'a', at(3)).enter()
  t.deepEqual(await register(realm, 'c', at(3)).read(), new Map([['a', at(3)], ['b', at(3)]]))
  t.deepEqual(await register(realm, 'c', at(3), ['b', 'c']).read(), new Map([['b', at(3)]]), 'who is no member any more counts no more')
})

test('a node that is too old for the others is refused, whether they are there or away', async (t) => {
  const realm = realmName()
  await register(realm, 'a', at(3)).enter()
  const error = await t.throwsAsync(register(realm, 'b', at(1)).enter(), { code: 'VERSION_MISMATCH' })
  t.regex(error!.message, /a \(0\.3\.0\) has link protocol 3, expected 2; journal schema 3, expected 2/)
  t.false((await register(realm, 'c', at(2)).read()).has('b'))
})

test('a node that is too new for one that works is refused; one that is away keeps nobody out', async (t) => {
  const realm = realmName()
  await register(realm, 'a', at(1)).enter()
  const journal = new EtcdJournal(etcd.options({ realm, node: 'a' }))
  await journal.start()
  await t.throwsAsync(register(realm, 'b', at(3)).enter(), { code: 'VERSION_MISMATCH' })
  await journal.stop()
  await register(realm, 'b', at(3)).enter()
  await t.throwsAsync(register(realm, 'a', at(1)).enter(), { code: 'VERSION_MISMATCH' })
})

test('a node that does not fit opens no journal, says why once, and works as soon as it fits', async (t) => {
  const realm = realmName()
  const folder = await temporary(t)
  await register(realm, 'a', at(3)).enter()
  const events: SystemEventInput[] = []
  let versions = at(1), made = 0
  const local = new SqliteJournal({ file: join(folder, 'journal.sqlite'), clock, maxFinished: 100, archiveMaxBytes: 1e7, onEvent: () => {} })
  const journal = new RealmJournal({
    local, clock, startWaitMs: 700, onEvent: (event) => { events.push(event) },
    admit: () => register(realm, 'b', versions).enter(),
    make: (onEvent) => { made += 1; return new EtcdJournal(etcd.options({ realm, node: 'b', onEvent })) },
  })
  t.teardown(() => journal.stop())
  await journal.start()
  await becomes('it was tried again', () => made >= 3)
  t.false(journal.hasQuorum)
  await t.throwsAsync(journal.accept(sampleInput()), { code: 'VERSION_MISMATCH' })
  const told = () => events.filter(({ code, severity }) => code === 'VERSION_MISMATCH' && severity === 'critical')
  t.is(told().length, 1)
  t.regex(told()[0]!.say!, /does not fit/)
  versions = at(2)
  await becomes('it works', () => journal.hasQuorum)
  t.is(await journal.accept(sampleInput()), 'accepted')
})
