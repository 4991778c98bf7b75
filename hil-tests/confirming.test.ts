import test from 'ava'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import mqtt from 'mqtt'
import type { Envelope, Receipt } from '../appliance/contracts/envelope.ts'
import { uuidv7 } from '../appliance/contracts/ids.ts'
import { topicsOf } from '../appliance/contracts/topics.ts'
import { environment } from '../setup/child.mjs'
import { Appliance } from './resources/appliance.ts'

// What must be confirmed when it is spoken must be confirmed when it comes another way too, unless the sender says that it has asked.
const CLI = resolve(import.meta.dirname, '../appliance/cli.ts')
const topics = topicsOf('bench')
const SENTENCE = 'run the lamp sequence'

const dir = mkdtempSync(join(tmpdir(), 'mtor-confirming-'))
// The first step is hazardous itself.
const box = new Appliance(dir, {
  speech: { enabled: false },
  sequences: { lamp: [{ type: 'arm.set', slots: { armed: true } }, { type: 'light.set', slots: { on: true } }] },
})
test.before(() => box.start())
test.after.always(async () => { await box.stop(); rmSync(dir, { recursive: true, force: true }) })

type Line = Record<string, unknown> & { kind?: string; receipt?: Receipt; event?: { type: string; state: string; code?: string } }
async function lines(route: string, body: unknown): Promise<Line[]> {
  const got: Line[] = []
  for await (const line of box.control.lines('POST', route, body)) got.push(line as Line)
  return got
}
/** How often the sequence and its steps have been accepted so far. */
async function accepted(): Promise<Record<string, number>> {
  const entries = await box.control.call('GET', '/intents?limit=1000') as { envelope: Envelope }[]
  const count = (type: string) => entries.filter(({ envelope }) => envelope.type === type).length
  return { 'sequence.run': count('sequence.run'), 'arm.set': count('arm.set'), 'light.set': count('light.set') }
}
const once = (before: Record<string, number>) => Object.fromEntries(Object.entries(before).map(([type, count]) => [type, count + 1]))

function mtor(...args: string[]): Promise<{ code: number | null; text: string }> {
  return new Promise((done) => {
    const child = spawn(process.execPath, ['--no-warnings', CLI, '--socket', join(box.runDir, 'control.sock'), ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: environment })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => { text += data.toString() })
    child.on('close', (code) => done({ code, text }))
  })
}

test.serial('HIL-040 typed, it is asked about and moves nothing; confirmed, it runs once with all its steps', async (t) => {
  const before = await accepted()
  t.like((await lines('/say', { text: SENTENCE })).at(-1), { kind: 'say', say: 'Say confirm to run the lamp sequence.', expects: 'confirm' })
  t.like((await lines('/say', { text: 'no' })).at(-1), { kind: 'say', say: 'Cancelled.' })
  t.deepEqual(await accepted(), before)
  await lines('/say', { text: SENTENCE })
  t.like((await lines('/say', { text: 'confirm' })).at(-1), { event: { type: 'sequence.run', state: 'succeeded' } })
  t.deepEqual(await accepted(), once(before))
})

test.serial('HIL-041 mtor say ends with 6 where it is asked back, and with --confirmed does it at once', async (t) => {
  const before = await accepted()
  const asked = await mtor('say', SENTENCE)
  t.is(asked.code, 6, asked.text)
  t.regex(asked.text, /Say confirm to run the lamp sequence/)
  t.deepEqual(await accepted(), before)
  const done = await mtor('say', '--confirmed', '--session', 'other', SENTENCE)
  t.is(done.code, 0, done.text)
  t.deepEqual(await accepted(), once(before))
})

test.serial('HIL-042 submitted by name on the control socket, it is rejected unless confirmed', async (t) => {
  const before = await accepted()
  const request = { type: 'sequence.run', slots: { name: 'lamp' } }
  t.like((await lines('/intents', request)).at(-1)?.receipt, { accepted: false, code: 'NOT_CONFIRMED' })
  await t.throwsAsync(lines('/intents', { ...request, confirmed: 'yes' }), { code: 'USAGE' })
  t.deepEqual(await accepted(), before)
  t.like((await lines('/intents', { ...request, confirmed: true })).at(-1), { event: { type: 'sequence.run', state: 'succeeded' } })
  t.deepEqual(await accepted(), once(before))
})

test.serial('HIL-043 over MQTT it is rejected unless confirmed; a repeat is a duplicate, after a kill too', async (t) => {
  const before = await accepted()
  const submit = async (envelope: Record<string, unknown>): Promise<Receipt> => {
    const client = await mqtt.connectAsync(box.mqttUrl)
    try {
      const receipt = new Promise<Receipt>((got) => { client.on('message', (_, payload) => got(JSON.parse(payload.toString()) as Receipt)) })
      await client.subscribeAsync(topics.receipt(String(envelope.id)), { qos: 1 })
      await client.publishAsync(topics.submit, JSON.stringify(envelope), { qos: 1 })
      return await receipt
    } finally { await client.endAsync(true) }
  }
  const envelope = { v: 1, id: uuidv7(), type: 'sequence.run', slots: { name: 'lamp' }, source: { kind: 'mqtt', node: 'laptop' }, issuedAt: { boot: 0, mono: 0, wall: Date.now() }, ttlMs: 60_000, priority: 5 }
  t.like(await submit(envelope), { accepted: false, code: 'NOT_CONFIRMED' })
  t.deepEqual(await accepted(), before)
  const confirmed = { ...envelope, confirmed: true }
  t.like(await submit(confirmed), { accepted: true })
  t.like(await submit(confirmed), { accepted: true, duplicate: true })
  while ((await box.control.call('GET', `/intents/${envelope.id}`) as { state: string }).state !== 'succeeded') await new Promise((again) => setTimeout(again, 50))
  box.killCore()
  while (box.starts < 2) await new Promise((again) => setTimeout(again, 50))
  await box.answering()
  for (const again of [confirmed, envelope]) t.like(await submit(again), { accepted: true, duplicate: true })
  t.deepEqual(await accepted(), once(before))
})
