import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import mqtt from 'mqtt'
import { uuidv7 } from '../../appliance/contracts/ids.ts'
import type { Receipt } from '../../appliance/contracts/envelope.ts'
import type { IntentEvent } from '../../appliance/contracts/events.ts'
import { topicsOf } from '../../appliance/contracts/topics.ts'
import { Appliance } from '../../hil-tests/resources/appliance.ts'
import type { NodeConfig } from './red.ts'
import { startNodeRed } from './testing-node-red.ts'
import { until } from './testing.ts'

// The whole daemon, and Node-REDs on other machines (processes of their own) with the built package.
const topics = topicsOf('bench')

async function startAppliance(t: ExecutionContext, settings: Record<string, unknown> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-flows-'))
  const appliance = new Appliance(dir, { speech: { enabled: false }, flows: { enabled: false }, ...settings })
  t.teardown(async () => { await appliance.stop(); rmSync(dir, { recursive: true, force: true }) })
  await appliance.start()
  const client = await mqtt.connectAsync(appliance.mqttUrl, { clientId: 'watcher' })
  t.teardown(() => client.endAsync(true))
  const events: IntentEvent[] = []
  let types: string[] = []
  client.on('message', (topic, payload) => {
    const message = JSON.parse(payload.toString()) as Record<string, unknown>
    if (topic === topics.catalogue) types = (message.types as { type: string; by: string }[]).filter(({ by }) => by === 'flow').map(({ type }) => type)
    else events.push(message as unknown as IntentEvent)
  })
  await client.subscribeAsync([topics.intentEvent('+'), topics.catalogue], { qos: 1 })
  const submit = async (type: string, slots: Record<string, unknown>): Promise<string> => {
    const id = uuidv7()
    await client.publishAsync(topics.submit, JSON.stringify({ v: 1, id, type, slots, source: { kind: 'mqtt', node: 'watcher' }, issuedAt: { boot: 0, mono: 0, wall: Date.now() }, ttlMs: 30_000, priority: 5 }), { qos: 1 })
    return id
  }
  return { appliance, client, events, types: () => types, submit, ends: (id: string) => events.filter((event) => event.id === id && !['accepted', 'started', 'progress'].includes(event.state)) }
}

/** A flow that carries out airlock.open after `delayMs` and says which Node-RED did. */
const flow = (url: string, by: string, delayMs: number): NodeConfig[] => [
  { id: 'f0000001', type: 'mtor-realm', url, realm: 'bench', clientId: by, reconnectS: 0.2 },
  { id: 'f0000002', type: 'tab', label: 'airlock' },
  { id: 'f0000003', z: 'f0000002', x: 1, y: 1, type: 'mtor-intent-define', realm: 'f0000001', intentType: 'airlock.open', title: 'Open the airlock', sentences: ['open the {side} airlock'], slots: [{ name: 'side', kind: 'choice', required: true, values: ['port', 'starboard'] }], repeatable: true, deadlineS: 60, wires: [] },
  { id: 'f0000004', z: 'f0000002', x: 1, y: 1, type: 'mtor-intent-in', realm: 'f0000001', intentType: 'airlock.open', concurrent: 5, wires: [['f0000005', 'f0000007'], []] },
  { id: 'f0000005', z: 'f0000002', x: 1, y: 1, type: 'function', func: `setTimeout(() => node.send({ ...msg, payload: { by: '${by}', side: msg.payload.side } }), ${delayMs})`, outputs: 1, libs: [], wires: [['f0000006']] },
  { id: 'f0000006', z: 'f0000002', x: 1, y: 1, type: 'mtor-intent-result', outcome: 'succeeded', say: 'Open.', sayType: 'str', data: 'payload', dataType: 'msg', wires: [] },
  { id: 'f0000007', z: 'f0000002', x: 1, y: 1, type: 'mtor-intent-result', outcome: 'progress', message: by, messageType: 'str', data: '', wires: [] },
]

test.serial('two Node-REDs that handle a type carry out each intent once, and a sentence of theirs is understood', async (t) => {
  const { appliance, events, types, submit, ends } = await startAppliance(t)
  for (const by of ['first', 'second']) await (await startNodeRed(t)).deploy(flow(appliance.mqttUrl, by, 20))
  await until(() => types().includes('airlock.open'))
  const ids = await Promise.all(Array.from({ length: 20 }, () => submit('airlock.open', { side: 'port' })))
  await until(() => ids.every((id) => ends(id).length > 0))
  t.true(ids.every((id) => ends(id).length === 1 && ends(id)[0]!.state === 'succeeded'))
  // Every flow that begins tells so once.
  const begun = events.filter(({ state, data }) => state === 'progress' && typeof data?.message === 'string')
  t.is(begun.length, 20)
  t.is(new Set(begun.map(({ id }) => id)).size, 20)

  const told: Record<string, unknown>[] = []
  for await (const line of appliance.control.lines('POST', '/say', { text: 'open the starboard airlock' })) told.push(line)
  t.like(told.at(-1), { event: { type: 'airlock.open', state: 'succeeded', data: { side: 'starboard' } } })
})

