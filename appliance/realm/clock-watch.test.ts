import test from 'ava'
import type { SystemEventInput } from '../contracts/events.ts'
import { ClockWatch } from './clock-watch.ts'
import type { PeerInfo, Peers } from './peers/port.ts'

test('clocks that differ are told once, and once more when they agree again', (t) => {
  const events: Omit<SystemEventInput, 'component'>[] = []
  let offsetMs: number | undefined
  let online = true
  const peers = { list: () => [{ node: 'b', online, clock: { good: true, ...(offsetMs === undefined ? {} : { offsetMs }) } } as PeerInfo] } as Peers
  const watch = new ClockWatch({ peers, report: (event) => { events.push(event) } })
  const looks = (value: number | undefined) => { offsetMs = value; watch.look(); watch.look(); return events.splice(0).map(({ name, message }) => `${name}: ${message}`) }
  t.deepEqual(looks(undefined), [])
  t.deepEqual(looks(1_900), [])
  t.deepEqual(looks(-3_600_000), ['clock.differs: the clock of b is 3600.0 s behind ours'])
  t.deepEqual(looks(1_500), [], 'neither different nor agreed')
  t.deepEqual(looks(500), ['clock.agrees: the clock of b agrees with ours again'])
  online = false
  t.deepEqual(looks(9_000), [], 'what was measured last is no news of a node that is gone')
})
