import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { systemClock } from '../../appliance/contracts/clock.ts'
import { RoverState } from '../../appliance/contracts/telemetry.ts'
import { validator } from '../../appliance/contracts/validate.ts'
import type { MtorError } from '../../appliance/contracts/errors.ts'
import { RoverDriver } from './driver.ts'
import { rig } from './testing.ts'

test('ROV-012 move, turn, speed and light are carried out, with start, progress and what was measured', async (t) => {
  const r = await rig(t)
  const seen: string[] = []
  r.happened.on('started', () => seen.push('started')).on('progress', () => seen.push('progress'))
  const { data } = await r.run('move', { distanceM: 2, speedMps: 0.8 }, 1)
  t.like(data, { distanceM: 2, headingDeg: 0 })
  t.is(seen[0], 'started')
  t.true(seen.filter((s) => s === 'progress').length >= 2)
  t.is(seen.filter((s) => s === 'started').length, 1)
  t.like((await r.run('turn', { angleDeg: -90 }, 2)).data, { angleDeg: -90, headingDeg: -90 })
  await r.run('speed', { speedMps: 1.5 }, 3)
  await r.run('light', { fraction: 0.5 }, 4)
  t.like((await r.run('move', { distanceM: -1 }, 5)).data, { distanceM: -1, headingDeg: -90 })
  const commands = r.executions()
  t.deepEqual(commands.map((f) => f.command), ['MOVE', 'TURN', 'SET_SPEED', 'SET_LIGHT', 'MOVE'])
  t.is(r.log().findLast((f) => f.fact === 'motion.start')!.speedMps, 1.5)
})

test('ROV-013 telemetry fits the contract, with its age, and follows the rover', async (t) => {
  const r = await rig(t)
  const schema = validator(RoverState)
  await r.run('move', { distanceM: 1, speedMps: 1 }, 1)
  await r.run('light', { fraction: 1 }, 2)
  await r.until((s) => s.lightFraction === 1 && s.moving === false)
  const state = r.driver.state()
  t.deepEqual(schema.problems(state), [])
  t.like(state, { connected: true, moving: false, xM: 1, odometerM: 1, epoch: 1, lightFraction: 1 })
  await r.driver.stop()
  const stale = r.driver.state()
  t.deepEqual(schema.problems(stale), [])
  t.false(stale.connected)
  t.true((stale.ageMs as number) >= (state.ageMs as number))
})

test('ROV-012 wrong commands and arguments are refused before anything is sent', async (t) => {
  const r = await rig(t)
  for (const [command, args, code] of [
    ['move', {}, 'INVALID_SLOTS'], ['move', { distanceM: 1e9 }, 'INVALID_SLOTS'], ['move', { distanceM: Number.NaN }, 'INVALID_SLOTS'], ['move', { distanceM: 1, extra: 1 }, 'INVALID_SLOTS'],
    ['turn', { angleDeg: 'left' }, 'INVALID_SLOTS'], ['speed', { speedMps: 0 }, 'INVALID_SLOTS'], ['light', { fraction: 2 }, 'INVALID_SLOTS'], ['fly', {}, 'NOT_FITTED'], ['toString', {}, 'NOT_FITTED'],
  ] as const) t.is((await r.failureOf(r.run(command, args, 1))).code, code, `${command} ${JSON.stringify(args)}`)
  t.is(r.log().filter((f) => f.fact === 'received' && f.command !== 'HELLO').length, 0)
})

test('ROV-004 an old epoch is refused by the controller, whoever sends it', async (t) => {
  const r = await rig(t)
  const other = r.make()
  await other.start()
  await other.takeCommand(2)
  if (!r.notices.includes('epoch.refused')) await r.next('epoch.refused')
  t.is((await r.failureOf(r.run('move', { distanceM: 1 }, 1))).code, 'STALE_EPOCH')
  const error = await r.failureOf(r.make().takeCommand(1).catch(async () => {
    const third = r.make()
    await third.start()
    await third.takeCommand(1)
  }))
  t.is(error.code, 'STALE_EPOCH')
  t.like(error.data, { currentEpoch: 2 })
  t.like((await r.run('move', { distanceM: 0.5 }, 1, { epoch: 2, by: other })).data, { distanceM: 0.5 })
  t.deepEqual(r.executions().map((f) => f.epoch), [2])
})

