import test from 'ava'
import fc from 'fast-check'
import { isCode } from '../contracts/codes.ts'
import type { Receipt } from '../contracts/envelope.ts'
import { connectPacket, envelope, inbox, json, publishPacket, startBus, subscribePacket, topics, type Bench } from './testing.ts'

/** How long each of the two fuzz tests goes on, ms. */
const FUZZ_MS = 5_000

/** A well-behaved client whose submissions must be answered, whatever the others do. */
async function wellBehaved(b: Bench) {
  const client = await b.client({ clientId: 'good' })
  const receipts = await inbox(client, [topics.receipt('+'), topics.clientReceipt('+')])
  return async () => {
    const e = envelope(b.hub)
    await client.publishAsync(topics.submit, JSON.stringify(e), { qos: 1 })
    for (;;) {
      const receipt = json(await receipts.next()) as Receipt
      if (receipt.id === e.id) return receipt.accepted
      if (!receipt.accepted && !isCode(receipt.code)) return false
    }
  }
}

test('mutated MQTT streams do not disturb the broker or its other clients', async (t) => {
  const b = await startBus(t)
  const stillWorks = await wellBehaved(b)
  const seeds = [
    connectPacket('fuzz'), connectPacket('', { clean: false }), connectPacket('fuzz', { username: 'x' }),
    publishPacket(topics.submit, JSON.stringify(envelope(b.hub)), 1), publishPacket(topics.stop, '', 2, 7), publishPacket(`${topics.root}/app/x`, 'x'.repeat(300)), publishPacket('$SYS/x', '', 1),
    subscribePacket('#', 1), subscribePacket(`${topics.root}/app/+`), Buffer.from([0xc0, 0]), Buffer.from([0x62, 2, 0, 7]), Buffer.from([0x40, 2, 0, 1]), Buffer.from([0xa2, 5, 0, 2, 0, 1, 0x23]), Buffer.from([0xe0, 0]),
  ]
  const stream = fc.record({
    frames: fc.array(fc.constantFrom(...seeds), { minLength: 1, maxLength: 12 }),
    connects: fc.boolean(),
    flips: fc.array(fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }), { maxLength: 8 }),
    cut: fc.nat(), insert: fc.uint8Array({ maxLength: 20 }), insertAt: fc.nat(),
  }).map(({ frames, connects, flips, cut, insert, insertAt }) => {
    let bytes = Buffer.concat(connects ? [seeds[0]!, ...frames] : frames)
    for (const { at, value } of flips) bytes[at % bytes.length] = value
    const place = insertAt % bytes.length
    bytes = Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place)])
    return { bytes, cut: cut % bytes.length }
  })
  let runs = 0
  await fc.assert(fc.asyncProperty(stream, async ({ bytes, cut }) => {
    const socket = await b.raw()
    socket.resume()
    socket.write(bytes.subarray(0, cut))
    await new Promise((resolve) => setImmediate(resolve))
    if (!socket.destroyed) socket.end(bytes.subarray(cut))
    runs++
    if (runs % 10 === 0 && !await stillWorks()) return false
    await new Promise<void>((resolve) => { if (socket.closed) resolve(); else { socket.once('close', () => resolve()); setImmediate(() => socket.destroySoon()) } })
    return true
  }), { numRuns: 1_000_000, interruptAfterTimeLimit: FUZZ_MS })
  t.true(runs > 100, `${runs} runs`)
  t.true(await stillWorks())
  t.true(b.events.every((e) => e.code === undefined || isCode(e.code)))
})

test('mutated and invented payloads and topics are all answered with a code, or accepted', async (t) => {
  const b = await startBus(t)
  const stillWorks = await wellBehaved(b)
  const client = await b.client({ clientId: 'fuzz' })
  const answers = await inbox(client, [topics.clientReceipt('fuzz'), topics.receipt('+')])
  const valid = JSON.stringify(envelope(b.hub))
  const mutated = fc.array(fc.record({ at: fc.nat(valid.length - 1), value: fc.integer({ min: 0, max: 255 }) }), { minLength: 1, maxLength: 6 }).map((flips) => {
    const bytes = Buffer.from(valid)
    for (const { at, value } of flips) bytes[at] = value
    return bytes
  })
  const payload = fc.oneof(mutated, fc.json().map((s) => Buffer.from(s)), fc.uint8Array({ maxLength: 200 }).map((a) => Buffer.from(a)), fc.nat(20_000).map((n) => Buffer.from('['.repeat(n))),
    fc.constantFrom('null', '{"__proto__":{"id":"x"}}', '{"id":null}', '"\\ud800"', '1e999').map((s) => Buffer.from(s)))
  const topic = fc.oneof({ weight: 3, arbitrary: fc.constant(topics.submit) },
    fc.array(fc.constantFrom('mtor', '1', 'home', 'intent', 'x', 'node', 'base', 'state', '', '__proto__', 'constructor', '$SYS', 'ünï'), { minLength: 1, maxLength: 7 }).map((levels) => levels.join('/')).filter((s) => s.length > 0 && !s.startsWith(`${topics.root}/app`)))
  let runs = 0
  await fc.assert(fc.asyncProperty(topic, payload, fc.constantFrom(0, 1, 2), async (onTopic, bytes, qos) => {
    client.publish(onTopic, bytes, { qos: qos as 0 | 1 | 2 })
    const answer = json(await answers.next()) as Receipt
    runs++
    return answer.accepted ? onTopic === topics.submit : isCode(answer.code)
  }), { numRuns: 1_000_000, interruptAfterTimeLimit: FUZZ_MS })
  t.true(runs > 100, `${runs} runs`)
  t.true(await stillWorks())
  t.true(client.connected)
})
