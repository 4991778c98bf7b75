import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { Mode } from '../contracts/intents.ts'
import type { RoverState } from '../contracts/telemetry.ts'
import type { BoxReader, BoxState } from './box.ts'
import { makeDriveSkill } from './drive.ts'
import { makeLightSkill } from './light.ts'
import { makeModesSkill } from './modes.ts'
import { makeNotFittedSkill } from './not-fitted.ts'
import { makeReadingsSkill } from './readings.ts'
import { makeStopSkill } from './stop.ts'
import { contextOf, instantOf } from './testing.ts'
import { makeTimeSkill } from './time.ts'

const drive = makeDriveSkill()

test('a move sends its distance and speed and says what was measured', async (t) => {
  const context = contextOf('drive.move', { distanceM: 2, speedMps: 0.5 }, { answer: () => ({ distanceM: 2.04 }) })
  const { say, data } = await drive.run(context)
  t.deepEqual(context.commands, [['move', { distanceM: 2, speedMps: 0.5 }]])
  t.is(say, 'Moved 2 metres forward.')
  t.is(data?.distanceM, 2.04)
})

for (const [asked, measured, said] of [
  [2, 1.2, 'I moved only 1.2 of 2 metres.'],
  [2, 1.85, 'Moved 2 metres forward.'],
  [2, 1.84, 'I moved only 1.84 of 2 metres.'],
  [2, 2.6, 'I moved 2.6 metres instead of 2.'],
  [-1, -1, 'Moved 1 metre back.'],
  [-1, -0.5, 'I moved only 0.5 of 1 metre.'],
  [-1, 0.5, 'I moved 0.5 metres forward instead of 1 metre back.'],
  [0, 0, 'I was asked for 0 metres, so I stayed.'],
  [1, undefined, 'The device says it is done, but it did not measure how far it moved.'],
] as const) {
  test(`a move of ${asked} m that measured ${measured} m is told as it was`, async (t) => {
    const { say } = await drive.run(contextOf('drive.move', { distanceM: asked }, { answer: () => measured === undefined ? {} : { distanceM: measured } }))
    t.is(say, said)
  })
}

test('a turn says its side, and how far it really went', async (t) => {
  const turn = async (asked: number, measured: number) => (await drive.run(contextOf('drive.turn', { angleDeg: asked }, { answer: () => ({ angleDeg: measured }) }))).say
  t.is(await turn(90, 92), 'Turned 90 degrees left.')
  t.is(await turn(-90, -88), 'Turned 90 degrees right.')
  t.is(await turn(-90, -45), 'I turned only 45 of 90 degrees.')
})

test('a device error reaches the dispatcher as it is', async (t) => {
  const error = await t.throwsAsync(drive.run(contextOf('drive.move', { distanceM: 1 }, { answer: () => { throw new MtorError('STALLED', 'wheels stalled') } })))
  t.is((error as MtorError).code, 'STALLED')
})

test('speed and light send one command each', async (t) => {
  const speed = contextOf('drive.speed', { speedMps: 0.4 })
  t.is((await drive.run(speed)).say, 'I now drive at 0.4 metres per second.')
  t.deepEqual(speed.commands, [['speed', { speedMps: 0.4 }]])
  const set = async (slots: Record<string, unknown>) => {
    const context = contextOf('light.set', slots)
    return [(await makeLightSkill().run(context)).say, context.commands]
  }
  t.deepEqual(await set({ on: true }), ['The lights are on.', [['light', { fraction: 1 }]]])
  t.deepEqual(await set({ on: true, brightness: 0.4 }), ['The lights are at 40 percent.', [['light', { fraction: 0.4 }]]])
  t.deepEqual(await set({ on: false, brightness: 0.4 }), ['The lights are off.', [['light', { fraction: 0 }]]])
})

test('the stop skill commands nothing: the emergency path did', async (t) => {
  const context = contextOf('stop')
  t.is((await makeStopSkill().run(context)).say, 'Stopped.')
  t.deepEqual(context.commands, [])
})

test('what is not fitted is refused by name', async (t) => {
  const error = await t.throwsAsync(makeNotFittedSkill().run(contextOf('chat.ask', { text: 'who are you' }))) as MtorError
  t.is(error.code, 'NOT_FITTED')
  t.is(error.say, 'No language model is fitted.')
})