test('ROV-005 a lost acknowledgement leads to a copy with the same ticket, and the rover moves once', async (t) => {
  const r = await rig(t)
  await r.simulator.control({ do: 'dropNext', direction: 'toHost', type: 'REPLY', count: 2 })
  t.like((await r.run('move', { distanceM: 1 }, 1)).data, { distanceM: 1 })
  t.is(r.executions().length, 1)
  const received = r.log().filter((f) => f.fact === 'received' && f.command === 'MOVE')
  t.true(received.length >= 2 && received.slice(1).every((f) => f.verdict === 'repeatedSequence'))
  t.is((await r.failureOf(r.run('move', { distanceM: 3 }, 1))).code, 'DEVICE_REFUSED', 'a ticket used for something else is not carried out and not reported as done')
})

test('ROV-006 a command that never arrives is asked about, burned, and ends as DEVICE_UNREACHABLE', async (t) => {
  const r = await rig(t)
  await r.simulator.control({ do: 'dropNext', direction: 'toController', type: 'MOVE', count: 4 })
  t.is((await r.failureOf(r.run('move', { distanceM: 1 }, 1))).code, 'DEVICE_UNREACHABLE')
  t.is(r.executions().length, 0)
  t.like(await r.driver.pastOutcome({ device: 'rover', epoch: 1, sequence: 1 }), { outcome: 'never-received' })
})

test('ROV-014 a lost DONE is found by asking', async (t) => {
  const r = await rig(t)
  await r.simulator.control({ do: 'dropNext', direction: 'toHost', type: 'DONE', count: 1 })
  t.like((await r.run('move', { distanceM: 0.5 }, 1)).data, { distanceM: 0.5 })
})

test('ROV-010 emergency stop halts at once and the command rejects with STOPPED', async (t) => {
  const r = await rig(t)
  const running = r.failureOf(r.run('move', { distanceM: 100 }, 1))
  await r.next('progress')
  const writtenMs = systemClock.monoMs()
  r.driver.emergencyStop('test')
  t.is((await running).code, 'STOPPED')
  // The next command waits until the wheels stand still, rather than being stopped by the repeats or refused as busy.
  t.like((await r.run('move', { distanceM: 0.2 }, 2)).data, { distanceM: 0.2 })
  const stop = r.log().find((f) => f.fact === 'motion.stop')!
  t.is(stop.cause, 'stop')
  t.true(stop.at >= writtenMs)
  t.log(`stop written → wheels braking: ${(stop.at - writtenMs).toFixed(1)} ms`)
  t.like(await r.driver.pastOutcome({ device: 'rover', epoch: 1, sequence: 1 }), { outcome: 'failed' })
})

test('ROV-010 stop gets through a line that loses most of what is sent', async (t) => {
  const r = await rig(t, { seed: 7 })
  const running = r.failureOf(r.run('move', { distanceM: 100 }, 1))
  await r.next('progress')
  await r.simulator.control({ do: 'line', direction: 'toController', corruptByteFraction: 0.15 })
  r.driver.emergencyStop('test')
  t.is((await running).code, 'STOPPED')
  await r.until((s) => s.moving === false)
  t.truthy(r.log().find((f) => f.fact === 'motion.stop'))
})

test('ROV-010 an aborted command halts the rover and rejects with STOPPED', async (t) => {
  const r = await rig(t)
  const abort = new AbortController()
  const running = r.failureOf(r.run('turn', { angleDeg: 3600 }, 1, { signal: abort.signal }))
  await r.next('progress')
  abort.abort()
  t.is((await running).code, 'STOPPED')
  await r.until((s) => s.moving === false)
  t.is(r.log().find((f) => f.fact === 'motion.stop')!.cause, 'stop')
  t.is((await r.failureOf(r.run('move', { distanceM: 1 }, 2, { signal: abort.signal }))).code, 'STOPPED')
  t.is(r.executions().length, 1)
})

test('ROV-015 a noisy line loses no command and repeats none, and bad frames are told', async (t) => {
  const r = await rig(t, { speedFactor: 20, seed: 3 })
  const told = r.next('frame.invalid')
  await r.simulator.control({ do: 'line', corruptByteFraction: 0.004, dropByteFraction: 0.002, dropFrameFraction: 0.05 })
  for (let sequence = 1; sequence <= 8; sequence++) t.like((await r.run('move', { distanceM: 0.5 }, sequence)).data, { distanceM: 0.5 })
  t.deepEqual(r.executions().map((f) => f.sequence), [1, 2, 3, 4, 5, 6, 7, 8])
  await r.simulator.control({ do: 'line', direction: 'toHost', corruptByteFraction: 0.2 })
  t.like((await told)[0], { code: 'FRAME_INVALID' })
})

