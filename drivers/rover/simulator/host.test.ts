import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test from 'ava'
import type { MtorError } from '../../../appliance/contracts/errors.ts'
import { readLog } from '../testing.ts'
import { SimulatorProcess } from './host.ts'

const directoryOf = (t: { teardown(fn: () => void): void }) => {
  const directory = mkdtempSync(join(tmpdir(), 'rover-host-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

test('ROV-019 start makes a link to a terminal, stop removes everything, both may be called twice', async (t) => {
  const simulator = new SimulatorProcess()
  t.teardown(() => simulator.stop())
  const { port } = await simulator.start()
  t.deepEqual(await simulator.start(), { port })
  t.true(lstatSync(port).isSymbolicLink())
  const pid = simulator.pid!
  await simulator.stop()
  await simulator.stop()
  t.is(simulator.pid, undefined)
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  t.false(existsSync(dirname(port)))
})

test('ROV-019 killed, it is started again with its memory, and says so', async (t) => {
  const events: string[] = []
  const again = Promise.withResolvers<void>()
  const simulator = new SimulatorProcess({ onEvent: (event) => { events.push(event.name); if (events.filter((e) => e === 'simulator.ready').length === 2) again.resolve() } })
  t.teardown(() => simulator.stop())
  await simulator.start()
  const first = simulator.pid!
  process.kill(first, 'SIGKILL')
  await again.promise
  t.not(simulator.pid, first)
  t.deepEqual(events, ['simulator.ready', 'simulator.ended', 'simulator.ready'])
  t.like(await simulator.control({ do: 'status' }), { bootCount: 2, plugged: true })
})

test('ROV-019 a simulator whose parent was killed ends by itself, and the next one on the same link waits for it', async (t) => {
  const link = join(directoryOf(t), 'tty')
  const parent = spawn(process.execPath, ['--input-type=module', '-e', `
    import { SimulatorProcess } from ${JSON.stringify(new URL('host.ts', import.meta.url).href)}
    await new SimulatorProcess({ link: ${JSON.stringify(link)} }).start()
    process.stdout.write('up')`], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { parent.kill('SIGKILL') })
  await once(parent.stdout, 'data')
  parent.kill('SIGKILL')
  const simulator = new SimulatorProcess({ link })
  t.teardown(() => simulator.stop())
  await simulator.start()
  t.true(lstatSync(link).isSymbolicLink())
  const facts = readLog(simulator.logFile).filter((f) => f.fact !== 'late').map((f) => f.fact === 'exit' ? `exit: ${f.signal}` : f.fact)
  t.deepEqual(facts, ['boot', 'exit: parent gone', 'boot'])
})

test('ROV-019 a wrong command line and a damaged memory end it with a reason', async (t) => {
  const error = await t.throwsAsync<MtorError>(new SimulatorProcess({ speedFactor: -1 }).start())
  t.is(error.code, 'DEVICE_UNREACHABLE')
  t.regex(error.message, /speed-factor/)
  const directory = directoryOf(t)
  const damaged = await t.throwsAsync<MtorError>(new SimulatorProcess({ link: join(directory, 'tty'), stateFile: directory }).start())
  t.regex(damaged.message, /controller state/)
})

test('ROV-019 control refuses what it does not know, also broken JSON, and goes on', async (t) => {
  const simulator = new SimulatorProcess()
  t.teardown(() => simulator.stop())
  await simulator.start()
  const wrong = await t.throwsAsync<MtorError>(simulator.control({ do: 'slip', slipFraction: 2 }))
  t.is(wrong.code, 'INVALID_SLOTS')
  const socket = connect(simulator.controlPath)
  socket.write('{"do":\n')
  t.is(JSON.parse(String((await once(socket, 'data'))[0])).code, 'MALFORMED')
  socket.destroy()
  t.deepEqual(await simulator.control({ do: 'slip', slipFraction: 0.2 }), {})
  await simulator.control({ do: 'line', direction: 'toHost', delayMs: 5 })
  t.like(await simulator.control({ do: 'status' }), { faults: { toHost: { delayMs: 5 }, toController: { delayMs: 0 } } })
})
