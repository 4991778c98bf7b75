import test from 'ava'
import { cableTo, startFlows, until } from './testing.ts'
import type { Held, Instance } from './handler.ts'
import { Realm } from './realm.ts'

const TYPE = 'airlock.open'
const settings = (port: number, clientId: string) => ({ url: `mqtt://127.0.0.1:${port}`, realm: 'home', clientId, name: clientId, options: { clientId, reconnectPeriod: 100, keepalive: 15 } })

/** A realm with one node that carries out intents. */
function worker(port: number, clientId: string, begin: (realm: Realm, held: Held) => void, more: Partial<Instance> = {}) {
  const realm = new Realm(settings(port, clientId))
  const told: string[] = []
  realm.handler.handle({ id: `${clientId}-in`, type: TYPE, limit: 2, msgid: () => 'm', changed: () => {}, told: () => {}, begin: (held) => begin(realm, held), ended: (_held, event) => { told.push(event.code ?? event.state) }, ...more })
  realm.start()
  return { realm, told }
}

test.serial('of several Node-REDs that handle a type, each intent is begun by exactly one', async (t) => {
  const bench = await startFlows(t)
  const begun: string[] = []
  const workers = ['one', 'two', 'three'].map((name) => worker(bench.port, name, (realm, held) => { begun.push(held.task.id); setTimeout(() => realm.handler.report(held.task.id, { state: 'succeeded', data: { by: name } }), 5) }))
  t.teardown(() => Promise.all(workers.map(({ realm }) => realm.stop(false))))
  await until(() => bench.handlers.status().filter(({ online }) => online).length === 3)
  const ends = await Promise.all(Array.from({ length: 40 }, (_, n) => bench.carryOut(TYPE, { n })))
  t.is(ends.length, 40)
  t.is(begun.length, 40)
  t.is(new Set(begun).size, 40)
  t.true(new Set(ends.map(({ data }) => data?.by)).size > 1)
})

test.serial('a break of the connection does not begin an intent a second time: what still runs here goes on and ends it', async (t) => {
  const bench = await startFlows(t)
  const begun: Held[] = []
  const cable = await cableTo(t, bench.port)
  const { realm, told } = worker(cable.port, 'one', (_realm, held) => { begun.push(held) })
  t.teardown(() => realm.stop(false))
  const ended = bench.carryOut(TYPE, {}, { deadlineMs: 20_000 })
  await until(() => begun.length === 1)
  cable.pull()
  await until(() => begun[0]!.attempt === 2)
  realm.handler.report(begun[0]!.task.id, { state: 'succeeded', say: 'Open.' })
  t.is((await ended).say, 'Open.')
  t.is(begun.length, 1)
  t.deepEqual(told, [])
})

test.serial('a result that falls into a break of the connection arrives with the next one', async (t) => {
  const bench = await startFlows(t)
  const cable = await cableTo(t, bench.port)
  const { realm } = worker(cable.port, 'one', () => {})
  t.teardown(() => realm.stop(false))
  const ended = bench.carryOut(TYPE, {}, { deadlineMs: 20_000 })
  await until(() => realm.handler.running('one-in').length === 1)
  const [held] = realm.handler.running('one-in')
  cable.pull()
  await until(() => !realm.connection.ready)
  realm.handler.report(held!.task.id, { state: 'succeeded', say: 'Open.' })
  t.is((await ended).say, 'Open.')
})

test.serial('an offer withdrawn is forgotten, one whose handler only stops is kept', async (t) => {
  const bench = await startFlows(t)
  const intent = { type: TYPE, title: 'Open the airlock', slots: [], sentences: ['open the airlock'], actuates: false, hazardous: false, repeatable: true, deadlineMs: 5000 }
  for (const withdraw of [false, true]) {
    const realm = new Realm(settings(bench.port, 'one'))
    realm.handler.declare('define', { intent, told: () => {} })
    realm.start()
    await until(() => bench.handlers.status()[0]?.online === true)
    await realm.stop(withdraw)
    await until(() => bench.handlers.status()[0]?.online !== true)
    t.is(bench.handlers.status().length, withdraw ? 0 : 1)
  }
})