test('ROV-016 unplugged while moving: it is announced, the rover stops, and after replugging the end is told with the measured distance', async (t) => {
  const r = await rig(t)
  const running = r.failureOf(r.run('move', { distanceM: 100 }, 1))
  await r.next('progress')
  const lost = r.next('lost')
  await r.simulator.control({ do: 'unplug', replugAfterMs: 900 })
  t.is(((await lost)[0] as MtorError).code, 'DEVICE_UNREACHABLE')
  t.is((await r.failureOf(r.run('light', { fraction: 1 }, 2))).code, 'DEVICE_UNREACHABLE')
  await r.next('connected')
  const error = await running
  t.is(error.code, 'INTERRUPTED')
  const done = r.log().find((f) => f.fact === 'done')!
  t.is(done.outcome, 'deadMan')
  t.is(error.data!.distanceM, (done.distanceMm as number) / 1000)
  t.like((await r.run('move', { distanceM: 0.2 }, 3)).data, { distanceM: 0.2 })
  t.is(r.executions().length, 2)
})

test('ROV-016 unplugged for less than the dead man: the command goes on and succeeds', async (t) => {
  const r = await rig(t, {}, { reconnectMs: 20 })
  const running = r.run('move', { distanceM: 4 }, 1)
  await r.next('progress')
  await r.simulator.control({ do: 'unplug', replugAfterMs: 60 })
  t.like((await running).data, { distanceM: 4 })
  t.is(r.executions().length, 1)
})

test('ROV-016 not replugged in time: the outcome is unknown', async (t) => {
  const r = await rig(t, {}, { limits: { recoverMs: 500 } })
  const running = r.failureOf(r.run('move', { distanceM: 100 }, 1))
  const [progress] = await r.next('progress')
  await r.simulator.control({ do: 'unplug' })
  const error = await running
  t.is(error.code, 'OUTCOME_UNKNOWN')
  t.true((error.data!.distanceM as number) >= (progress as { distanceM: number }).distanceM)
})

test('ROV-009 a brown-out while moving is announced and ends as OUTCOME_UNKNOWN; the rover obeys again afterwards', async (t) => {
  const r = await rig(t)
  const running = r.failureOf(r.run('move', { distanceM: 100 }, 1))
  await r.next('progress')
  const rebooted = r.next('rover.rebooted')
  await r.simulator.control({ do: 'brownOut' })
  t.like((await rebooted)[0], { cause: 'brownOut', bootCount: 2 })
  t.is((await running).code, 'OUTCOME_UNKNOWN')
  t.like((await r.run('move', { distanceM: 0.2 }, 2)).data, { distanceM: 0.2 })
  t.like(await r.driver.pastOutcome({ device: 'rover', epoch: 1, sequence: 1 }), { outcome: 'unknown' })
})

test('ROV-009 controller process killed while moving: restarted from its memory it runs nothing twice', async (t) => {
  const r = await rig(t)
  const running = r.failureOf(r.run('move', { distanceM: 100 }, 1))
  await r.next('progress')
  const connected = r.next('lost').then(() => r.next('connected'))
  process.kill(r.simulator.pid!, 'SIGKILL')
  await connected
  t.is((await running).code, 'OUTCOME_UNKNOWN')
  t.is((await r.failureOf(r.run('move', { distanceM: 1 }, 1))).code, 'DEVICE_REFUSED')
  t.is(r.executions().length, 1)
  t.like(r.log().findLast((f) => f.fact === 'boot'), { bootCount: 2, epoch: 1, cause: 'powerOn' })
})

test('ROV-011 stall, low battery and busy have their own codes', async (t) => {
  const r = await rig(t)
  const first = r.run('move', { distanceM: 2 }, 1)
  await r.next('started')
  t.is((await r.failureOf(r.run('move', { distanceM: 1 }, 2))).code, 'BUSY')
  await first
  await r.simulator.control({ do: 'block', blocked: true })
  t.is((await r.failureOf(r.run('move', { distanceM: 1 }, 3))).code, 'STALLED')
  await r.simulator.control({ do: 'block', blocked: false })
  const low = r.next('battery.low')
  await r.simulator.control({ do: 'battery', batteryFraction: 0.07 })
  await low
  t.is((await r.failureOf(r.run('move', { distanceM: 1 }, 4))).code, 'LOW_BATTERY')
})

