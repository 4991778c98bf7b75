import test from 'ava'
import type { Driver } from '../../drivers/port.ts'
import { ManualClock } from '../contracts/clock.ts'
import { Hub } from '../contracts/hub.ts'
import { topicsOf } from '../contracts/topics.ts'
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
