import test from 'ava'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock, systemClock } from '../contracts/clock.ts'
import type { SystemEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import { EmergencyStop } from './emergency-stop.ts'
import { Guard } from './mode.ts'
import { requestStop, StopSocket } from './stop-socket.ts'
import { sendDatagram } from './unix-datagram.ts'

const folder = () => mkdtempSync(join(tmpdir(), 'mtor-guard-'))
const memory = () => { const map = new Map<string, unknown>(); return { put: async (k: string, v: unknown) => { map.set(k, v) }, read: async (k: string) => map.get(k) } }

test('a driver that throws does not keep the next one from being stopped', (t) => {
  const hub = new Hub(systemClock, 'n')
  const events: SystemEvent[] = []
  hub.onSystem((event) => events.push(event))
  const stop = new EmergencyStop(hub)
  const halted: string[] = []
  stop.addDriver({ id: 'bad', emergencyStop() { throw new TypeError('broken') } })
  stop.addDriver({ id: 'good', emergencyStop(reason) { halted.push(reason) } })
  stop.afterwards((reason) => halted.push(`after ${reason}`))
  stop.trigger('test')
  t.deepEqual(halted, ['test', 'after test'])
  t.is(events[0]?.severity, 'critical')
  t.regex(events[0]?.message ?? '', /bad/)
})

test('any datagram on the stop socket is a stop, and its sender is told by whom', async (t) => {
  const dir = folder()
  const stop = new EmergencyStop(new Hub(systemClock, 'n'))
  const reasons: string[] = []
  stop.addDriver({ id: 'd', emergencyStop(reason) { reasons.push(reason) } })
  const socket = new StopSocket(join(dir, 's.sock'), stop)
  socket.start()
  const answer = await requestStop({ socketPath: join(dir, 's.sock'), reason: 'by test', timeoutMs: 5_000 })
  t.is(answer?.by, 'daemon')
  t.deepEqual(reasons, ['socket: by test'])
  // A nameless sender (socat, a script) needs no answer.
  t.true(sendDatagram(join(dir, 's.sock'), '\u0001\u0002'))
  while (reasons.length < 2) await new Promise((resolve) => setImmediate(resolve))
  t.is(reasons[1], 'socket: no reason given')
  socket.stop()
  socket.stop()
  rmSync(dir, { recursive: true })
})

test('with the daemon dead the last resort is used, and its success is reported', async (t) => {
  const dir = folder()
  let used = 0
  const answer = await requestStop({ socketPath: join(dir, 'nobody.sock'), reason: 'x', lastResort: async () => { used += 1; return true } })
  t.is(answer?.by, 'line')
  t.is(used, 1)
  t.is(await requestStop({ socketPath: join(dir, 'nobody.sock'), reason: 'x', lastResort: async () => false }), undefined)
  rmSync(dir, { recursive: true })
})

test('the stop socket takes over a path that a killed daemon left behind', async (t) => {
  const dir = folder()
  const path = join(dir, 's.sock')
  const stop = new EmergencyStop(new Hub(systemClock, 'n'))
  const first = new StopSocket(path, stop)
  first.start()
  const second = new StopSocket(path, stop)
  second.start()
  t.is((await requestStop({ socketPath: path, reason: 'x', timeoutMs: 5_000 }))?.by, 'daemon')
  second.stop()
  first.stop()
  rmSync(dir, { recursive: true })
})

test('safe mode refuses what moves, lets lights and queries through, and survives a restart', async (t) => {
  const values = memory()
  const make = () => new Guard({ hub: new Hub(new ManualClock(), 'n'), clock: new ManualClock(), values, arming: 'automatic', initialMode: 'normal' })
  const guard = make()
  await guard.start()
  t.is(guard.refusal('drive.move'), undefined)
  await guard.setMode('safe')
  t.is(guard.refusal('drive.move')?.code, 'UNSAFE_MODE')
  t.is(guard.refusal('light.set'), undefined)
  t.is(guard.refusal('time.tell'), undefined)
  t.is(guard.refusal('stop'), undefined)
  const next = make()
  await next.start()
  t.is(next.mode, 'safe')
})

test('where arming is required nothing moves until armed, and a restart disarms', async (t) => {
  const values = memory()
  const make = () => new Guard({ hub: new Hub(new ManualClock(), 'n'), clock: new ManualClock(), values, arming: 'required', initialMode: 'normal' })
  const guard = make()
  t.is(guard.refusal('drive.turn')?.code, 'NOT_ARMED')
  t.is(guard.refusal('stop'), undefined)
  await guard.setArmed(true)
  t.is(guard.refusal('drive.turn'), undefined)
  const next = make()
  await next.start()
  t.is(next.refusal('drive.turn')?.code, 'NOT_ARMED')
})
