import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { ManualClock, systemClock } from '../../../contracts/clock.ts'
import { MtorError } from '../../../contracts/errors.ts'
import { processState } from '../../keeper.ts'
import { sensorTree, zone } from '../testing.ts'
import { JetsonSensor } from './jetson.ts'
import { OtherSystemsSensor } from './other-systems.ts'
import { PowerSensor } from './power.ts'
import { TemperatureSensor } from './temperature.ts'
import { ThrottlingSensor } from './throttling.ts'

const codeOf = (promise: Promise<unknown>) => promise.then(() => 'none', (error: unknown) => error instanceof MtorError ? error.code : String(error))
const WAIT_MS = 15_000
async function becomes(what: string, fact: () => Promise<boolean>) {
  for (const untilMs = performance.now() + WAIT_MS; !await fact();) {
    if (performance.now() > untilMs) throw new MtorError('DEADLINE', `${what}: not within ${WAIT_MS} ms`)
    await new Promise((resolve) => { setTimeout(resolve, 20) })
  }
}

test('temperatures: all plausible zones of the board by name; none is no number', async (t) => {
  const { thermalDir, write, remove } = await sensorTree(t, { ...zone(0, 'CPU-therm', 41.5), ...zone(1, 'x86_pkg_temp', 43), ...zone(2, 'acpitz', 'nothing'), ...zone(3, 'tj-thermal', -256), ...zone(4, 'PMIC-Die', 100), ...zone(5, 'x86_pkg_temp', 47.25), ...zone(6, 'iwlwifi_1', 61) })
  const sensor = new TemperatureSensor(thermalDir)
  t.deepEqual(await sensor.read(), { temperaturesC: { 'cpu-therm': 41.5, x86_pkg_temp: 47.25 } })
  await write({ ...zone(0, 'CPU-therm', ''), ...zone(1, 'x86_pkg_temp', 999), ...zone(5, 'x86_pkg_temp', -100) })
  t.is(await codeOf(sensor.read()), 'DEVICE_UNREACHABLE')
  await remove('thermal')
  t.is(await codeOf(sensor.read()), 'NOT_FITTED')
})

test('where the kernel shows no zone the fallback is asked, seldom; what it cannot say is no zero', async (t) => {
  const clock = new ManualClock()
  const answers = ['{"main":51,"max":54.5}', '{"main":null,"max":null}', undefined, '{"max":0}']
  let asked = 0
  const { thermalDir } = await sensorTree(t)
  const sensor = new TemperatureSensor(thermalDir, new OtherSystemsSensor(clock, async () => answers[asked++]))
  for (let i = 0; i < 10; i++) t.deepEqual(await sensor.read(), { temperaturesC: { processor: 54.5 } })
  t.is(asked, 1)
  for (let i = 2; i <= 4; i++) {
    await clock.advance(600_000)
    t.is(await codeOf(sensor.read()), 'NOT_FITTED')
    t.is(await codeOf(sensor.read()), 'NOT_FITTED')
    t.is(asked, i)
  }
})

test('the real fallback answers here with a temperature, or says that there is none', async (t) => {
  const found = await new OtherSystemsSensor(systemClock).read().catch((error: unknown) => error)
  if (found instanceof MtorError) t.is(found.code, 'NOT_FITTED')
  else t.true((found as { temperaturesC: { processor: number } }).temperaturesC.processor > 0)
})

test('throttling: counters that rise, and a limit below what it was; a slow clock alone is only rest', async (t) => {
  const cpu = (index: number, currentKHz: number, limitKHz: number) => ({ [`cpu/cpu${index}/cpufreq/scaling_cur_freq`]: currentKHz, [`cpu/cpu${index}/cpufreq/scaling_max_freq`]: limitKHz, [`cpu/cpu${index}/cpufreq/cpuinfo_max_freq`]: 2_000_000 })
  const events = (count: number) => ({ 'cpu/cpu0/thermal_throttle/core_throttle_count': count, 'cpu/cpu0/thermal_throttle/package_throttle_count': 7 })
  const { cpuDir, thermalDir, write, remove } = await sensorTree(t, { ...cpu(0, 400_000, 2_000_000), ...cpu(1, 400_000, 1_800_000), ...events(40), 'cpu/cpufreq/boost': 1 })
  const sensor = new ThrottlingSensor(cpuDir, thermalDir)
  t.deepEqual(await sensor.read(), { clock: { current: 0.2, limit: 1 } })
  await write(events(43))
  t.is((await sensor.read()).throttled, '3 thermal events of the processor')
  t.is((await sensor.read()).throttled, undefined)
  await write(cpu(1, 400_000, 1_200_000))
  t.is((await sensor.read()).throttled, 'cpu1 is limited to 1200 MHz')
  sensor.rebase()
  t.is((await sensor.read()).throttled, undefined)
  await write({ 'thermal/cooling_device4/type': 'Processor', 'thermal/cooling_device4/cur_state': 1 })
  t.is((await sensor.read()).throttled, 'Processor lowers its clock')
  await remove('cpu')
  await remove('thermal')
  t.is(await codeOf(sensor.read()), 'NOT_FITTED')
})

