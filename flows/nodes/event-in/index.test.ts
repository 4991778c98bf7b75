import test from 'ava'
import { startFlows } from '../../lib/testing.ts'
import type { Message } from '../../lib/red.ts'
import eventIn from './index.ts'

const node = (more: Record<string, unknown> = {}) => ({ id: 'events', type: 'mtor-event-in', realm: 'realm', severity: 'warning', component: '', event: '', wires: [['got']], ...more })

/** The names of what arrives of these events. */
async function heard(bench: Awaited<ReturnType<typeof startFlows>>, more: Record<string, unknown>): Promise<Message[]> {
  await bench.load([eventIn], [node(more), { id: 'got', type: 'helper' }])
  await bench.connected()
  const got: Message[] = []
  const last = new Promise<void>((resolve) => bench.helper.getNode('got').on('input', (msg: Message) => { if ((msg.payload as { name: string }).name === 'end') resolve(); else got.push(msg) }))
  for (const [severity, component, name] of [['info', 'rover', 'device.connected'], ['warning', 'rover', 'device.stall'], ['error', 'journal', 'disk.full'], ['critical', 'rover', 'device.lost'], ['critical', 'rover', 'end'], ['critical', 'journal', 'end']] as const) bench.hub.system({ severity, component, name })
  await last
  return got
}

test.serial('what is less severe is left out, and each event comes with its topic', async (t) => {
  const bench = await startFlows(t)
  t.deepEqual((await heard(bench, {})).map(({ topic }) => topic), ['rover/device.stall', 'journal/disk.full', 'rover/device.lost'])
})

test.serial('one component is chosen by name', async (t) => {
  const bench = await startFlows(t)
  t.deepEqual((await heard(bench, { component: 'rover', severity: 'debug' })).map(({ payload }) => (payload as { name: string }).name), ['device.connected', 'device.stall', 'device.lost'])
})

test.serial('names are chosen with a star for anything', async (t) => {
  const bench = await startFlows(t)
  const got: string[] = []
  await bench.load([eventIn], [node({ event: '*.lost', severity: 'debug' }), { id: 'got', type: 'helper' }])
  await bench.connected()
  const first = bench.next('got')
  bench.hub.system({ severity: 'critical', component: 'rover', name: 'device.stall' })
  bench.hub.system({ severity: 'critical', component: 'rover', name: 'device.lost' })
  got.push((await first).topic as string)
  t.deepEqual(got, ['rover/device.lost'])
})
