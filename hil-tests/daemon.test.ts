import test, { type ExecutionContext } from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { stringify } from 'yaml'
import { ControlClient } from '../appliance/gateway/client.ts'
import { requestStop } from '../appliance/guard/stop-socket.ts'
import { SimulatorProcess } from '../drivers/rover/simulator/host.ts'
import { DAEMON_FLAGS, environment } from '../setup/child.mjs'
import { Appliance, MAIN } from './resources/appliance.ts'

const folder = (t: ExecutionContext) => {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-daemon-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}
const bus = { listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }] }

/** A daemon without speech, as `npm start` runs it; its output line by line. */
function daemon(t: ExecutionContext, dir: string, settings: Record<string, unknown> = {}) {
  const file = join(dir, `mtor-${Math.random().toString(36).slice(2)}.yaml`)
  writeFileSync(file, stringify({ stateDir: join(dir, 'state'), bus, speech: { enabled: false }, ...settings }))
  const child = spawn(process.execPath, ['--no-warnings', ...DAEMON_FLAGS, MAIN, '--config', file], { stdio: ['ignore', 'pipe', 'pipe'], env: environment })
  t.teardown(() => child.kill('SIGKILL'))
  const said: string[] = []
  const waiting = new Map<RegExp, () => void>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      said.push(line)
      for (const [pattern, found] of waiting) if (pattern.test(line)) found()
    })
  }
  const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, text: said.join('\n') }))
  const line = (pattern: RegExp) => Promise.race([new Promise<void>((found) => waiting.set(pattern, found)), exited.then(({ text }) => { throw new TypeError(`the daemon ended: ${text}`) })])
  return { child, exited, line, control: new ControlClient(join(dir, 'state', 'run', 'control.sock')) }
}

/** Follows what the box reports until an event matches. */
async function reported(control: ControlClient, matches: (event: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
  for await (const event of control.lines('GET', '/events?follow=true&last=100')) if (matches(event)) return event
  throw new TypeError('the events ended')
}

test('DAEMON-001 a second daemon on the state or run folder of a running one is refused and takes nothing from it', async (t) => {
  const dir = folder(t)
  const first = daemon(t, dir)
  await first.line(/^ready/)
  const runFile = join(dir, 'state', 'run', 'appliance.json')
  const before = readFileSync(runFile, 'utf8')
  for (const settings of [{}, { stateDir: join(dir, 'other'), runDir: join(dir, 'state', 'run') }]) {
    const { code, text } = await daemon(t, dir, settings).exited
    t.is(code, 1)
    t.regex(text, new RegExp(`ALREADY_RUNNING: .* is in use by process ${first.child.pid}`))
  }
  t.is(readFileSync(runFile, 'utf8'), before)
  t.is((await first.control.call('GET', '/status') as { pid: number }).pid, first.child.pid!)
  const answer = await requestStop({ socketPath: join(dir, 'state', 'run', 'stop.sock'), reason: 'test', timeoutMs: 5_000 })
  t.is(answer?.by, 'daemon')
  first.child.kill('SIGKILL')
  await first.exited
  const third = daemon(t, dir)
  await third.line(/^ready/)
  third.child.kill('SIGTERM')
  t.is((await third.exited).code, 0)
})

test('DAEMON-002 a port that is taken and a folder that cannot be written end the start with 2 and a reason, and leave nothing running', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const dir = folder(t)
  const busy = await daemon(t, dir, { bus: { listeners: [{ kind: 'tcp', host: '127.0.0.1', port }] } }).exited
  t.is(busy.code, 2)
  t.regex(busy.text, /CONFIG_INVALID: .*EADDRINUSE/)
  for (const left of ['rover.tty', 'rover.tty.control', 'stop.sock', 'control.sock']) t.false(existsSync(join(dir, 'state', 'run', left)), left)
  const unwritable = await daemon(t, dir, { stateDir: '/dev/null/mtor' }).exited
  t.is(unwritable.code, 2)
  t.regex(unwritable.text, /CONFIG_INVALID: \/dev\/null\/mtor cannot be written/)
})

test('DAEMON-003 Ctrl-C at any moment of the start ends everything that was started, without an error', async (t) => {
  for (const moment of [/✓ journal/, /✓ device/, /✓ bus/]) {
    const dir = folder(t)
    const { child, exited, line } = daemon(t, dir)
    await line(moment)
    child.kill('SIGINT')
    const { code, text } = await exited
    t.is(code, 0, text)
    t.regex(text, /Stopped\.$/)
    t.notRegex(text, /mtor: |could not|INTERNAL/)
    for (const left of ['rover.tty', 'stop.sock', 'control.sock']) t.false(existsSync(join(dir, 'state', 'run', left)), `${left} after ${moment}`)
  }
})

test('DAEMON-004 a console that goes away does not end the daemon', async (t) => {
  const { child, control, line } = daemon(t, folder(t))
  await line(/^ready/)
  child.stdout.destroy()
  child.stderr.destroy()
  for (let i = 0; i < 3; i++) for await (const turn of control.lines('POST', '/intents', { type: 'time.tell' })) t.truthy(turn.kind)
  t.is((await control.call('GET', '/status') as { pid: number }).pid, child.pid!)
})

test('DAEMON-005 a timer outlives kill −9 of the daemon, and its end is an event', async (t) => {
  const box = new Appliance(folder(t), { devices: [], speech: { enabled: false } })
  t.teardown(() => box.stop())
  await box.start()
  for await (const turn of box.control.lines('POST', '/intents', { type: 'timer.set', slots: { durationS: 2, name: 'tea' } })) t.truthy(turn.kind)
  box.killCore()
  await box.answering()
  t.is(box.starts, 2)
  t.regex(String((await reported(box.control, (e) => e.name === 'announced')).message), /tea timer .*done/)
})

test('DAEMON-006 a rover that is not there is said, is not waited for, and is taken when it comes', async (t) => {
  const dir = folder(t)
  const port = join(dir, 'later.tty')
  const box = new Appliance(dir, { devices: [{ id: 'rover', driver: 'rover', port }], speech: { enabled: false } })
  t.teardown(() => box.stop())
  await box.start()
  await reported(box.control, (e) => e.name === 'port.unavailable')
  const move = async () => { const turns = []; for await (const turn of box.control.lines('POST', '/intents', { type: 'drive.move', slots: { distanceM: 0.1 } })) turns.push(turn); return (turns.at(-1) as { event: { state: string; code?: string } }).event }
  t.like(await move(), { state: 'failed', code: 'DEVICE_UNREACHABLE' })
  const rover = new SimulatorProcess({ link: port })
  t.teardown(() => rover.stop())
  await rover.start()
  await reported(box.control, (e) => e.name === 'device.connected')
  t.like(await move(), { state: 'succeeded' })
})
