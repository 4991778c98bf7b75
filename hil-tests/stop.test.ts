import test from 'ava'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { connectAsync } from 'mqtt'
import { generate } from 'mqtt-packet'
import { MtorError } from '../appliance/contracts/errors.ts'
import { topicsOf } from '../appliance/contracts/topics.ts'
import { stopAllLines } from '../appliance/guard/last-resort.ts'
import { requestStop } from '../appliance/guard/stop-socket.ts'
import { Bench } from './resources/bench.ts'

const topics = topicsOf('bench')
const CLI = resolve(import.meta.dirname, '../appliance/cli.ts')
let bench: Bench
test.before(async () => { bench = await Bench.open() })
test.after.always(async () => { await bench?.close() })

/** Waits for a fact of the controller's log that came after `from`. @throws MtorError DEADLINE with what came instead */
async function fact(from: number, matches: (f: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
  const until = performance.now() + 30_000
  for (;;) {
    const facts = bench.controllerFacts().slice(from)
    const found = facts.find(matches)
    if (found) return found
    if (performance.now() > until) throw new MtorError('DEADLINE', `the controller's log has no such fact: ${JSON.stringify({ facts, told })}`)
    await new Promise((done) => setTimeout(done, 20))
  }
}

/** What the box told of the last command, and the promise of its end. */
let told: Record<string, unknown>[] = []
let ended: Promise<void> = Promise.resolve()

/** Sets the rover in motion for far longer than the test lasts; returns where its log was before. */
async function underWay(): Promise<number> {
  const from = bench.controllerFacts().length
  const turns = bench.appliance.control.lines('POST', '/say', { text: 'drive forward fifty metres' })
  told = []
  ended = (async () => { try { for await (const turn of turns) told.push(turn) } catch { /* The daemon may be killed meanwhile. */ } })()
  await fact(from, (f) => f.fact === 'motion.start')
  return from
}
const stopped = (from: number) => fact(from, (f) => f.fact === 'motion.stop')

test.serial('STOP-001 a stop over MQTT halts the wheels while the journal is stalled and a subscriber is frozen', async (t) => {
  const url = new URL(bench.appliance.mqttUrl)
  // A subscriber that never reads: its socket's window fills up.
  const frozen = connectTcp({ host: url.hostname, port: Number(url.port) })
  await once(frozen, 'connect')
  frozen.write(generate({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'frozen', keepalive: 0 }))
  frozen.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: `${topics.root}/#`, qos: 0 }] }))
  await once(frozen, 'data')
  frozen.pause()
  const client = await connectAsync(bench.appliance.mqttUrl, { clientId: 'operator' })
  const from = await underWay()
  bench.appliance.stallJournal(3_000)
  const filler = 'x'.repeat(60_000)
  for (let i = 0; i < 100; i++) client.publish(`${topics.root}/app/filler`, filler)
  await client.publishAsync(topics.stop, 'by test', { qos: 0 })
  t.is((await stopped(from)).cause, 'stop')
  await client.endAsync(true)
  frozen.destroy()
})

test.serial('STOP-002 a stop over the datagram socket halts the wheels while the speech process is being killed', async (t) => {
  await bench.appliance.answering()
  const from = await underWay()
  const { speech } = await bench.appliance.answering() as { speech: { pid?: number } }
  t.truthy(speech.pid)
  process.kill(speech.pid!, 'SIGKILL')
  const answer = await requestStop({ socketPath: bench.appliance.stopSocket, reason: 'test', timeoutMs: 5_000 })
  t.is(answer?.by, 'daemon')
  t.is((await stopped(from)).cause, 'stop')
})

test.serial('STOP-003 mtor stop halts the wheels and says by whom', async (t) => {
  const from = await underWay()
  const cli = spawn(process.execPath, [CLI, '--config', bench.appliance.configFile, '--json', 'stop'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [out] = await once(cli.stdout, 'data') as [Buffer]
  t.like(JSON.parse(out.toString()), { stopped: true, by: 'daemon' })
  t.is((await stopped(from)).cause, 'stop')
})

test.serial('STOP-004 with the daemon frozen the stop frame is written to the line itself', async (t) => {
  const from = await underWay()
  const { pid } = bench.appliance
  process.kill(pid!, 'SIGSTOP')
  try {
    const answer = await requestStop({ socketPath: bench.appliance.stopSocket, reason: 'test', lastResort: () => stopAllLines(bench.appliance.runFile) })
    t.is(answer?.by, 'line')
    t.is((await stopped(from)).cause, 'stop', 'not the dead man: the frame was first')
  } finally { process.kill(pid!, 'SIGCONT') }
  // Awake, it still finds the stop that it had not confirmed: the next command would be ended by it.
  const late = await requestStop({ socketPath: bench.appliance.stopSocket, reason: 'test', timeoutMs: 30_000 })
  t.is(late?.by, 'daemon')
  await ended
})

test.serial('STOP-005 with the daemon killed the wheels stand still by themselves', async (t) => {
  const from = await underWay()
  // Not back before the dead man's 500 ms: a daemon that is takes over, which halts the wheels as well.
  bench.appliance.killCore(2_000)
  t.is((await stopped(from)).cause, 'deadMan')
  await bench.appliance.answering()
})
