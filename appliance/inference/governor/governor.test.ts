import test, { type ExecutionContext } from 'ava'
import { makeConfig } from '../../config/load.ts'
import { ManualClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { Throttle } from '../port.ts'
import { Governor } from './governor.ts'
import type { Reading, Sensor } from './sensor.ts'
import { PowerSensor } from './sensors/power.ts'
import { TemperatureSensor } from './sensors/temperature.ts'
import { ThrottlingSensor } from './sensors/throttling.ts'
import { sensorTree, zone } from './testing.ts'

async function governed(t: ExecutionContext, files: Record<string, string | number>, options: { config?: Record<string, unknown>; sensors?: Sensor[] } = {}) {
  const tree = await sensorTree(t, files)
  const { thermalDir, cpuDir, powerDir } = tree
  const clock = new ManualClock()
  const { governor: config } = makeConfig({ node: 'test', governor: { thermalDir, cpuDir, powerDir, ...options.config } })
  const events: SystemEventInput[] = []
  const throttles: Throttle[] = []
  // Without the programs of a Jetson and without the fallback: what the folders say is all there is.
  const sensors = options.sensors ?? [new TemperatureSensor(thermalDir), new ThrottlingSensor(cpuDir, thermalDir), new PowerSensor(powerDir)]
  const governor = new Governor({ config, clock, onEvent: (event) => { events.push(event) }, sensors })
  const off = governor.onChange((throttle) => { throttles.push(throttle) })
  t.teardown(() => governor.stop())
  return { ...tree, clock, governor, events, throttles, off, after: async (ms: number) => { await clock.advance(ms); await governor.look() } }
}
const cool = zone(0, 'cpu-thermal', 50)

test('a board that gets hot is lowered step by step, at once, and restored with hysteresis and hold; each change is told', async (t) => {
  const { governor, write, after, events, throttles } = await governed(t, { ...cool, ...zone(1, 'PMIC-Die', 100), ...zone(2, 'gpu-thermal', 48) })
  await governor.look()
  t.deepEqual(governor.throttle, { frameRateFactor: 1 })
  t.deepEqual(governor.status().hottest, { name: 'cpu-thermal', temperatureC: 50 }, 'the constant zone does not count')
  await write(zone(2, 'gpu-thermal', 76.5))
  await after(2_000)
  t.deepEqual(governor.throttle, { frameRateFactor: 0.5, reason: 'gpu-thermal is at 76.5 °C' })
  await write(zone(2, 'gpu-thermal', 89))
  await after(2_000)
  t.deepEqual(throttles.at(-1), { frameRateFactor: 0.1, sizePx: 256, reason: 'gpu-thermal is at 89.0 °C' })
  t.like(events.at(-1), { severity: 'warning', component: 'governor', name: 'throttle.changed', message: 'step 3 of 3: gpu-thermal is at 89.0 °C', say: 'I am very hot, so I look less often.' })
  await write(zone(2, 'gpu-thermal', 48))
  for (const step of [3, 2, 1, 0]) {
    await after(0)
    t.is(governor.status().step, step)
    await after(9_999)
    t.is(governor.status().step, step)
    await after(1)
  }
  t.deepEqual(governor.throttle, { frameRateFactor: 1 })
  t.deepEqual(events.map(({ severity, data }) => [severity, data?.['step']]), [['warning', 1], ['warning', 3], ['info', 2], ['info', 1], ['info', 0]])
  t.is(events.filter(({ say }) => say !== undefined).length, 1)
  t.is(throttles.length, 5)
})

test('without any sensor nothing is lowered, and the status says so', async (t) => {
  const { governor, after, events } = await governed(t, {})
  t.is(governor.status().note, undefined)
  for (let i = 0; i < 5; i++) await after(2_000)
  t.deepEqual(governor.throttle, { frameRateFactor: 1 })
  const { note, sensors, hottest } = governor.status()
  t.is(note, 'no temperature can be read here: nothing is lowered for heat')
  t.is(hottest, undefined)
  t.deepEqual(sensors.map(({ sensor, state, reading }) => [sensor, state, reading]), [['temperature', 'missing', undefined], ['throttling', 'missing', undefined], ['power', 'missing', undefined]])
  t.deepEqual(events, [])
})

test('a sensor that fails gives no number: the step stays, the loss is told once, and its return too', async (t) => {
  const { governor, write, after, events } = await governed(t, zone(0, 'cpu-thermal', 84))
  await governor.look()
  t.is(governor.status().step, 2)
  await write(zone(0, 'cpu-thermal', ''))
  for (let i = 0; i < 20; i++) await after(10_000)
  t.is(governor.status().step, 2)
  t.is(governor.status().hottest, undefined)
  t.like(governor.status().sensors[0], { state: 'failed', reading: { temperaturesC: { 'cpu-thermal': 84 } }, ageMs: 200_000 })
  t.is(governor.status().note, 'no temperature can be read any more: the step stays')
  t.deepEqual(events.map(({ name }) => name), ['throttle.changed', 'sensor.lost'])
  await write(zone(0, 'cpu-thermal', 40))
  await after(2_000)
  await after(10_000)
  t.is(governor.status().step, 1)
  t.deepEqual(events.map(({ name }) => name), ['throttle.changed', 'sensor.lost', 'sensor.back', 'throttle.changed'])
})

test('where the kernel already throttles, it is one step more', async (t) => {
  const { governor, write, after } = await governed(t, { ...zone(0, 'cpu-thermal', 76), 'thermal/cooling_device0/type': 'pwm-fan', 'thermal/cooling_device0/cur_state': 3, 'thermal/cooling_device1/type': 'cpufreq-cpu0', 'thermal/cooling_device1/cur_state': 0 })
  await governor.look()
  t.is(governor.status().step, 1, 'a fan is no throttling')
  await write({ 'thermal/cooling_device1/cur_state': 2 })
  await after(2_000)
  t.is(governor.status().step, 2)
  t.is(governor.throttle.reason, 'cpu-thermal is at 76.0 °C, cpufreq-cpu0 lowers its clock')
  await write({ 'thermal/cooling_device1/cur_state': 0 })
  await after(2_000)
  t.is(governor.status().step, 2)
  await after(10_000)
  t.is(governor.status().step, 1)
})

test('a low battery without mains is one step more; charging is not', async (t) => {
  const battery = (capacity: number, status: string) => ({ 'power/BAT0/type': 'Battery', 'power/BAT0/capacity': capacity, 'power/BAT0/status': status })
  const { governor, write, after } = await governed(t, { ...cool, ...battery(16, 'Discharging'), 'power/hid-mouse/type': 'Battery', 'power/hid-mouse/scope': 'Device', 'power/hid-mouse/capacity': 3, 'power/hid-mouse/status': 'Discharging' })
  await governor.look()
  t.is(governor.status().step, 0, 'the battery of a mouse does not count')
  await write(battery(14, 'Discharging'))
  await after(2_000)
  t.like(governor.throttle, { frameRateFactor: 0.5, reason: 'cpu-thermal is at 50.0 °C, the battery is at 14 %' })
  await write(battery(14, 'Charging'))
  await after(2_000)
  await after(10_000)
  t.is(governor.status().step, 0)
})

test('a new power mode is no throttling: limits are learned anew', async (t) => {
  const limits = (kHz: number) => ({ 'cpu/cpu0/cpufreq/scaling_cur_freq': 400_000, 'cpu/cpu0/cpufreq/scaling_max_freq': kHz, 'cpu/cpu0/cpufreq/cpuinfo_max_freq': 2_000_000 })
  let powerMode = 'MAXN'
  const tree = await sensorTree(t, { ...cool, ...limits(2_000_000) })
  const mode: Sensor = { name: 'mode', read: async () => ({ powerMode }) }
  const { governor, after } = await governed(t, {}, { sensors: [mode, new TemperatureSensor(tree.thermalDir), new ThrottlingSensor(tree.cpuDir, tree.thermalDir)] })
  await governor.look()
  await tree.write(limits(1_400_000))
  powerMode = 'MODE_15W'
  await after(2_000)
  await after(2_000)
  await after(10_000)
  t.is(governor.status().step, 0)
  t.is(governor.status().powerMode, 'MODE_15W')
  await tree.write(limits(700_000))
  await after(2_000)
  t.is(governor.status().step, 1)
})

test('providers are excluded as the table says, whatever its order; a listener that throws harms nobody', async (t) => {
  const steps = [{ aboveC: 90, frameRateFactor: 0.1 }, { aboveC: 70, frameRateFactor: 0.8, excludeProviders: ['cuda', 'tensorrt'] }]
  const { governor, throttles, events } = await governed(t, zone(0, 'cpu-thermal', 71), { config: { steps } })
  governor.onChange(() => { throw new MtorError('INTERNAL', 'a listener that throws') })
  const later: Throttle[] = []
  governor.onChange((throttle) => { later.push(throttle) })
  await governor.look()
  t.deepEqual(throttles, [{ frameRateFactor: 0.8, excludeProviders: ['cuda', 'tensorrt'], reason: 'cpu-thermal is at 71.0 °C' }])
  t.deepEqual(later, throttles)
  t.deepEqual(events.map(({ name }) => name), ['throttle.changed', 'listener.failed'])
})

test('a sensor that hangs holds up nobody and is not asked again meanwhile', async (t) => {
  let asked = 0
  const answer = Promise.withResolvers<Reading>()
  const hanging: Sensor = { name: 'hanging', read: () => { asked++; return answer.promise } }
  const hot: Sensor = { name: 'hot', read: async () => ({ temperaturesC: { cpu: 85 } }) }
  const { governor, clock, events } = await governed(t, {}, { sensors: [hanging, hot] })
  governor.start()
  governor.start()
  for (let i = 0; i < 10; i++) await clock.advance(5_000)
  t.is(asked, 1)
  t.is(governor.status().step, 2)
  t.like(governor.status().sensors[0], { state: 'failed', message: 'no answer within 5000 ms' })
  answer.resolve({ temperaturesC: { gpu: 89 } })
  for (let i = 0; i < 3; i++) await clock.advance(5_000)
  t.is(governor.status().step, 3)
  t.true(asked > 1)
  t.deepEqual(events.map(({ name }) => name), ['sensor.lost', 'throttle.changed', 'sensor.back', 'throttle.changed'])
})

test('it starts and stops its sensors, reads them each period, and does nothing where it is switched off', async (t) => {
  const calls: string[] = []
  const sensor: Sensor = { name: 'counting', start: () => { calls.push('start') }, stop: () => { calls.push('stop') }, read: async () => { calls.push('read'); return { temperaturesC: { cpu: 40 } } } }
  const { governor, clock, off } = await governed(t, {}, { sensors: [sensor] })
  off()
  governor.start()
  await clock.advance(0)
  for (let i = 0; i < 3; i++) await clock.advance(2_000)
  await governor.stop()
  await clock.advance(60_000)
  await governor.stop()
  t.deepEqual(calls, ['start', 'read', 'read', 'read', 'read', 'stop', 'stop'])
  const disabled = await governed(t, zone(0, 'cpu-thermal', 99), { config: { enabled: false } })
  disabled.governor.start()
  await disabled.clock.advance(60_000)
  t.deepEqual(disabled.governor.throttle, { frameRateFactor: 1 })
  t.like(disabled.governor.status(), { enabled: false, step: 0 })
})
