import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { ManualClock } from '../../../appliance/contracts/clock.ts'
import { OUTCOME, STATUS, STOP_CAUSE, UNKNOWN, type Message, type MessageOf } from '../protocol.ts'
import { Controller, DEAD_MAN_MS, REBOOT_MS } from './controller.ts'
import { Memory, REMEMBERED_COMMANDS } from './memory.ts'
import { Motion } from './motion.ts'

const intentId = '01890a5d-ac96-774b-bcce-b302099a8057'
const move = (epoch: number, sequence: number, distanceMm = 1000): Message => ({ type: 'MOVE', epoch, sequence, intentId, distanceMm, speedMmps: 500 })
const hello = (epoch: number): Message => ({ type: 'HELLO', epoch, sequence: 0 })
const query = (epoch: number, sequence: number): Message => ({ type: 'QUERY', epoch, sequence })

function rig(t: ExecutionContext, parts: { ignoresEpochs?: boolean } = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'rover-controller-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'state')
  const clock = new ManualClock()
  const log: { fact: string; [key: string]: unknown }[] = []
  const sent: Message[] = []
  const boot = () => {
    const motion = new Motion(() => 0.5)
    const memory = new Memory(path)
    const controller = new Controller({ clock, memory, motion, send: (m) => sent.push(m), log: (fact, data) => log.push({ at: clock.monoMs(), fact, ...data }), ...parts })
    controller.powerOn()
    /** Lets `ms` pass in 10 ms ticks, with a heartbeat of `epoch` every 100 ms if given. */
    const pass = async (ms: number, epoch?: number) => {
      for (let done = 0; done < ms; done += 10) {
        if (epoch && done % 100 === 0) controller.receive({ type: 'HEARTBEAT', epoch, sequence: 0 })
        await clock.advance(10)
        controller.tick()
      }
    }
    /** The answer to one message. */
    const ask = <T extends Message['type']>(message: Message, type: T): MessageOf<T> => {
      sent.length = 0
      controller.receive(message)
      const answer = sent.find((m) => m.type === type)
      t.truthy(answer, `${message.type} is answered with ${type}`)
      return answer as MessageOf<T>
    }
    return { controller, motion, memory, pass, ask }
  }
  const last = (type: Message['type']) => sent.findLast((m) => m.type === type)
  return { path, clock, log, sent, boot, last, executions: () => log.filter((f) => f.fact === 'execute') }
}

test('ROV-004 an older epoch is refused, also after the controller was rebuilt from its memory', (t) => {
  const r = rig(t)
  let c = r.boot()
  t.is(c.ask(hello(5), 'REPLY').status, STATUS.ok)
  t.like(c.ask(hello(4), 'REPLY'), { status: STATUS.staleEpoch, currentEpoch: 5 })
  c = r.boot()
  t.like(c.ask(move(4, 1), 'REPLY'), { status: STATUS.staleEpoch, currentEpoch: 5 })
  t.is(r.executions().length, 0)
})

test('ROV-005 a repeated sequence is not carried out again and is told what became of the first', async (t) => {
  const r = rig(t)
  let c = r.boot()
  c.ask(hello(1), 'REPLY')
  t.like(c.ask(move(1, 7), 'REPLY'), { status: STATUS.ok, outcome: OUTCOME.running })
  await c.pass(200, 1)
  t.like(c.ask(move(1, 7), 'REPLY'), { status: STATUS.repeatedSequence, outcome: OUTCOME.running })
  await c.pass(4000, 1)
  t.like(c.ask(move(1, 7), 'REPLY'), { status: STATUS.repeatedSequence, outcome: OUTCOME.done, distanceMm: 1000 })
  c = r.boot()
  t.like(c.ask(move(1, 7), 'REPLY'), { status: STATUS.repeatedSequence, outcome: OUTCOME.done, distanceMm: 1000 })
  t.like(c.ask(move(1, 3), 'REPLY'), { status: STATUS.repeatedSequence, outcome: OUTCOME.neverReceived })
  t.is(r.executions().length, 1)
})

test('ROV-005 a refused command stays refused: a late copy is not carried out once the reason is gone', async (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(1), 'REPLY')
  c.ask(move(1, 1, 300), 'REPLY')
  t.is(c.ask(move(1, 2), 'REPLY').status, STATUS.busy)
  await c.pass(3000, 1)
  t.like(c.ask(move(1, 2), 'REPLY'), { status: STATUS.repeatedSequence, outcome: OUTCOME.refused, refusal: STATUS.busy })
  t.is(r.executions().length, 1)
})

