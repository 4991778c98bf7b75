import test from 'ava'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync } from 'mqtt'
import { topicsOf } from '../appliance/contracts/topics.ts'
import type { InferenceStatus } from '../appliance/inference/port.ts'
import { drawScene } from '../appliance/vision/testing.ts'
import { Bench } from './resources/bench.ts'
import { synthetic } from './resources/sounds.ts'

// WAV in, a picture is taken and looked at in a worker, a sentence comes out. The picture is drawn: a clock and a stop sign.
const pictures = mkdtempSync(join(tmpdir(), 'mtor-pictures-'))
let bench: Bench
test.before(async () => {
  mkdirSync(pictures, { recursive: true })
  await drawScene(join(pictures, 'scene.jpg'), true)
  bench = await Bench.open({ settings: { vision: { camera: `directory:${pictures}` } } })
})
test.after.always(async () => {
  await bench?.close()
  rmSync(pictures, { recursive: true, force: true })
})

const inference = async () => await bench.appliance.control.call('GET', '/inference') as InferenceStatus
const eye = async () => (await inference()).workers.find((worker) => worker.group === 'vision')

/** Asks in a voice; the events, and the sentence that came out. */
async function ask(text: string): Promise<{ events: Record<string, unknown>[]; reply: string }> {
  const events = await bench.play(await synthetic(bench.dir, `computer. ${text}`))
  return { events, reply: bench.replies().at(-1)?.text ?? '' }
}

test.serial('SEE-001 asked aloud what it sees, it says what is in the picture and where, and keeps the picture with boxes', async (t) => {
  const { events, reply } = await ask('what do you see')
  const seen = events.find((event) => event.type === 'vision.describe' && event.state === 'succeeded') as { data: { file: string; annotated: string; detections: { label: string }[] } } | undefined
  t.truthy(seen, JSON.stringify(events))
  t.deepEqual(seen!.data.detections.map(({ label }) => label).sort(), ['clock', 'stop sign'])
  t.regex(reply, /clock on the right/)
  t.true(statSync(seen!.data.file).size > 1_000 && statSync(seen!.data.annotated).size > 1_000)
})

test.serial('SEE-002 the provider that runs the model is told on the bus, with the nodes it ran', async (t) => {
  const client = await connectAsync(bench.appliance.mqttUrl)
  const told = new Promise<Record<string, unknown>>((done) => { client.once('message', (_, payload) => done(JSON.parse(payload.toString()) as Record<string, unknown>)) })
  await client.subscribeAsync(topicsOf('bench').inferenceProvider('centernet-coco'))
  const { provider, nodeCounts } = await told as { provider: string; nodeCounts: Record<string, number> }
  await client.endAsync(true)
  t.true((nodeCounts[provider] ?? 0) > 100, JSON.stringify({ provider, nodeCounts }))
})

test.serial('SEE-003 its worker killed, it sees again, and the bus and the speech process stay as they are', async (t) => {
  const before = await eye(), speech = (await bench.appliance.answering() as { speech: { pid: number } }).speech.pid
  process.kill(before!.pid!, 'SIGKILL')
  const turns: Record<string, unknown>[] = []
  for await (const turn of bench.appliance.control.lines('POST', '/say', { text: 'what do you see' })) turns.push(turn)
  t.truthy(turns.find((turn) => (turn.event as { state?: string } | undefined)?.state === 'succeeded'), JSON.stringify(turns))
  t.not((await eye())!.pid, before!.pid)
  t.is((await bench.appliance.answering() as { speech: { pid: number } }).speech.pid, speech)
})
