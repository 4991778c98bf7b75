import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { thermalZones } from '../inference/governor/sensors/temperature.ts'
import test, { type ExecutionContext } from 'ava'
import { ManualClock, systemClock } from '../contracts/clock.ts'
import { batteryOf, makeBoxReader, type BoxState } from './box.ts'
import { makeSystemSkill } from './system.ts'
import { contextOf } from './testing.ts'

async function zones(t: ExecutionContext, ...list: [type: string, temp: string | undefined][]): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'mtor-thermal-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  for (const [i, [type, temp]] of list.entries()) {
    await mkdir(join(root, `thermal_zone${i}`))
    await writeFile(join(root, `thermal_zone${i}`, 'type'), `${type}\n`)
    if (temp !== undefined) await writeFile(join(root, `thermal_zone${i}`, 'temp'), `${temp}\n`)
  }
  return root
}

test('the real board is read: load, memory and disk are there and make sense', async (t) => {
  const reader = makeBoxReader({ clock: systemClock, diskPath: '/', timeoutMs: 20_000 })
  await reader.start()
  const state = await reader.read()
  t.true(state.processors >= 1)
  t.true(state.memoryUsedFraction! > 0 && state.memoryUsedFraction! < 1)
  t.true(state.diskFreeBytes! > 0 && state.diskFreeFraction! <= 1)
})

test('the processor temperature is the hottest zone of the processor, not a constant one', async (t) => {
  const thermalRoot = await zones(t, ['CPU-therm', '41500'], ['PMIC-Die', '100000'], ['cpu-thermal', '43000'], ['GPU-therm', undefined], ['tj-thermal', '-256000'])
  const { temperatureC } = await makeBoxReader({ clock: systemClock, diskPath: '/', thermalZones: () => thermalZones(thermalRoot) }).read()
  t.is(temperatureC, 43)
})

test('without thermal zones the temperature is absent, not zero', async (t) => {
  t.false('temperatureC' in await makeBoxReader({ clock: systemClock, diskPath: '/', thermalZones: ((root) => () => thermalZones(root))(await zones(t)) }).read())
  t.false('temperatureC' in await makeBoxReader({ clock: systemClock, diskPath: '/', thermalZones: () => thermalZones('/nonexistent') }).read())
})

test('a probe that hangs is left out and not started again; one that fails is left out', async (t) => {
  const clock = new ManualClock()
  let started = 0
  const reader = makeBoxReader({ clock, diskPath: '/', probes: {
    disk: () => { started += 1; return new Promise(() => {}) },
    battery: async () => { throw new TypeError('no such file') },
    memory: async () => ({ memoryUsedFraction: 0.5 }),
    temperature: async () => ({}),
  } })
  for (let i = 0; i < 3; i++) {
    const reading = reader.read()
    await clock.advance(0)
    await clock.advance(1_000)
    const state = await reading
    t.is(state.memoryUsedFraction, 0.5)
    t.false('diskFreeBytes' in state || 'battery' in state)
    await clock.advance(5_000)
  }
  t.is(started, 1)
})

test('a reading is given again for a few seconds, then taken anew', async (t) => {
  const clock = new ManualClock()
  let taken = 0
  const reader = makeBoxReader({ clock, diskPath: '/', probes: { memory: async () => ({ memoryUsedFraction: ++taken / 10 }), disk: async () => ({}), temperature: async () => ({}), battery: async () => ({}) } })
  await Promise.all([reader.read(), reader.read()])
  await clock.advance(2_000)
  await reader.read()
  t.is(taken, 1)
  await clock.advance(2_000)
  t.is((await reader.read()).memoryUsedFraction, 0.2)
})

test('what a battery does not report is absent, not zero', (t) => {
  const battery = { hasBattery: true, percent: 0, isCharging: false, voltage: 0, maxCapacity: 0, currentCapacity: 0 }
  t.deepEqual(batteryOf({ ...battery, hasBattery: false }), {})
  t.deepEqual(batteryOf(battery), { battery: { charging: false } })
  t.deepEqual(batteryOf({ ...battery, maxCapacity: 50, currentCapacity: 20 }), { battery: { charging: false, fraction: 0.4 } })
  t.deepEqual(batteryOf({ ...battery, percent: 80, voltage: 12.5, isCharging: true }), { battery: { charging: true, fraction: 0.8, voltageV: 12.5 } })
})

test('system status says what is known, and trouble first', async (t) => {
  const status = (state: BoxState) => makeSystemSkill({ box: { start: async () => {}, read: async () => state } }).run(contextOf('system.status'))
  t.is((await status({ load1: 0.42, processors: 2 })).say, 'I am well. The load is 0.4 on 2 processors.')
  t.is((await status({ load1: 9, processors: 4, memoryUsedFraction: 0.95, diskFreeBytes: 2.34e9, diskFreeFraction: 0.02, temperatureC: 91.2 })).say,
    'Attention: the processor is hot, the disk is nearly full, memory is nearly full and the processors are overloaded. '
    + 'The load is 9 on 4 processors, memory is 95 percent used, 2.3 gigabytes of disk are free and the processor is at 91 degrees.')
})
