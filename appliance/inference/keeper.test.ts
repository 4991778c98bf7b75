import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ManualClock, systemClock, type Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import { Keeper, processState, type Gone } from './keeper.ts'

type To = { kind: 'shutdown' } | { kind: 'echo'; value: unknown } | { kind: 'end'; code: number }
type From = { kind: 'up'; pid: number } | { kind: 'echo'; value: unknown }

/** Does what it is told; `stubborn`: all but end. */
const CHILD = `
process.on('message', (message) => {
  if (message.kind === 'shutdown' && !process.env.STUBBORN) process.exit(0)
  if (message.kind === 'echo') process.send(message)
  if (message.kind === 'end') { console.error('what it said last'); process.exit(message.code) }
})
process.on('disconnect', () => { if (!process.env.STUBBORN) process.exit(0) })
setInterval(() => {}, 1000)
process.send({ kind: 'up', pid: process.pid })`

const WAIT_MS = 20_000
async function becomes(what: string, fact: () => boolean) {
  const untilMs = performance.now() + WAIT_MS
  while (!fact()) {
    if (performance.now() > untilMs) throw new MtorError('DEADLINE', `${what}: not within ${WAIT_MS} ms`)
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
}

async function keep(t: ExecutionContext, options: { clock?: Clock; env?: Record<string, string>; file?: string } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-keeper-'))
  const file = join(folder, 'child.mjs')
  await writeFile(file, CHILD)
  const pids: number[] = []
  const messages: From[] = []
  const gone: Gone[] = []
  const keeper = new Keeper<To, From>({
    file: options.file ?? file, env: options.env ?? {}, clock: options.clock ?? systemClock, shutdown: { kind: 'shutdown' },
    onStart: (pid) => { if (pid !== undefined) pids.push(pid) }, onMessage: (message) => { messages.push(message) }, onGone: (how) => { gone.push(how) },
  })
  t.teardown(async () => {
    for (const pid of pids) try { process.kill(pid, 'SIGKILL') } catch { /* It has ended. */ }
    await keeper.stop()
    await rm(folder, { recursive: true, force: true })
  })
  const ups = () => messages.filter(({ kind }) => kind === 'up').length
  return { keeper, pids, messages, gone, folder, file, up: (count = 1) => becomes(`child ${count} is up`, () => ups() >= count), ended: (count = 1) => becomes(`end ${count} is told`, () => gone.length >= count) }
}

test('after kill −9 the child is there again at once, and both are told', async (t) => {
  const { keeper, pids, messages, gone, up } = await keep(t)
  t.false(keeper.up)
  t.false(keeper.send({ kind: 'echo', value: 1 }), 'nobody is there to take it')
  keeper.start()
  keeper.start()
  await up()
  process.kill(pids[0]!, 'SIGKILL')
  await up(2)
  t.deepEqual(gone, [{ reason: 'killed by SIGKILL', planned: false, delayMs: 0 }])
  t.is(keeper.restarts, 1)
  t.is(keeper.pid, pids[1])
  t.is(pids.length, 2)
  const value = { samples: new Float32Array([0.5, -1]), when: 12n }
  t.true(keeper.send({ kind: 'echo', value }))
  await becomes('the echo is here', () => messages.some(({ kind }) => kind === 'echo'))
  t.deepEqual(messages.at(-1), { kind: 'echo', value })
})

test('a child that ends again and again is started ever later; once it has worked long enough, at once', async (t) => {
  const clock = new ManualClock()
  const { keeper, gone, up, ended } = await keep(t, { clock })
  keeper.start()
  for (const [index, delayMs] of [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].entries()) {
    await up(index + 1)
    keeper.send({ kind: 'end', code: 3 })
    await ended(index + 1)
    t.is(gone[index]!.delayMs, delayMs)
    await clock.advance(delayMs)
  }
  for (const { reason } of gone) t.is(reason, 'ended with 3: what it said last')
  await up(10)
  keeper.healthy()
  await clock.advance(9_999)
  keeper.send({ kind: 'end', code: 3 })
  await ended(10)
  t.is(gone[9]!.delayMs, 5_000, 'it had not worked long enough')
  await clock.advance(5_000)
  await up(11)
  keeper.healthy()
  await clock.advance(10_000)
  keeper.healthy()
  keeper.send({ kind: 'end', code: 3 })
  await ended(11)
  t.is(gone[10]!.delayMs, 0)
})

test('a renewal is planned: the child ends by itself, the next one starts at once, and no back-off grows of it', async (t) => {
  const { keeper, gone, pids, up } = await keep(t)
  keeper.start()
  for (let i = 1; i <= 3; i++) {
    await up(i)
    keeper.renew('too large')
    t.false(keeper.up, 'it is given nothing more')
    keeper.renew('asked twice')
  }
  await up(4)
  t.deepEqual(gone, Array.from({ length: 3 }, () => ({ reason: 'too large', planned: true, delayMs: 0 })))
  t.is(new Set(pids).size, 4)
})

test('a child that will not end is ended, at a renewal and at a stop', async (t) => {
  const clock = new ManualClock()
  const { keeper, gone, pids, up, ended } = await keep(t, { clock, env: { STUBBORN: '1' } })
  keeper.start()
  await up()
  keeper.renew('too large')
  await clock.advance(1_999)
  t.truthy(processState(pids[0]!), 'it has some time to end in order')
  await clock.advance(1)
  await ended()
  t.like(gone[0], { reason: 'too large', planned: true })
  await clock.advance(0)
  await up(2)
  const stopped = keeper.stop()
  await clock.advance(2_000)
  await stopped
  t.is(processState(pids[1]!), undefined)
})

test('a child that hangs is killed with the reason; stopping frees one that is frozen, twice is fine, and nothing is left', async (t) => {
  const { keeper, gone, pids, up } = await keep(t)
  keeper.start()
  await up()
  process.kill(pids[0]!, 'SIGSTOP')
  await becomes('the kernel says that it is stopped', () => keeper.state?.stopped === true)
  keeper.kill('no sign of life')
  await up(2)
  t.deepEqual(gone, [{ reason: 'no sign of life', planned: false, delayMs: 0 }])
  t.false(keeper.state!.stopped)
  await Promise.all([keeper.stop(), keeper.stop()])
  await keeper.stop()
  t.is(keeper.pid, undefined)
  t.is(keeper.state, undefined)
  t.deepEqual(pids.map(processState), [undefined, undefined])
  t.is(gone.length, 1, 'a stop is no loss')
  keeper.start()
  await up(3)
})

test('stopped in the middle of a back-off, no other child comes', async (t) => {
  const clock = new ManualClock()
  const { keeper, pids, up, ended } = await keep(t, { clock })
  keeper.start()
  await up()
  for (let i = 1; i <= 2; i++) {
    process.kill(pids.at(-1)!, 'SIGKILL')
    await ended(i)
    if (i === 1) { await clock.advance(0); await up(2) }
  }
  await keeper.stop()
  await clock.advance(60_000)
  t.is(pids.length, 2)
})

test('a child that cannot run at all is told with its last words, and tried again', async (t) => {
  const { keeper, gone, ended } = await keep(t, { file: join(tmpdir(), 'mtor-no-such-child.mjs') })
  keeper.start()
  await ended(2)
  t.regex(gone[0]!.reason, /^ended with 1: .*/)
  t.deepEqual(gone.slice(0, 2).map(({ delayMs }) => delayMs), [0, 100])
})

test('when its parent is killed, the child goes too, even one that will not end', async (t) => {
  const { folder, file } = await keep(t)
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const parent = join(folder, 'parent.mjs')
  await writeFile(parent, `
    const { Keeper } = await import(${url('./keeper.ts')}), { systemClock: clock } = await import(${url('../contracts/clock.ts')})
    const keeper = new Keeper({ file: ${JSON.stringify(file)}, env: { STUBBORN: '1' }, clock, shutdown: { kind: 'shutdown' }, onMessage: (message) => console.log(message.pid), onGone: () => {} })
    keeper.start()`)
  const core = spawn(process.execPath, [parent], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  core.stdout.on('data', (data: Buffer) => { said += String(data) })
  await becomes('the child is up', () => said.includes('\n'))
  const pid = Number(said)
  t.truthy(processState(pid))
  core.kill('SIGKILL')
  await becomes('the child is gone', () => processState(pid) === undefined)
  t.is(processState(pid), undefined)
})

test('memory and time of a process are those that it says itself', (t) => {
  const before = processState(process.pid)!
  const memory = new Uint8Array(64 * 1024 * 1024).fill(1)
  for (const endMs = performance.now() + 60; performance.now() < endMs;) memory[0]!++
  const after = processState(process.pid)!
  const { user, system } = process.cpuUsage()
  t.true(after.rssBytes - before.rssBytes > memory.length / 2, `${before.rssBytes} → ${after.rssBytes}`)
  t.true(Math.abs(after.rssBytes - process.memoryUsage.rss()) < 32 * 1024 * 1024)
  t.true(after.cpuS > before.cpuS)
  t.true(Math.abs(after.cpuS - (user + system) / 1e6) < 0.5)
  t.false(after.stopped)
  t.is(processState(2 ** 30), undefined)
})