test('ROV-006 "never received" is final: the sequence is burned, a frame that was under way comes too late', (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(1), 'REPLY')
  t.is(c.ask(query(1, 5), 'OUTCOME').outcome, OUTCOME.neverReceived)
  t.like(c.ask(move(1, 5), 'REPLY'), { status: STATUS.repeatedSequence, outcome: OUTCOME.neverReceived })
  t.is(r.executions().length, 0)
})

test('ROV-006 what was dropped from memory is unknown, not never received', async (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(1), 'REPLY')
  for (let sequence = 1; sequence <= REMEMBERED_COMMANDS + 1; sequence++) c.controller.receive({ type: 'SET_LIGHT', epoch: 1, sequence, intentId, fraction255: 1 })
  t.is(c.ask(query(1, 1), 'OUTCOME').outcome, OUTCOME.unknown)
  t.is(c.ask(query(1, 2), 'OUTCOME').outcome, OUTCOME.done)
})

test('ROV-007 the dead man halts motion 500 ms after the last heartbeat', async (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(1), 'REPLY')
  c.ask(move(1, 1, 10_000), 'REPLY')
  await c.pass(1000, 1)
  const lastHeartbeat = r.clock.monoMs() - 100
  await c.pass(1000)
  const stop = r.log.find((f) => f.fact === 'motion.stop')!
  t.is(stop.cause, 'deadMan')
  t.true((stop.at as number) - lastHeartbeat <= DEAD_MAN_MS + 10)
  t.true((stop.at as number) - lastHeartbeat >= DEAD_MAN_MS)
  t.like(r.last('STOPPED'), { cause: STOP_CAUSE.deadMan, epoch: 1, sequence: 1 })
  t.like(r.last('DONE'), { outcome: OUTCOME.deadMan })
  t.false(c.motion.moving)
})

test('ROV-007 no motion begins without a fresh heartbeat', async (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(1), 'REPLY')
  await c.pass(DEAD_MAN_MS + 20)
  t.is(c.ask(move(1, 1), 'REPLY').status, STATUS.noHeartbeat)
})

test('ROV-007 a tick that comes too late does not let the wheels turn past the dead man', async (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(1), 'REPLY')
  c.ask(move(1, 1, 100_000), 'REPLY')
  await r.clock.advance(10_000)
  c.controller.tick()
  t.true(c.motion.travelledM < 0.3, `travelled ${c.motion.travelledM} m`)
})

test('ROV-008 STOP needs no epoch and is obeyed at once; the measured way includes the braking', async (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(9), 'REPLY')
  c.ask(move(9, 1, 10_000), 'REPLY')
  await c.pass(2000, 9)
  t.like(c.ask({ type: 'STOP', epoch: 0, sequence: 0, reason: 1 }, 'REPLY'), { status: STATUS.ok, outcome: OUTCOME.running })
  await c.pass(300, 9)
  t.like(r.last('DONE'), { outcome: OUTCOME.stopped, distanceMm: Math.round(c.motion.travelledM * 1000) })
  t.like(c.ask({ type: 'STOP', epoch: 0, sequence: 0, reason: 1 }, 'REPLY'), { status: STATUS.ok, outcome: OUTCOME.none })
})

test('ROV-004 a newer epoch halts what the older one had running', async (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(1), 'REPLY')
  c.ask(move(1, 1, 10_000), 'REPLY')
  await c.pass(500, 1)
  c.ask(hello(2), 'REPLY')
  await c.pass(300, 2)
  t.like(c.ask(query(1, 1), 'OUTCOME'), { outcome: OUTCOME.takenOver })
  t.is(c.ask(move(1, 2), 'REPLY').status, STATUS.staleEpoch)
})

test('ROV-009 a brown-out ends motion, keeps epochs and fates, and tells that the extent is unknown', async (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(3), 'REPLY')
  c.ask(move(3, 1, 10_000), 'REPLY')
  await c.pass(500, 3)
  r.sent.length = 0
  c.controller.brownOut()
  c.controller.receive(hello(3))
  t.deepEqual(r.sent, [], 'dark while it reboots')
  await c.pass(REBOOT_MS + 20)
  t.like(r.last('BOOT'), { bootCount: 2 })
  t.like(c.ask(query(3, 1), 'OUTCOME'), { outcome: OUTCOME.interrupted, distanceMm: UNKNOWN.i32 })
  t.is(c.ask(hello(2), 'REPLY').status, STATUS.staleEpoch)
})

test('ROV-009 power lost while the wheels turned: after the restart the command is interrupted and not run again', async (t) => {
  const r = rig(t)
  let c = r.boot()
  c.ask(hello(1), 'REPLY')
  c.ask(move(1, 1), 'REPLY')
  await c.pass(300, 1)
  c = r.boot()
  t.like(r.log.at(-1), { fact: 'boot', interrupted: [{ epoch: 1, sequence: 1, intentId }] })
  t.like(c.ask(move(1, 1), 'REPLY'), { status: STATUS.repeatedSequence, outcome: OUTCOME.interrupted })
  t.is(r.executions().length, 1)
})

