import test, { type ExecutionContext } from 'ava'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CommandOptions, Driver, PastOutcome } from '../../drivers/port.ts'
import { ManualClock, systemClock as clock, type Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import { isFinal, type DeviceTicket, type IntentEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import { definitionOf } from '../contracts/handlers.ts'
import { declareIntents, type Identity } from '../contracts/intents.ts'
import { EmergencyStop } from '../guard/emergency-stop.ts'
import { Guard } from '../guard/mode.ts'
import { SqliteJournal } from '../journal/index.ts'
import type { Skill, SkillContext, SkillResult } from '../skills/port.ts'
import { Admission, Dispatcher, endUntold, endUntoldWhenBack, IntentService, recover } from './index.ts'

/** A device whose answers the test decides; what is tested here is the dispatcher, the rover has tests of its own. */
class ScriptedDevice implements Driver {
  readonly id = 'rover'
  readonly kind = 'rover'
  readonly connected = true
  readonly commands = {}
  readonly executed: DeviceTicket[] = []
  running = 0
  mostRunning = 0
  stops = 0
  past: PastOutcome = 'unknown'
  act: (options: CommandOptions) => Promise<void> = async () => {}
  async start() {}
  async stop() {}
  async takeCommand() {}
  standBy() {}
  async execute(_: string, args: Record<string, unknown>, options: CommandOptions) {
    this.executed.push(options.ticket)
    this.mostRunning = Math.max(this.mostRunning, ++this.running)
    try { await this.act(options) } finally { this.running -= 1 }
    return { data: args }
  }
  async pastOutcome() { return { outcome: this.past } }
  emergencyStop() { this.stops += 1 }
  state() { return {} }
}

interface Box { dir: string; hub: Hub; journal: SqliteJournal; guard: Guard; device: ScriptedDevice; dispatcher: Dispatcher; service: IntentService; events: IntentEvent[]; runs: Map<string, (context: SkillContext) => Promise<SkillResult>> }
const operator: Identity = { client: 'test', role: 'operator', kind: 'cli' }

async function open(t: ExecutionContext, dir = mkdtempSync(join(tmpdir(), 'mtor-dispatch-')), options: { maxUnfinished?: number; journalClock?: Clock } = {}): Promise<Box> {
  const hub = new Hub(clock, 'n')
  const journal = new SqliteJournal({ file: join(dir, 'j.sqlite'), clock: options.journalClock ?? clock, maxFinished: 1000, archiveMaxBytes: 1e7, onEvent: (event) => hub.system(event) })
  await journal.start()
  hub.boot = await journal.boot('boot-a')
  const guard = new Guard({ hub, clock, values: journal, arming: 'automatic', initialMode: 'normal' })
  await guard.start()
  const device = new ScriptedDevice()
  const runs: Box['runs'] = new Map()
  const skill: Skill = {
    name: 'scripted', types: ['drive.move', 'drive.turn', 'time.tell', 'log.record', 'timer.set', 'stop', 'sequence.run', 'arm.set', 'mail.send'],
    run: async (context) => runs.get(context.intent.type)?.(context) ?? { say: 'Done.', data: context.intent.type.startsWith('drive') ? await context.command('move', context.slots) : {} },
  }
  let epoch = await journal.nextEpoch('rover')
  const dispatcher = new Dispatcher({ journal, hub, clock, guard, skills: [skill], drivers: [device], epochOf: () => epoch, renewEpoch: async () => { epoch = await journal.nextEpoch('rover') }, concurrency: 8, retryBaseMs: 1 })
  const stop = new EmergencyStop(hub)
  stop.addDriver(device)
  stop.afterwards((reason) => dispatcher.abortActuations(reason))
  const admission = new Admission({ clock, guard, here: () => ({ node: hub.node, boot: hub.boot }), replayed: async (e) => await journal.get(e.id) !== undefined })
  const service = new IntentService({ admission, journal, dispatcher, stop, hub, clock, maxUnfinished: options.maxUnfinished ?? 1000 })
  const events: IntentEvent[] = []
  hub.onIntent((event) => events.push(event))
  t.teardown(async () => { await dispatcher.stop(); await journal.stop(); rmSync(dir, { recursive: true, force: true }) })
  return { dir, hub, journal, guard, device, dispatcher, service, events, runs }
}

const move = (box: Box, distanceM = 1, options = {}) => box.service.envelope('drive.move', { distanceM }, { kind: 'cli' }, options)
/** The final event of an intent that is about to be submitted. */
const finalOf = (box: Box, id: string) => new Promise<IntentEvent>((resolve) => { box.hub.onIntent((event) => { if (event.id === id && isFinal(event.state)) resolve(event) }) })
const states = (box: Box, id: string) => box.events.filter((e) => e.id === id && e.state !== 'progress').map((e) => e.state)

test('an accepted intent is started and ends once, with a ticket of the present epoch', async (t) => {
  const box = await open(t)
  box.dispatcher.start()
  const envelope = move(box)
  const final = await box.service.run(envelope, operator)
  t.is(final.state, 'succeeded')
  t.deepEqual(states(box, envelope.id), ['accepted', 'started', 'succeeded'])
  t.deepEqual(box.device.executed, [{ device: 'rover', epoch: 1, sequence: 1 }])
  t.is((await box.journal.get(envelope.id))?.state, 'succeeded')
})

test('the first failing check in the fixed order is the reject code', async (t) => {
  const box = await open(t)
  const good = move(box)
  const old = { ...good, issuedAt: { ...good.issuedAt, mono: 0 } }
  const observer: Identity = { ...operator, role: 'observer' }
  await box.guard.setMode('safe')
  const code = async (input: unknown, who = operator) => (await box.service.submit(input, who)).code
  t.is(await code('rubbish', observer), 'INVALID_ENVELOPE')
  t.is(await code({ ...old, type: 'fly.high' }, observer), 'UNKNOWN_TYPE')
  t.is(await code({ ...old, slots: { distanceM: 'far' } }, observer), 'INVALID_SLOTS')
  t.is(await code(old, observer), 'UNAUTHORISED')
  const hazardous = { ...old, type: 'sequence.run', slots: { name: 'square' } }
  t.is(await code(hazardous, observer), 'UNAUTHORISED')
  t.is(await code(hazardous), 'NOT_CONFIRMED')
  t.is(await code({ ...hazardous, confirmed: true }), 'EXPIRED')
  t.is(await code({ ...hazardous, issuedAt: good.issuedAt, confirmed: true }), 'UNSAFE_MODE')
  t.is(await code(old), 'EXPIRED')
  t.is(await code(good), 'UNSAFE_MODE')
  await box.guard.setMode('normal')
  await box.guard.setArmed(false)
  t.is(await code(good), 'NOT_ARMED')
  t.is((await box.journal.stats()).accepted, 0)
})

test('a repeat of the same intent is answered as such and not carried out again; the id with other content is a replay', async (t) => {
  const box = await open(t)
  box.dispatcher.start()
  const envelope = move(box)
  await box.service.run(envelope, operator)
  const again = await box.service.submit(envelope, operator)
  t.true(again.accepted)
  t.true(again.duplicate)
  t.is((await box.service.submit({ ...envelope, slots: { distanceM: 9 } }, operator)).code, 'REPLAYED')
  await box.guard.setMode('safe')
  t.true((await box.service.submit(envelope, operator)).duplicate, 'a repeat is called a repeat even when it would be refused now')
  t.is(box.device.executed.length, 1)
})

/** What is carried out of these types, by their id. */
function carriedOut(box: Box, ...types: string[]): string[] {
  const ids: string[] = []
  for (const type of types) box.runs.set(type, async ({ intent }) => { ids.push(intent.id); return { say: 'Done.' } })
  box.dispatcher.start()
  return ids
}
const square = (box: Box, options = {}) => box.service.envelope('sequence.run', { name: 'square' }, { kind: 'mqtt' }, options)

test('what is hazardous moves nothing until its sender says that it was confirmed, and is then carried out once', async (t) => {
  const box = await open(t)
  const ids = carriedOut(box, 'sequence.run', 'arm.set', 'mail.send')
  const envelope = square(box)
  const refused = await box.service.submit(envelope, operator)
  t.like(refused, { id: envelope.id, accepted: false, code: 'NOT_CONFIRMED', say: 'Not confirmed, so I did nothing.' })
  t.regex(refused.hint!, /confirmed: true/)
  for (const [type, slots] of [['arm.set', { armed: true }], ['mail.send', { to: 'ada', text: 'hello' }]] as const) {
    t.is((await box.service.submit(box.service.envelope(type, slots, { kind: 'flow' }), operator)).code, 'NOT_CONFIRMED', type)
  }
  t.is((await box.journal.stats()).accepted, 0)
  // The same id, now with the word of its sender.
  const confirmed = { ...envelope, confirmed: true }
  const final = finalOf(box, envelope.id)
  t.true((await box.service.submit(confirmed, operator)).accepted)
  t.is((await final).state, 'succeeded')
  for (const again of [confirmed, envelope]) t.like(await box.service.submit(again, operator), { accepted: true, duplicate: true })
  t.deepEqual(ids, [envelope.id])
})

test('what is not hazardous needs no confirmation, and one is no harm', async (t) => {
  const box = await open(t)
  box.dispatcher.start()
  for (const envelope of [box.service.envelope('arm.set', { armed: false }, { kind: 'mqtt' }), move(box, 1, { confirmed: true })]) t.is((await box.service.run(envelope, operator)).state, 'succeeded')
})

test('a declared type that must be confirmed is treated as a built-in one', async (t) => {
  const box = await open(t)
  declareIntents([definitionOf({ type: 'vault.open', title: 'Open the vault', slots: [], sentences: [], actuates: false, hazardous: true, repeatable: false, deadlineMs: 5_000 })])
  t.teardown(() => declareIntents([]))
  const vault = (options = {}) => box.service.submit(box.service.envelope('vault.open', {}, { kind: 'flow' }, options), { ...operator, role: 'flow', kind: 'flow' })
  t.is((await vault()).code, 'NOT_CONFIRMED')
  t.true((await vault({ confirmed: true })).accepted)
})

test('what an older version had accepted without the word of its sender is carried out all the same', async (t) => {
  const before = await open(t)
  const envelope = square(before)
  await before.journal.accept({ envelope, client: 'test', acceptedAt: before.hub.now() })
  await before.journal.stop()
  const after = await open(t, before.dir)
  const ids = carriedOut(after, 'sequence.run')
  const final = finalOf(after, envelope.id)
  await recover({ ...after, drivers: [after.device], clock, reachable: async () => true })
  t.is((await final).state, 'succeeded')
  t.deepEqual(ids, [envelope.id])
  t.true((await after.service.submit(envelope, operator)).duplicate)
})

test('one device is given one command at a time, the urgent one first', async (t) => {
  const box = await open(t)
  const order: number[] = []
  box.runs.set('drive.move', async (context) => { order.push(context.slots.distanceM as number); return { say: '', data: await context.command('move', context.slots) } })
  box.device.act = () => new Promise((resolve) => setImmediate(resolve))
  const all = [move(box, 1), move(box, 2), move(box, 3), move(box, 4, { priority: 1 })]
  const finals = all.map((e) => finalOf(box, e.id))
  for (const envelope of all) await box.service.submit(envelope, operator)
  box.dispatcher.start()
  await Promise.all(finals)
  t.deepEqual(order, [4, 1, 2, 3])
  t.is(box.device.mostRunning, 1)
})

test('a stop halts the device before the journal is asked, and ends what runs and waits with STOPPED', async (t) => {
  const box = await open(t)
  const started = Promise.withResolvers<void>()
  box.device.act = (options) => new Promise((_, reject) => { started.resolve(); options.signal.addEventListener('abort', () => reject(options.signal.reason as Error)) })
  const [running, waiting] = [move(box, 1), move(box, 2)]
  const finals = [running, waiting].map((e) => finalOf(box, e.id))
  box.dispatcher.start()
  await box.service.submit(running, operator)
  await box.service.submit(waiting, operator)
  await started.promise
  const stop = box.service.envelope('stop', {}, { kind: 'cli' })
  const stopped = box.service.run(stop, operator)
  t.is(box.device.stops, 1, 'on the caller\'s stack, before any promise was awaited')
  t.deepEqual((await Promise.all(finals)).map((e) => [e.state, e.code]), [['aborted', 'STOPPED'], ['aborted', 'STOPPED']])
  t.is((await stopped).state, 'succeeded')
  t.is(box.device.executed.length, 1, 'the waiting one never reached the device')
})

test('a motion that was on its way into the journal when the stop came is not started after it', async (t) => {
  const box = await open(t)
  box.dispatcher.start()
  const envelope = move(box)
  const final = finalOf(box, envelope.id)
  const receipt = box.service.submit(envelope, operator)
  await box.service.submit(box.service.envelope('stop', {}, { kind: 'cli' }), operator)
  t.true((await receipt).accepted)
  t.like(await final, { state: 'aborted', code: 'STOPPED' })
  t.deepEqual(states(box, envelope.id), ['accepted', 'aborted'])
  t.is(box.device.executed.length, 0)
})

test('an intent whose submitter gave up while it went into the journal is cancelled', async (t) => {
  const box = await open(t)
  const abort = new AbortController()
  const final = box.service.run(move(box), operator, abort.signal)
  abort.abort()
  t.like(await final, { state: 'aborted', code: 'CANCELLED' })
  const stopped = new AbortController()
  const step = box.service.run(move(box), operator, stopped.signal)
  stopped.abort(new MtorError('STOPPED', 'its sequence was stopped'))
  t.like(await step, { state: 'aborted', code: 'STOPPED' })
})

/** An intent that waits, as one of a flow does, and a step of it that does not end by itself. */
async function withStep(t: ExecutionContext) {
  const box = await open(t)
  const begun = Promise.withResolvers<void>(), ended = Promise.withResolvers<SkillResult>()
  // Like a skill that is told to end by its signal.
  box.runs.set('timer.set', ({ signal }) => new Promise((resolve, reject) => { signal.addEventListener('abort', () => reject(signal.reason as Error)); void ended.promise.then(resolve); begun.resolve() }))
  box.dispatcher.start()
  const parent = box.service.envelope('timer.set', { durationS: 60 }, { kind: 'cli', operator: 'ann' })
  const done = box.service.run(parent, operator)
  await begun.promise
  return { box, done, ended, step: () => ({ ...move(box), parent: parent.id }), cancel: () => box.dispatcher.cancel(({ id }) => id === parent.id) }
}

test('a step under way ends with the intent it is a step of', async (t) => {
  const { box, done, step, cancel } = await withStep(t)
  const driving = Promise.withResolvers<void>()
  box.device.act = (options) => new Promise((_, reject) => { driving.resolve(); options.signal.addEventListener('abort', () => reject(options.signal.reason as Error)) })
  const [running, waiting] = [box.service.run(step(), operator), box.service.run(step(), operator)]
  await driving.promise
  cancel()
  t.deepEqual((await Promise.all([done, running, waiting])).map(({ state, code }) => `${state} ${code}`), Array(3).fill('aborted CANCELLED'))
  t.is(box.device.executed.length, 1)
})

test('a step that comes after its intent was ended is not begun, a stop is', async (t) => {
  const { box, done, step, cancel } = await withStep(t)
  cancel()
  t.like(await box.service.run(step(), operator), { state: 'aborted', code: 'CANCELLED' })
  await done
  t.like(await box.service.run(step(), operator), { state: 'aborted', code: 'CANCELLED' })
  t.is(box.device.executed.length, 0)
  t.like(await box.service.run({ ...step(), type: 'stop', slots: {} }, operator), { state: 'succeeded' })
})

test('a step outlives an intent that ended by itself', async (t) => {
  const { box, done, ended, step } = await withStep(t)
  ended.resolve({ say: 'Ding.' })
  await done
  t.like(await box.service.run(step(), operator), { state: 'succeeded' })
  t.is(box.device.executed.length, 1)
})

for (const [how, tighten, code] of [['the mode becomes safe', (box: Box) => box.guard.setMode('safe'), 'UNSAFE_MODE'], ['the drive is disarmed', (box: Box) => box.guard.setArmed(false), 'NOT_ARMED']] as const) {
  test(`a motion that runs is halted when ${how}, a query is not`, async (t) => {
    const box = await open(t)
    const started = Promise.withResolvers<void>()
    const halted = Promise.withResolvers<void>()
    box.device.act = ({ signal }) => new Promise((_, reject) => { started.resolve(); signal.addEventListener('abort', () => { halted.resolve(); reject(signal.reason as Error) }) })
    const asked = Promise.withResolvers<SkillResult>()
    box.runs.set('time.tell', () => asked.promise)
    box.dispatcher.start()
    const [moved, told] = [box.service.run(move(box), operator), box.service.run(box.service.envelope('time.tell', {}, { kind: 'cli' }), operator)]
    await started.promise
    await tighten(box)
    await halted.promise
    asked.resolve({ say: 'Noon.' })
    t.like(await moved, { state: 'failed', code })
    t.is((await told).state, 'succeeded')
  })
}

test('an observer cannot stop, and a stop whose envelope is broken stops all the same', async (t) => {
  const box = await open(t)
  t.is((await box.service.submit(box.service.envelope('stop', {}, { kind: 'mqtt' }), { ...operator, role: 'observer' })).code, 'UNAUTHORISED')
  t.is(box.device.stops, 0)
  t.is((await box.service.submit({ type: 'stop' }, operator)).code, 'INVALID_ENVELOPE')
  t.is(box.device.stops, 1)
  for (const role of ['device', 'worker'] as const) t.true((await box.service.submit(box.service.envelope('stop', {}, { kind: 'mqtt' }), { ...operator, role })).accepted, role)
  t.is(box.device.stops, 3)
})

test('what may be repeated is tried again after a passing failure, and no more often than its policy says', async (t) => {
  const box = await open(t)
  box.dispatcher.start()
  let tries = 0
  box.runs.set('time.tell', async () => { tries += 1; throw new MtorError('DEVICE_UNREACHABLE', 'not now') })
  const final = await box.service.run(box.service.envelope('time.tell', {}, { kind: 'cli' }), operator)
  t.is(tries, 3)
  t.is(final.code, 'DEVICE_UNREACHABLE')
  let succeeds = 0
  box.runs.set('time.tell', async () => { if (++succeeds < 2) throw new MtorError('BUSY', 'once'); return { say: 'Now.' } })
  t.is((await box.service.run(box.service.envelope('time.tell', {}, { kind: 'cli' }), operator)).state, 'succeeded')
})

test('a motion that failed is not tried again: it becomes a dead letter that can be resubmitted once', async (t) => {
  const box = await open(t)
  box.dispatcher.start()
  box.device.act = async () => { throw new MtorError('DEVICE_UNREACHABLE', 'unplugged') }
  const envelope = move(box)
  t.is((await box.service.run(envelope, operator)).code, 'DEVICE_UNREACHABLE')
  t.is(box.device.executed.length, 1)
  const [letter] = await box.journal.list({ deadLetter: true })
  t.is(letter?.envelope.id, envelope.id)
  box.device.act = async () => {}
  const receipt = await box.service.resubmit(envelope.id, operator)
  t.true(receipt.accepted)
  t.not(receipt.id, envelope.id)
  await t.throwsAsync(box.service.resubmit(envelope.id, operator), { code: 'NOT_FOUND' })
})

test('a dead letter resubmitted by two at once is carried out once', async (t) => {
  const box = await open(t)
  box.dispatcher.start()
  box.device.act = async () => { throw new MtorError('DEVICE_UNREACHABLE', 'unplugged') }
  const envelope = move(box)
  await box.service.run(envelope, operator)
  const both = await Promise.allSettled([box.service.resubmit(envelope.id, operator), box.service.resubmit(envelope.id, operator)])
  t.deepEqual(both.map((r) => r.status), ['fulfilled', 'rejected'])
})

test('a dead letter of a hazardous type is submitted anew without another question', async (t) => {
  const box = await open(t)
  box.dispatcher.start()
  let broken = true
  box.runs.set('sequence.run', async () => { if (broken) throw new MtorError('DEVICE_UNREACHABLE', 'unplugged'); return { say: 'Done.' } })
  const envelope = square(box, { confirmed: true })
  t.is((await box.service.run(envelope, operator)).state, 'failed')
  broken = false
  const again = await box.service.resubmit(envelope.id, operator)
  t.true(again.accepted, again.message)
})

test('a job that is given twice is carried out once', async (t) => {
  const box = await open(t)
  const started = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  let runs = 0
  box.runs.set('log.record', async () => { runs += 1; started.resolve(); await release.promise; return { say: 'Noted.' } })
  box.dispatcher.start()
  const envelope = box.service.envelope('log.record', { text: 'x' }, { kind: 'cli' })
  const final = box.service.run(envelope, operator)
  await started.promise
  box.dispatcher.enqueue(box.dispatcher.jobOf(envelope, Infinity))
  t.is(box.dispatcher.unfinished, 1)
  release.resolve()
  t.is((await final).state, 'succeeded')
  t.is(runs, 1)
})

test('a skill that ignores its deadline is left behind and the intent ends with DEADLINE', async (t) => {
  const box = await open(t)
  box.dispatcher.start()
  const manual = box.service.envelope('stop', {}, { kind: 'cli' })
  box.runs.set('stop', () => new Promise(() => {}))
  const final = await box.service.run(manual, operator)
  t.is(final.code, 'DEADLINE')
})

test('more unfinished intents than allowed are refused with BUSY, and nothing of them is kept', async (t) => {
  const box = await open(t, undefined, { maxUnfinished: 2 })
  t.true((await box.service.submit(move(box), operator)).accepted)
  t.true((await box.service.submit(move(box), operator)).accepted)
  t.is((await box.service.submit(move(box), operator)).code, 'BUSY')
  t.is((await box.journal.stats()).accepted, 2)
})

test('an epoch that was taken over meanwhile is renewed before the command is sent', async (t) => {
  const box = await open(t)
  await box.journal.nextEpoch('rover')
  box.dispatcher.start()
  t.is((await box.service.run(move(box), operator)).state, 'succeeded')
  t.deepEqual(box.device.executed.map((ticket) => ticket.epoch), [3])
})

test('what the journal got while it was answered as unavailable is carried out when repeated, else ended', async (t) => {
  const box = await open(t)
  const [repeated, left] = [move(box, 1), move(box, 2)]
  // As after an accept whose answer never came: durable, but nobody was told.
  for (const envelope of [repeated, left]) await box.journal.accept({ envelope, client: 'test', acceptedAt: box.hub.now() })
  const finals = [repeated, left].map((e) => finalOf(box, e.id))
  t.true((await box.service.submit(repeated, operator)).duplicate)
  t.is(await endUntold(box.journal, box.dispatcher), 1)
  box.dispatcher.start()
  t.deepEqual((await Promise.all(finals)).map((e) => [e.state, e.code]), [['succeeded', undefined], ['failed', 'JOURNAL_UNAVAILABLE']])
})

test('a motion answered as not accepted while the disk hung is ended when the disk is back, not left for the next start', async (t) => {
  const journalClock = new ManualClock()
  const box = await open(t, undefined, { journalClock })
  endUntoldWhenBack(box)
  box.dispatcher.start()
  const envelope = move(box)
  const final = finalOf(box, envelope.id)
  const release = box.journal.stallForTest()
  const receipt = box.service.submit(envelope, operator)
  let answered = false
  void receipt.then(() => { answered = true })
  while (!answered) await journalClock.advance(1_000)
  t.is((await receipt).code, 'JOURNAL_UNAVAILABLE')
  release()
  t.like(await final, { state: 'failed', code: 'JOURNAL_UNAVAILABLE' })
  t.is(box.device.executed.length, 0)
})

/** A box that was started again after it had claimed a motion; `past` is what the device says became of it. */
async function restartedWhileMoving(t: ExecutionContext, past: PastOutcome) {
  const before = await open(t)
  const envelope = move(before)
  await before.service.submit(envelope, operator)
  await before.journal.claim(envelope.id, { node: 'n', device: 'rover', epoch: 1 })
  await before.journal.stop()
  const after = await open(t, before.dir)
  after.device.past = past
  return { after, envelope }
}

for (const [past, expected] of [['succeeded', ['succeeded']], ['failed', ['failed', 'INTERRUPTED']], ['unknown', ['failed', 'OUTCOME_UNKNOWN']]] as [PastOutcome, string[]][]) {
  test(`after a restart a command the device calls ${past} is not sent again`, async (t) => {
    const { after, envelope } = await restartedWhileMoving(t, past)
    const final = finalOf(after, envelope.id)
    await recover({ ...after, drivers: [after.device], clock, reachable: async () => true })
    after.dispatcher.start()
    const event = await final
    t.deepEqual([event.state, event.code].filter(Boolean), expected)
    t.is(after.device.executed.length, 0)
  })
}

test('after a restart a command the device never received is sent, under the new epoch', async (t) => {
  const { after, envelope } = await restartedWhileMoving(t, 'never-received')
  const final = finalOf(after, envelope.id)
  after.dispatcher.start()
  await recover({ ...after, drivers: [after.device], clock, reachable: async () => true })
  t.is((await final).state, 'succeeded')
  t.deepEqual(after.device.executed.map((ticket) => ticket.epoch), [2])
})

test('after a restart an actuation older than its ttl is expired, a note is still written', async (t) => {
  const before = await open(t)
  const stale = move(before, 1, { ttlMs: 5 })
  const note = before.service.envelope('log.record', { text: 'x' }, { kind: 'cli' })
  for (const e of [stale, note]) t.true((await before.service.submit(e, operator)).accepted)
  await before.journal.stop()
  await new Promise((resolve) => setTimeout(resolve, 20))
  const after = await open(t, before.dir)
  const finals = [stale, note].map((e) => finalOf(after, e.id))
  after.dispatcher.start()
  await recover({ ...after, drivers: [after.device], clock, reachable: async () => true })
  t.deepEqual((await Promise.all(finals)).map((e) => e.state), ['expired', 'succeeded'])
  t.is(after.device.executed.length, 0)
})