test.serial('an intent whose Node-RED is killed goes to the other, where it may be carried out again', async (t) => {
  const { appliance, events, types, submit, ends } = await startAppliance(t)
  const names = ['first', 'second']
  const nodeReds = []
  for (const by of names) {
    const nodeRed = await startNodeRed(t)
    await nodeRed.deploy(flow(appliance.mqttUrl, by, 3000))
    nodeReds.push(nodeRed)
  }
  await until(() => types().includes('airlock.open'))
  const id = await submit('airlock.open', { side: 'port' })
  const holder = () => events.filter((event) => event.id === id && event.state === 'progress').map(({ data }) => String(data?.message))
  await until(() => holder().length === 1)
  await nodeReds[names.indexOf(holder()[0]!)]!.kill('SIGKILL')
  await until(() => ends(id).length > 0)
  t.is(ends(id)[0]!.state, 'succeeded')
  t.is(ends(id)[0]!.data?.by, names.find((name) => name !== holder()[0]))
  t.is(ends(id).length, 1)
})

test.serial('what must be confirmed is rejected from a flow that does not say that it has asked, built-in or declared', async (t) => {
  const { appliance, client, types } = await startAppliance(t, { sequences: { lamp: [{ type: 'light.set', slots: { on: true } }] } })
  const realm = 'f0000001', z = 'f0000002', place = { realm, z, x: 1, y: 1 }
  const out = (id: string, intentType: string, more: Record<string, unknown> = {}) => ({ id, ...place, type: 'mtor-intent-out', intentType, slotsFrom: 'fields', slots: intentType === 'sequence.run' ? [{ name: 'name', value: 'lamp', valueType: 'str' }] : [], ...more, wires: [[], ['f0000020']] })
  await (await startNodeRed(t)).deploy([
    { id: realm, type: 'mtor-realm', url: appliance.mqttUrl, realm: 'bench', clientId: 'asking', reconnectS: 0.2 },
    { id: z, type: 'tab', label: 'vault' },
    { id: 'f0000003', ...place, type: 'mtor-intent-define', intentType: 'vault.open', title: 'Open the vault', sentences: ['open the vault'], slots: [], hazardous: true, deadlineS: 60, wires: [] },
    { id: 'f0000004', ...place, type: 'mtor-intent-in', intentType: 'vault.open', concurrent: 5, wires: [['f0000005'], []] },
    { id: 'f0000005', ...place, type: 'mtor-intent-result', outcome: 'succeeded', say: 'Open.', sayType: 'str', wires: [] },
    { id: 'f0000006', ...place, type: 'mtor-telemetry-in', source: 'app', appTopic: 'go', property: '', emit: 'every', wires: [['f0000010', 'f0000011', 'f0000012', 'f0000007']] },
    { id: 'f0000007', z, x: 1, y: 1, type: 'change', rules: [{ t: 'set', p: 'confirmed', pt: 'msg', to: 'true', tot: 'bool' }], wires: [['f0000013']] },
    out('f0000010', 'sequence.run'), out('f0000011', 'vault.open'), out('f0000012', 'sequence.run', { confirmed: true }), out('f0000013', 'vault.open'),
    { id: 'f0000020', z, x: 1, y: 1, type: 'debug', complete: 'payload' },
  ] as unknown as NodeConfig[])
  await until(() => types().includes('vault.open'))
  const receipts: Receipt[] = [], ended: string[] = []
  client.on('message', (topic, payload) => {
    const message = JSON.parse(payload.toString()) as Receipt & IntentEvent
    if (topic.endsWith('/receipt')) receipts.push(message)
    else if (message.state === 'succeeded') ended.push(message.type)
  })
  await client.subscribeAsync(topics.receipt('+'), { qos: 1 })
  await client.publishAsync(`${topics.root}/app/go`, '{}', { qos: 1 })
  await until(() => receipts.length === 4 && ended.length === 3)
  t.deepEqual(receipts.map(({ accepted, code }) => accepted ? 'accepted' : code).sort(), ['NOT_CONFIRMED', 'NOT_CONFIRMED', 'accepted', 'accepted'])
  // The light is the step of the sequence.
  t.deepEqual(ended.sort(), ['light.set', 'sequence.run', 'vault.open'])
})
