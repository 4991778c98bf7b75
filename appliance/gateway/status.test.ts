import test from 'ava'
import type { Driver } from '../../drivers/port.ts'
import { ManualClock } from '../contracts/clock.ts'
import { Hub } from '../contracts/hub.ts'
import { topicsOf } from '../contracts/topics.ts'
import { DeviceStates, type RealmDevices } from './device-states.ts'
import * as show from './show.ts'
import { Status, type StatusParts } from './status.ts'

const topics = topicsOf('home')

/** A status of nothing but these devices; what it publishes of them. */
function statusOf(t: import('ava').ExecutionContext, drivers: readonly { id: string; connected: boolean; state(): Record<string, unknown> }[]) {
  const published: string[] = []
  const status = new Status({
    version: '0', hub: new Hub(new ManualClock(), 'base'), drivers: drivers as readonly Driver[], guard: { mode: 'normal', armed: true }, topics, speech: () => ({ state: 'off' }),
    publish: (topic: string) => { if (topic.includes('/device/')) published.push(topic) },
  } as unknown as StatusParts)
  t.teardown(() => status.stop())
  status.start()
  return published
}

test('the state of a device is told again although it stays as it is, but not that of a lost one', async (t) => {
  let ageMs = 0
  const published = statusOf(t, [{ id: 'hot', connected: true, state: () => ({ connected: true, temperatureC: 70, ageMs: ageMs++ }) }, { id: 'lost', connected: false, state: () => ({ connected: false, temperatureC: 70, ageMs: ageMs++ }) }])
  const of = (device: string) => published.filter((topic) => topic === topics.deviceState(device)).length
  while (of('hot') < 3) await new Promise((done) => setTimeout(done, 50))
  t.is(of('lost'), 1)
})

/** Nodes that hear each other, with the states of one rover; `look` has each of them look at it, in this order. */
function nodesOf(names: readonly string[], wired: readonly string[]) {
  const said: { node: string; state: Record<string, unknown> }[] = []
  const online = new Set(names)
  let commands: string | undefined
  const nodes = names.map((node) => {
    const realm: RealmDevices = {
      ids: () => ['rover'], mayCommand: () => node === commands, online: () => [...online].filter((other) => other !== node),
      last: () => said.length === 0 ? undefined : { id: String(said.length), node: said.at(-1)!.node, payload: Buffer.from(JSON.stringify(said.at(-1)!.state)) },
    }
    const driver = { id: 'rover', connected: true, state: () => ({ connected: true, batteryV: node === 'a' ? 12 : 11 }) } as unknown as Driver
    const states = new DeviceStates({ node, drivers: wired.includes(node) ? [driver] : [], topics, realm, publish: (_, state) => { said.push({ node, state: state as Record<string, unknown> }) } })
    return { node, states }
  })
  return {
    said, online, command: (node: string | undefined) => { commands = node },
    look: (times = 1) => { for (let i = 0; i < times; i++) for (const { node, states } of nodes) if (online.has(node)) states.look() },
  }
}

test('of the nodes that have a line to a device only the one that commands it publishes its state, and says that it does', (t) => {
  const { said, look, command } = nodesOf(['a', 'b', 'w'], ['a', 'b'])
  command('b')
  look(3)
  t.deepEqual(said, [{ node: 'b', state: { connected: true, batteryV: 11, node: 'b' } }])
  command('a')
  look(3)
  t.deepEqual(said.slice(1), [{ node: 'a', state: { connected: true, batteryV: 12, node: 'a' } }])
})

test('a device that no node commands any more is said to be not connected, once and by one node, until one commands it', (t) => {
  const { said, look, command, online } = nodesOf(['a', 'b', 'w'], ['a'])
  command('a')
  look()
  online.delete('a')
  look(30)
  t.deepEqual(said.slice(1), [{ node: 'b', state: { connected: false, node: 'b' } }])
  online.add('a')
  look()
  t.deepEqual(said.at(-1), { node: 'a', state: { connected: true, batteryV: 12, node: 'a' } }, 'it says so again although it has never said anything else')
  look(3)
  t.is(said.length, 3)
})

test('the printed status says of a device whether this node commands it, and else which one does', (t) => {
  const line = (command: object) => show.status({ devices: { rover: { connected: true, batteryV: 12, command } } })
  t.is(line({ here: 'stands by', owner: 'a', epoch: 7 }), 'device rover  connected, stands by (a commands it, epoch 7), batteryV 12')
  t.is(line({ here: 'commands', owner: 'b', epoch: 7 }), 'device rover  connected, commanded by this node, epoch 7, batteryV 12')
  t.is(line({ here: 'commands', epoch: 9, alone: true }), 'device rover  connected, commanded by this node alone, epoch 9, batteryV 12')
  t.is(line({ here: 'stands by' }), 'device rover  connected, stands by (no node is known to command it), batteryV 12')
  t.is(show.status({ devices: { rover: { connected: false } } }), 'device rover  not connected')
})