test('ROV-009 a controller whose memory is damaged does not start', (t) => {
  const r = rig(t)
  writeFileSync(r.path, '{"v":1,')
  t.throws(() => r.boot(), { message: /damaged/ })
})

test('ROV-009 a controller that cannot write its memory moves nothing', (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(1), 'REPLY')
  rmSync(join(r.path, '..'), { recursive: true })
  t.is(c.ask(move(1, 1), 'REPLY').status, STATUS.storageFault)
  t.false(c.motion.moving)
  t.is(r.executions().length, 0)
})

test('ROV-011 a stall and a low battery end motion with their own outcome', async (t) => {
  const r = rig(t)
  const c = r.boot()
  c.ask(hello(1), 'REPLY')
  c.motion.blocked = true
  c.ask(move(1, 1), 'REPLY')
  await c.pass(500, 1)
  t.like(r.last('DONE'), { outcome: OUTCOME.stalled })
  c.motion.blocked = false
  c.ask(move(1, 2), 'REPLY')
  c.motion.batteryFraction = 0.04
  await c.pass(200, 1)
  t.like(r.last('DONE'), { sequence: 2, outcome: OUTCOME.lowBattery })
  t.is(c.ask(move(1, 3), 'REPLY').status, STATUS.lowBattery)
})

test('ROV-005 whatever arrives in whatever order, with reboots between: no ticket acts twice and no epoch goes back', async (t) => {
  const small = fc.integer({ min: 0, max: 4 })
  const step = fc.oneof(
    fc.record({ type: fc.constantFrom('MOVE', 'TURN', 'SET_SPEED', 'SET_LIGHT', 'QUERY', 'HELLO', 'HEARTBEAT', 'STOP', 'GET_TELEMETRY', 'DONE'), epoch: small, sequence: small, amount: fc.integer({ min: -300, max: 300 }) }),
    fc.constantFrom('wait', 'reboot', 'brownOut'))
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
    const clock = new ManualClock()
    const memory = new Memory()
    const acted: { epoch: number; sequence: number }[] = []
    const boot = () => {
      const made = new Controller({ clock, memory, motion: new Motion(() => 0.5), send: () => {}, log: (fact, data) => { if (fact === 'execute') acted.push(data as never) } })
      made.powerOn()
      return made
    }
    let controller = boot()
    for (const s of steps) {
      if (s === 'wait') { await clock.advance(250); controller.tick() } else if (s === 'reboot') controller = boot()
      else if (s === 'brownOut') controller.brownOut()
      else if (typeof s === 'object') {
        const { amount, ...head } = s
        controller.receive({ ...head, intentId, distanceMm: amount, angleCdeg: amount, speedMmps: Math.abs(amount), fraction255: Math.abs(amount) % 256, reason: 1, outcome: 0, refusal: 0, headingCdeg: 0 } as unknown as Message)
      }
    }
    const tickets = acted.map((a) => a.epoch * 100 + a.sequence)
    t.deepEqual(tickets, [...new Set(tickets)].sort((a, b) => a - b))
  }), { numRuns: 200 })
})

test('ROV-020 an answer goes to the line that asked, news go to all, and the log names the line', async (t) => {
  const r = rig(t)
  const { controller, pass } = r.boot()
  const answers: Message[] = []
  const first = { name: 'first', answer: (message: Message) => { answers.push(message) } }
  r.sent.length = 0
  controller.receive(hello(3), first)
  controller.receive(move(3, 1, 100), first)
  controller.receive(query(3, 1), first)
  t.deepEqual(answers.map(({ type }) => type), ['REPLY', 'REPLY', 'OUTCOME'])
  t.deepEqual(r.sent, [])
  await pass(2_000, 3)
  t.true(r.sent.some(({ type }) => type === 'DONE') && r.sent.some(({ type }) => type === 'TELEMETRY'))
  t.is(answers.length, 3)
  t.like(r.executions()[0], { line: 'first', epoch: 3 })
  t.like(r.log.find(({ fact }) => fact === 'epoch'), { line: 'first', to: 3 })
})

test('ROV-004 a firmware that obeys older epochs can be simulated, for the checkers to find', async (t) => {
  const r = rig(t, { ignoresEpochs: true })
  const { ask, pass } = r.boot()
  ask(hello(5), 'REPLY')
  t.is(ask(move(5, 1, 10), 'REPLY').status, STATUS.ok)
  await pass(2_000, 5)
  t.is(ask(move(4, 9, 10), 'REPLY').status, STATUS.ok)
  t.deepEqual(r.executions().map(({ epoch }) => epoch), [5, 4])
})