test('power: mains and batteries as the kernel tells them', async (t) => {
  const { powerDir, write, remove } = await sensorTree(t, { 'power/AC/type': 'Mains', 'power/AC/online': 1 })
  const sensor = new PowerSensor(powerDir)
  t.deepEqual(await sensor.read(), { power: { onMains: true } })
  await write({ 'power/BAT0/type': 'Battery', 'power/BAT0/status': 'Unknown', 'power/BAT0/capacity': 61, 'power/AC/online': 0 })
  t.deepEqual(await sensor.read(), { power: { onMains: false, batteryFraction: 0.61, discharging: true } })
  await write({ 'power/BAT1/type': 'Battery', 'power/BAT1/status': 'Full', 'power/BAT1/capacity': 250 })
  t.deepEqual(await sensor.read(), { power: { onMains: false, batteryFraction: 0.61, discharging: false } }, 'a level that cannot be is none')
  await remove('power/BAT0')
  await remove('power/BAT1')
  await remove('power/AC')
  t.is(await codeOf(sensor.read()), 'NOT_FITTED')
})

const LINE = '11-22-2026 10:21:10 RAM 3512/30588MB (lfb 6x4MB) SWAP 0/15294MB (cached 0MB) CPU [1%@729,off] GR3D_FREQ 37%@[305,510] CPU@46.5C GPU@-256C tj@47.5C VDD_IN 4786mW/4780mW'

test('Jetson: the programs are run, their lines read; one that ends is an error until it speaks again; nothing is left', async (t) => {
  const { root, write } = await sensorTree(t, {
    'bin/tegrastats': `#!/bin/sh\n[ "$1" = --interval ] || exit 9\n[ -e "$(dirname "$0")/broken" ] && { echo 'no permission' >&2; exit 3; }\nwhile :; do echo 'a line of something else'; echo '${LINE}'; sleep 0.05; done`,
    'bin/nvpmodel': '#!/bin/sh\necho "NVPM WARN: fan mode is not set!"\necho "NV Power Mode: MODE_30W"\necho 2',
  })
  const [tegrastats, nvpmodel] = ['tegrastats', 'nvpmodel'].map((name) => join(root, 'bin', name)) as [string, string]
  for (const file of [tegrastats, nvpmodel]) await chmod(file, 0o755)
  // Only time that this test lets pass counts, apart from the programs' own.
  const clock = new ManualClock()
  const sensor = new JetsonSensor({ clock, periodMs: 2_000, tegrastats, nvpmodel })
  t.teardown(() => sensor.stop())
  sensor.start()
  sensor.start()
  await becomes('a line is read', async () => await codeOf(sensor.read()) === 'none')
  t.deepEqual(await sensor.read(), { powerMode: 'MODE_30W', temperaturesC: { cpu: 46.5, tj: 47.5 }, gpuLoad: 0.37, powerW: 4.786 })
  const pid = sensor.pid!
  await write({ 'bin/broken': '' })
  process.kill(pid, 'SIGKILL')
  await becomes('its end is known', async () => sensor.pid === undefined)
  await clock.advance(6_001)
  const lost = await t.throwsAsync(sensor.read(), { instanceOf: MtorError })
  t.is(lost.message, 'tegrastats ended with SIGKILL: ')
  await clock.advance(4_000)
  await becomes('its second end is known', async () => sensor.pid === undefined && /no permission/.test(await sensor.read().then(() => '', (error: Error) => error.message)))
  await sensor.stop()
  await sensor.stop()
  await clock.advance(60_000)
  t.is(sensor.pid, undefined)
  t.is(processState(pid), undefined)
})

test('Jetson: without its programs there is nothing of the kind', async (t) => {
  const sensor = new JetsonSensor({ clock: systemClock, periodMs: 1_000, tegrastats: '/nonexistent/tegrastats', nvpmodel: '/nonexistent/nvpmodel' })
  sensor.start()
  t.is(await codeOf(sensor.read()), 'NOT_FITTED')
  await sensor.stop()
})
