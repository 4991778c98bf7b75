import test from 'ava'
import { systemClock as clock } from '../../contracts/clock.ts'
import { uuidv7 } from '../../contracts/ids.ts'
import { Handlers } from '../../dispatch/index.ts'
import { becomes, three } from '../testing.ts'
import { isMet, topics, withBus, type BusNode } from './testing.ts'

/** Three nodes, each with handlers of its own. */
async function nodesWithHandlers(t: Parameters<typeof three>[0]) {
  const made = await Promise.all((await three(t)).map(async (node) => {
    const kept = new Map<string, unknown>()
    const handlers: Handlers = new Handlers({
      hub: node.hub, clock, topics, isVacant: () => false, check: () => [], learn: async () => ({ unknownWords: [] }),
      values: { put: async (key, value) => { if (value === undefined) kept.delete(key); else kept.set(key, value) }, read: async (key) => kept.get(key), keys: async (prefix) => [...kept.keys()].filter((key) => key.startsWith(prefix)) },
      publish: (topic, payload, options) => one.bus.publish(topic, payload, options),
    })
    t.teardown(() => handlers.stop())
    const one: BusNode = await withBus(t, node, { bus: { handlers } })
    return Object.assign(one, { handlers })
  }))
  await becomes('all have met', () => made.every((node) => isMet(node)))
  return made as [BusNode & { handlers: Handlers }, BusNode & { handlers: Handlers }, BusNode & { handlers: Handlers }]
}
const declared = (type: string, repeatable: boolean) => ({ type, title: 'Open the airlock', slots: [], sentences: [], actuates: false, hazardous: false, repeatable, deadlineMs: 60_000 })

/** A program that carries out intents of one type at one node. */
async function handler(node: BusNode, clientId: string, type: string, { repeatable = true, answers = true } = {}) {
  const client = await node.client({ clientId })
  const seen: string[] = []
  const receipts: unknown[] = []
  const grants: (string | undefined)[] = []
  await client.subscribeAsync([topics.task('+'), topics.grant('+'), topics.handlerReceipt(clientId)], { qos: 1 })
  client.on('message', (topic, payload) => {
    const message = JSON.parse(payload.toString()) as { id?: string; type?: string; handler?: string; attempt: number }
    const id = topic.split('/')[4]!
    if (topic.endsWith('/grant')) grants.push(message.handler)
    if (topic.endsWith('/receipt')) receipts.push(message)
    else if (topic.endsWith('/task') && message.type === type) client.publish(topics.claim(id), JSON.stringify({ v: 1, handler: clientId, instance: 'i', attempt: message.attempt }), { qos: 1 })
    // Every claim is answered, also a late one: who has it once does it once.
    else if (topic.endsWith('/grant') && message.handler === clientId && !seen.includes(id)) {
      seen.push(id)
      if (answers) client.publish(topics.work(id), JSON.stringify({ v: 1, handler: clientId, instance: 'i', attempt: message.attempt, state: 'succeeded', say: `done by ${clientId}` }), { qos: 1 })
    }
  })
  await client.publishAsync(topics.handlerOffer(clientId), JSON.stringify({ v: 1, online: true, handles: [type], declares: [declared(type, repeatable)], answers: [] }), { qos: 1, retain: true })
  return { client, seen, receipts, grants }
}
const ask = (node: { handlers: Handlers; node: string }, type: string) => node.handlers.run({ id: uuidv7(), type, slots: {}, source: { kind: 'mqtt', node: node.node } }, { deadlineMs: 60_000, signal: new AbortController().signal, progress: () => {} })

test('a handler at one node carries out what another node asks for, and its offer is answered once', async (t) => {
  const [a, b] = await nodesWithHandlers(t)
  const flow = await handler(b, 'flow-b', 'airlock.open')
  await becomes('a knows the handler', () => a.handlers.handles('airlock.open'))
  t.is((await ask(a, 'airlock.open')).say, 'done by flow-b')
  t.is(flow.seen.length, 1)
  t.is(flow.receipts.length, 1)
  t.true(flow.grants.every((name) => name === 'flow-b'), 'a node that did not ask says nothing about who has it')
})

test('of two handlers at two nodes exactly one gets an intent', async (t) => {
  const [a, b, c] = await nodesWithHandlers(t)
  const flows = [await handler(b, 'flow-b', 'airlock.close'), await handler(c, 'flow-c', 'airlock.close')]
  await becomes('a knows both', () => a.handlers.status().filter(({ online }) => online).length === 2)
  for (let i = 0; i < 10; i++) await ask(a, 'airlock.close')
  t.is(flows.reduce((sum, { seen }) => sum + seen.length, 0), 10)
})

test('a handler whose node is lost is gone: what it had is given to another, and it is back with its node', async (t) => {
  const [a, b, c] = await nodesWithHandlers(t)
  await handler(b, 'flow-b', 'airlock.cycle', { answers: false })
  await becomes('a knows the handler', () => a.handlers.handles('airlock.cycle'))
  const asked = ask(a, 'airlock.cycle')
  const lost = await handler(c, 'flow-c', 'airlock.cycle')
  await becomes('a knows both', () => a.handlers.status().filter(({ online }) => online).length === 2)
  await b.peers.stop()
  t.is((await asked).say, 'done by flow-c')
  t.is(lost.seen.length, 1)
  t.is(a.handlers.status().find(({ client }) => client === 'flow-b')!.online, false)
  await b.peers.start()
  await becomes('it is back', () => a.handlers.status().find(({ client }) => client === 'flow-b')!.online)
})

test('a handler that ends at its own node is gone at all', async (t) => {
  const [a, b] = await nodesWithHandlers(t)
  const flow = await handler(b, 'flow-b', 'airlock.vent')
  await becomes('a knows the handler', () => a.handlers.handles('airlock.vent'))
  await flow.client.endAsync()
  await becomes('a knows that it is gone', () => !a.handlers.handles('airlock.vent'))
  t.false(b.handlers.handles('airlock.vent'))
})

test('a probe proves the handlers of its own node: one at another node does not answer for them', async (t) => {
  const [a, b] = await nodesWithHandlers(t)
  const there = await handler(b, 'flow-b-probe', 'airlock.probe')
  await becomes('a knows the handler', () => a.handlers.handles('airlock.probe'))
  await t.throwsAsync(a.handlers.probe('airlock.probe', {}, 700), { code: 'DEADLINE' })
  t.is(there.seen.length, 0)
  const here = await handler(a, 'flow-a-probe', 'airlock.probe')
  t.is((await a.handlers.probe('airlock.probe', {}, 20_000)).say, 'done by flow-a-probe')
  t.is(here.seen.length, 1)
})