const readings = (state: RoverState | undefined, box: Partial<BoxState> = {}) => makeReadingsSkill({
  deviceState: () => state && { id: 'rover', state },
  box: { start: async () => {}, read: async () => ({ load1: 0, processors: 2, ...box }) } satisfies BoxReader,
})
const ask = (sensor: string, state: RoverState | undefined, box?: Partial<BoxState>) => readings(state, box).run(contextOf('sensor.read', { sensor }))
const codeOf = async (work: Promise<unknown>) => work.then(() => undefined, (error: MtorError) => ({ code: error.code, say: error.say }))

test('a fresh sensor value is told with its age and unit in the data', async (t) => {
  const { say, data } = await ask('temperature', { connected: true, ageMs: 40, temperatureC: -3.25 })
  t.is(say, 'The rover is at minus 3.3 degrees Celsius.')
  t.like(data, { value: -3.25, unit: 'Cel', ageMs: 40, of: 'rover' })
  t.is((await ask('heading', { connected: true, ageMs: 40, headingDeg: 0 })).say, 'The heading is 0 degrees from where I started, counter-clockwise.')
})

test('an old value is never told as the present one', async (t) => {
  t.deepEqual(await codeOf(ask('battery', { connected: true, ageMs: 12_000, batteryFraction: 0.5 }, { battery: { fraction: 0.9, charging: false } })),
    { code: 'DEVICE_UNREACHABLE', say: 'I cannot reach the rover. The last reading from the rover is 12 seconds old.' })
  t.is((await codeOf(ask('speed', { connected: false, ageMs: 10, speedMps: 0 })))?.code, 'DEVICE_UNREACHABLE')
  t.is((await codeOf(ask('speed', { connected: true, speedMps: 0 })))?.code, 'DEVICE_UNREACHABLE')
})

test('a sensor nobody has is not fitted, and never zero', async (t) => {
  t.deepEqual(await codeOf(ask('humidity', { connected: true, ageMs: 1 })), { code: 'NOT_FITTED', say: 'No humidity sensor is fitted.' })
  t.is((await codeOf(ask('temperature', { connected: true, ageMs: 1 })))?.code, 'NOT_FITTED')
  t.is((await codeOf(ask('heading', undefined)))?.code, 'NOT_FITTED')
})

test('without a rover the box answers for itself, and says that it does', async (t) => {
  t.is((await ask('temperature', undefined, { temperatureC: 52.4 })).say, 'My processor is at 52 degrees Celsius.')
  t.is((await ask('battery', undefined, { battery: { fraction: 0.9, charging: true } })).say, 'My battery is at 90 percent.')
})

test('power status tells every battery it can read and every one it cannot', async (t) => {
  const power = (state: RoverState | undefined, box?: Partial<BoxState>) => readings(state, box).run(contextOf('power.status'))
  t.is((await power({ connected: true, ageMs: 9, batteryFraction: 0.8, batteryV: 12.06 })).say, "The rover's battery is at 80 percent, 12.1 volts.")
  t.is((await power({ connected: false, ageMs: 61_000 }, { battery: { fraction: 0.5, charging: true } })).say,
    'My battery is at 50 percent and charging. I cannot reach the rover. The last reading from the rover is 1 minute and 1 second old.')
  t.is((await codeOf(power({ connected: false })))?.code, 'DEVICE_UNREACHABLE')
  t.deepEqual(await codeOf(power(undefined)), { code: 'NOT_FITTED', say: 'No battery is fitted.' })
})

test('mode and arming are set at the guard and told as the guard has them', async (t) => {
  const guard = { mode: 'normal' as Mode, armed: false, async setMode(mode: Mode) { this.mode = mode }, async setArmed(armed: boolean) { this.armed = armed } }
  const skill = makeModesSkill({ guard })
  t.is((await skill.run(contextOf('arm.set', { armed: true }))).say, 'The drive is armed.')
  t.is((await skill.run(contextOf('mode.set', { mode: 'safe' }))).say, 'Mode safe: nothing will move.')
  t.is((await skill.run(contextOf('arm.set', { armed: true }))).say, 'The drive is armed, but in mode safe nothing moves.')
  t.deepEqual([guard.mode, guard.armed], ['safe', true])
})

test('the time is told only when the clock is known good', async (t) => {
  const at = new Date(2026, 2, 4, 7, 5).getTime()
  t.is((await makeTimeSkill({ now: instantOf(new ManualClock(1_000, at), () => 1) }).run(contextOf('time.tell'))).say, 'It is 07:05 on 4 March 2026.')
  const { say, data } = await makeTimeSkill({ now: instantOf(new ManualClock(125_000, undefined), () => 1) }).run(contextOf('time.tell'))
  t.is(say, 'I do not know the time: my clock has not been set. I have been on for 2 minutes and 5 seconds.')
  t.is(data?.known, false)
})
