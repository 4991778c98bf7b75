import test from 'ava'
import mqtt from 'mqtt'
import { PROTOCOL_VERSION, type Envelope, type Receipt } from '../../contracts/envelope.ts'
import { toMtorError } from '../../contracts/errors.ts'
import { envelope as makeEnvelope } from '../../bus/testing.ts'
import { TestEtcd } from '../../journal/etcd/harness.ts'
import { becomes, three } from '../testing.ts'
import { heard, isMet, topics, withBus } from './testing.ts'

let etcd: TestEtcd
test.before(async () => { etcd = await TestEtcd.make(1) })
test.after.always(async () => { await etcd.dispose() })

/** Three nodes that record what is submitted in one journal on etcd. */
async function nodes(t: Parameters<typeof three>[0]) {
  const realm = `bus-${process.hrtime.bigint()}`
  const all = await Promise.all((await three(t)).map(async (node) => {
    const harness = await etcd.journal({ realm, node: node.node })
    t.teardown(() => harness.dispose())
    const { journal } = harness
    const one = await withBus(t, node, { bus: {
      submit: async (given, { client }) => {
        const envelope = given as Envelope
        try {
          const outcome = await journal.accept({ envelope, client, acceptedAt: node.hub.now() })
          if (outcome === 'accepted') node.hub.intent({ id: envelope.id, type: envelope.type, state: 'accepted' })
          return { v: PROTOCOL_VERSION, id: envelope.id, accepted: outcome !== 'conflict', ...(outcome === 'duplicate' ? { duplicate: true } : {}), at: node.hub.now() } satisfies Receipt
        } catch (error) { return { v: PROTOCOL_VERSION, id: envelope.id, accepted: false, code: toMtorError(error).code, at: node.hub.now() } satisfies Receipt }
      },
    } })
    return Object.assign(one, { journal })
  }))
  await becomes('all have met', () => all.every((node) => isMet(node)))
  return all
}

test('one envelope submitted at all nodes at once is accepted once; every submitter has its receipt, at its own node', async (t) => {
  const all = await nodes(t)
  const clients = await Promise.all(all.map(async (node) => { const client = await node.client(); return { client, ...await heard(client, [topics.receipt('+'), topics.intentEvent('+')]) } }))
  for (let i = 0; i < 10; i++) {
    const envelope = makeEnvelope(all[0]!.hub)
    await Promise.all(clients.map(({ client }) => client.publishAsync(topics.submit, JSON.stringify(envelope), { qos: 1 })))
    await becomes('all three receipts are at every node', () => clients.every(({ texts }) => texts(topics.receipt(envelope.id)).length === 3))
    for (const { texts } of clients) {
      const receipts = texts(topics.receipt(envelope.id)).map((text) => JSON.parse(text) as Receipt)
      t.deepEqual(receipts.map(({ accepted }) => accepted), [true, true, true])
      t.is(receipts.filter(({ duplicate }) => !duplicate).length, 1)
    }
    await becomes('the event is at every node', () => clients.every(({ texts }) => texts(topics.intentEvent(envelope.id)).length > 0))
    for (const { texts } of clients) t.is(texts(topics.intentEvent(envelope.id)).length, 1)
  }
  t.is((await all[2]!.journal.unfinished()).length, 10)
})

test('a client that lost its node before it was answered submits again at another: nothing is accepted twice, and what it missed comes', async (t) => {
  const [a, b] = await nodes(t)
  const envelope = makeEnvelope(a!.hub)
  const connect = (port: number) => mqtt.connect({ host: '127.0.0.1', port, reconnectPeriod: 0, clientId: 'rover', clean: false })
  const first = connect(a!.mqttPort())
  first.on('error', () => {})
  await first.subscribeAsync(topics.intentEvent('+'), { qos: 1 })
  await becomes('b knows its subscription', () => b!.mesh.client('rover')?.subs.length === 1)
  const events: string[] = []
  const note = (payload: Buffer) => { events.push((JSON.parse(payload.toString()) as { state: string }).state) }
  first.on('message', (_, payload) => note(payload))
  // Its connection breaks as soon as the submission is on its way.
  first.publish(topics.submit, JSON.stringify(envelope), { qos: 1 })
  await becomes('it is accepted', () => a!.bus.stats().submissions === 1)
  first.stream.destroy()
  const second = connect(b!.mqttPort())
  t.teardown(() => { second.end(true) })
  const receipts: Receipt[] = []
  second.on('message', (topic, payload) => { if (topic.endsWith('/event')) note(payload); else receipts.push(JSON.parse(payload.toString()) as Receipt) })
  await second.subscribeAsync(topics.receipt(envelope.id), { qos: 1 })
  await second.publishAsync(topics.submit, JSON.stringify(envelope), { qos: 1 })
  await becomes('it is answered', () => receipts.some(({ duplicate }) => duplicate === true))
  t.is((await b!.journal.unfinished()).length, 1)
  await becomes('the event of the acceptance has come to it, here or there', () => events.includes('accepted'))
})
