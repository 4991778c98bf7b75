import test, { type ExecutionContext } from 'ava'
import { connectAsync } from 'mqtt'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../appliance/contracts/clock.ts'
import { uuidv7 } from '../appliance/contracts/ids.ts'
import type { RoverState } from '../appliance/contracts/telemetry.ts'
import { topicsOf } from '../appliance/contracts/topics.ts'
import * as show from '../appliance/gateway/show.ts'
import { RoverLink } from '../drivers/rover/link.ts'
import { judgeOwnership } from './checkers/ownership.ts'
import { readFacts } from './checkers/logs.ts'
import { RealmBench, type RealmBenchOptions } from './resources/realm-bench.ts'

async function realm(t: ExecutionContext, options: RealmBenchOptions = {}) {
  // Short: sockets have at most 107 bytes.
  const dir = mkdtempSync(join(tmpdir(), 'mr-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const bench = new RealmBench(dir, options)
  t.teardown(() => bench.stop())
  await bench.start()
  const owner = async () => { await bench.until('a node commands the rover', async () => await bench.owner() !== undefined); return (await bench.owner())! }
  const submit = async (at: string, type: string, slots: Record<string, unknown>) => {
    const { receipt, events } = await bench.submit(at, type, slots)
    return { receipt, events, end: events.at(-1)! }
  }
  const verdict = () => judgeOwnership({
    controller: bench.simulator.logFile, lines: { 'line-a': 'a', 'line-b': 'b' },
    nodes: Object.fromEntries([...bench.nodes].map(([name, node]) => [name, node.factLog])),
  })
  const executions = () => readFacts<{ fact: string; intentId: string; line: string; epoch: number }>(bench.simulator.logFile).filter(({ fact }) => fact === 'execute')
  return { bench, owner, submit, verdict, executions, other: (node: string) => node === 'a' ? 'b' : 'a' }
}

test.serial('two boards and a witness: any node takes an intent, the owner is killed −9 and the other goes on, a hand-over goes back, and every log agrees', async (t) => {
  const { bench, owner, submit, verdict, other } = await realm(t)
  const first = await owner()
  for (const at of ['a', 'b', 'w']) t.like((await submit(at, 'light.set', { on: true })).end, { state: 'succeeded', node: first })
  bench.node(first).killCore(300)
  const after = await submit('w', 'light.set', { on: false })
  t.like(after.end, { state: 'succeeded', node: other(first) })
  // The killed one comes back, and stands by.
  await bench.until('it is back', async () => (await bench.devices(first)).some(({ lines }) => lines.length === 2))
  t.is(await owner(), other(first))
  await bench.node('w').control.call('POST', '/devices/rover/move', { to: first })
  t.like((await submit('w', 'light.set', { on: true })).end, { state: 'succeeded', node: first })
  const { changes, violations, executions } = verdict()
  t.deepEqual(violations, [])
  t.true(changes >= 2)
  t.is(executions, 5)
})

test.serial('clients of all nodes see one state of the device, of the node that commands it, and that it is not connected once none does', async (t) => {
  const { bench, owner, submit, other } = await realm(t)
  const first = await owner(), second = other(first)
  const seen: Record<string, RoverState[]> = { a: [], b: [], w: [] }
  for (const [at, states] of Object.entries(seen)) {
    const client = await connectAsync(bench.node(at).mqttUrl)
    t.teardown(() => client.end(true))
    client.on('message', (_, payload) => { states.push(JSON.parse(payload.toString()) as RoverState) })
    await client.subscribeAsync(topicsOf('bench').deviceState('rover'))
  }
  const all = (what: string, fits: (state: RoverState) => boolean) => bench.until(what, async () => Object.values(seen).every((states) => states.length > 0 && fits(states.at(-1)!)))
  t.like((await submit('w', 'light.set', { on: true })).end, { state: 'succeeded' })
  await all('the state of its owner is everywhere', ({ node, lightFraction }) => node === first && lightFraction === 1)
  await bench.node('w').control.call('POST', '/devices/rover/move', { to: second })
  await all('the state of its new owner is everywhere', ({ node, connected }) => node === second && connected)
  for (const states of Object.values(seen)) {
    t.deepEqual([...new Set(states.map(({ node }) => node))], [first, second])
    t.true(states.every(({ connected }) => connected))
  }
  const status = async (at: string) => show.status(await bench.node(at).control.call('GET', '/status') as Record<string, unknown>).split('\n').find((line) => line.startsWith('device rover'))
  const { epoch } = (await bench.devices(first))[0]!
  t.true((await status(first))!.includes(`  connected, stands by (${second} commands it, epoch ${epoch}), `), await status(first))
  t.true((await status(second))!.includes(`  connected, commanded by this node, epoch ${epoch}, `), await status(second))
  for (const node of [first, second]) await bench.node(node).kill()
  await bench.until('the witness says that it is not connected', async () => seen.w!.at(-1)!.connected === false)
  t.deepEqual(seen.w!.at(-1), { connected: false, node: 'w' })
  await bench.node(first).start()
  await bench.until('it is commanded again', async () => seen.w!.at(-1)!.connected)
  t.is(seen.w!.at(-1)!.node, first)
})

test.serial('an owner that is stopped in the middle of a motion loses the device, and when it goes on it commands nothing', async (t) => {
  const { bench, owner, submit, verdict, other, executions } = await realm(t)
  const first = await owner()
  const { pid } = bench.node(first)
  const moving = submit('w', 'drive.move', { distanceM: 50 })
  await bench.until('it moves', async () => executions().length === 1)
  process.kill(pid!, 'SIGSTOP')
  t.like((await submit(other(first), 'light.set', { on: true })).end, { state: 'succeeded', node: other(first) })
  t.like((await moving).end, { state: 'failed', code: 'INTERRUPTED' })
  process.kill(pid!, 'SIGCONT')
  t.like((await submit(first, 'light.set', { on: false })).end, { state: 'succeeded', node: other(first) })
  await sleep(1_000)
  t.deepEqual(verdict().violations, [])
  const facts = readFacts<{ fact: string; line?: string; command?: string; verdict?: string; epoch?: number }>(bench.simulator.logFile)
  const taken = facts.findIndex(({ fact, line }) => fact === 'epoch' && line === `line-${other(first)}`)
  t.deepEqual(facts.slice(taken).filter(({ line, fact, command }) => line === `line-${first}` && fact === 'received' && command !== 'QUERY'), [], 'not even a heartbeat that was refused')
})

test.serial('a controller that obeys older epochs is found out by the checker, one that refuses them is not', async (t) => {
  for (const ignoresEpochs of [true, false]) {
    const { bench, owner, submit, verdict, other } = await realm(t, { witness: undefined, simulator: { ignoresEpochs } })
    const first = await owner()
    await submit(first, 'light.set', { on: true })
    const epoch = (await bench.devices(first))[0]!.epoch!
    await bench.node(first).control.call('POST', '/devices/rover/move', { to: other(first) })
    await submit(first, 'light.set', { on: false })
    t.deepEqual(verdict().violations, [])
    // What a node would do that does not look at its lease: it goes on with the epoch that it had.
    const line = new RoverLink({ port: bench.line(first), baudRate: 115_200, clock: systemClock, reconnectMs: 100, onOpen: () => { line.write({ type: 'SET_LIGHT', epoch, sequence: 50, intentId: uuidv7(), fraction255: 9 }) }, onMessage() {}, onInvalid() {}, onClosed() {} })
    line.start()
    const late = (what: string) => readFacts<{ fact: string; command?: string; sequence?: number; verdict?: string }>(bench.simulator.logFile).find(({ fact, command, sequence }) => fact === what && command === 'SET_LIGHT' && sequence === 50)
    await bench.until('the controller has it', async () => late('received') !== undefined)
    t.is(late('received')!.verdict, ignoresEpochs ? 'ok' : 'staleEpoch')
    // It keeps what it obeys before it does it.
    if (ignoresEpochs) await bench.until('the controller has carried it out', async () => late('execute') !== undefined)
    await line.stop()
    const found = verdict().violations.join('\n')
    if (ignoresEpochs) t.regex(found, /obeyed epoch \d+ after \d+/)
    else t.is(found, '')
    await bench.stop()
  }
})

test.serial('a node that has lost the others says so aloud, refuses what moves, answers what is harmless, and works again when they are back', async (t) => {
  const { bench, owner, submit, verdict } = await realm(t)
  const alone = await owner()
  for (const [name, node] of bench.nodes) if (name !== alone) process.kill(node.pid!, 'SIGSTOP')
  // Their members of etcd are processes of their own: those stand still as well.
  const members = [...bench.nodes].flatMap(([name, node]) => name === alone ? [] : childrenOf(node.pid!))
  t.teardown(() => { for (const pid of members) try { process.kill(pid, 'SIGCONT') } catch { /* it has ended */ } })
  for (const pid of members) process.kill(pid, 'SIGSTOP')
  // Until its etcd has noticed, the shared journal merely does not answer.
  await bench.until('it knows that it has lost the others', async () => {
    const { receipt } = await submit(alone, 'light.set', { on: true })
    t.false(receipt.accepted)
    return receipt.code === 'NO_QUORUM'
  })
  t.like((await submit(alone, 'time.tell', {})).receipt, { accepted: true, durable: false })
  await bench.until('it names no owner that it cannot know', async () => (await bench.devices(alone)).every(({ owner: named, here, cutOff }) => named === undefined && here === 'stands by' && cutOff === true))
  await t.throwsAsync(bench.node(alone).control.call('POST', '/devices/rover/move', { to: alone === 'a' ? 'b' : 'a', policy: 'wait' }), { code: 'NO_QUORUM' })
  const said = () => readFileSync(bench.node(alone).factLog, 'utf8').split('\n').filter((line) => /"say":"(I have lost the other nodes|The other nodes are back)/.test(line)).length
  t.is(said(), 1)
  for (const pid of members) process.kill(pid, 'SIGCONT')
  for (const [name, node] of bench.nodes) if (name !== alone) process.kill(node.pid!, 'SIGCONT')
  await bench.until('it is said that they are back', async () => said() === 2)
  await owner()
  await bench.until('it moves again', async () => (await submit(alone, 'light.set', { on: true })).end?.state === 'succeeded')
  t.deepEqual(verdict().violations, [])
})

/** Processes that have this one as their parent. @see proc(5), /proc/PID/task/TID/children */
function childrenOf(pid: number): number[] { return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number) }