test('ROV-017 after a restart of the core the new driver learns what became of earlier commands', async (t) => {
  const r = await rig(t)
  await r.run('move', { distanceM: 0.3 }, 1)
  r.failureOf(r.run('move', { distanceM: 100 }, 2)).catch(() => {})
  await r.next('progress')
  const next = r.make({ answerMs: 20_000 })
  await next.start()
  await next.takeCommand(2)
  const ticket = (sequence: number) => ({ device: 'rover', epoch: 1, sequence })
  t.like(await next.pastOutcome(ticket(1)), { outcome: 'succeeded', data: { distanceM: 0.3 } })
  await r.until((s) => s.moving === false)
  t.is((await next.pastOutcome(ticket(2))).outcome, 'failed')
  t.deepEqual(await next.pastOutcome(ticket(3)), { outcome: 'never-received' })
  await r.simulator.control({ do: 'unplug' })
  const hasty = r.make({ answerMs: 200 })
  await hasty.start()
  t.deepEqual(await hasty.pastOutcome(ticket(1)), { outcome: 'unknown' })
})

test('ROV-007 kill -9 of the driver process: the wheels stop within 500 ms of its last heartbeat', async (t) => {
  const r = await rig(t, { speedFactor: 1 })
  await r.driver.stop()
  const source = `
    import { RoverDriver } from ${JSON.stringify(new URL('driver.ts', import.meta.url).href)}
    import { systemClock } from ${JSON.stringify(new URL('../../appliance/contracts/clock.ts', import.meta.url).href)}
    const driver = new RoverDriver({ id: 'rover', port: ${JSON.stringify(r.port)}, clock: systemClock })
    await driver.start()
    await driver.takeCommand(2)
    await driver.execute('move', { distanceM: 100 }, { intentId: '01890a5d-ac96-774b-bcce-b302099a8057', ticket: { device: 'rover', epoch: 2, sequence: 1 },
      signal: new AbortController().signal, onProgress: () => process.stdout.write('moving\\n') })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const killedMs = systemClock.monoMs()
  const deadMan = () => r.log().find((f) => f.fact === 'deadman')
  while (!deadMan() && systemClock.monoMs() - killedMs < 5_000) await sleep(20)
  const fact = deadMan()!
  t.truthy(fact, 'the dead man acted')
  const stop = r.log().find((f) => f.fact === 'motion.stop')!
  t.is(stop.cause, 'deadMan')
  t.true((fact.sinceHeartbeatMs as number) >= 500)
  t.log(`since last heartbeat ${(fact.sinceHeartbeatMs as number).toFixed(1)} ms, since the kill was seen ${(stop.at - killedMs).toFixed(1)} ms`)
})

test('ROV-018 without proof of life the heartbeat is withheld and the rover stops by itself', async (t) => {
  let alive = true
  const r = await rig(t, {}, { proofOfLife: () => alive })
  const running = r.failureOf(r.run('move', { distanceM: 100 }, 1))
  await r.next('progress')
  alive = false
  t.is((await running).code, 'INTERRUPTED')
  t.true(r.notices.includes('heartbeat.withheld'))
  t.truthy(r.log().find((f) => f.fact === 'deadman'))
})

test('ROV-016 a port that is not there yet is tried again until it is', async (t) => {
  const r = await rig(t)
  await r.driver.stop()
  await r.driver.stop()
  await r.simulator.control({ do: 'unplug' })
  const late = new RoverDriver({ id: 'rover', port: r.port, clock: systemClock, reconnectMs: 30, events: { notice: (_s, name) => r.happened.emit(name), connected: () => r.happened.emit('late') } })
  t.teardown(() => late.stop())
  const unavailable = r.next('port.unavailable')
  await late.start()
  const taken = late.takeCommand(2)
  await unavailable
  t.false(late.connected)
  const connected = r.next('late')
  await r.simulator.control({ do: 'replug' })
  await Promise.all([connected, taken])
  t.true(late.connected)
})
