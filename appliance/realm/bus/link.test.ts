import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import fc from 'fast-check'
import type { Item } from '../../bus/mesh/index.ts'
import { ManualClock } from '../../contracts/clock.ts'
import { BusLink } from './link.ts'

const item = (topic: string): Item => ({ kind: 'publish', version: { t: 1, n: 'a' }, topic, payload: Buffer.from(topic), qos: 1, retain: false })
const turns = async (count = 6) => { for (let i = 0; i < count; i++) await turn() }

/** What becomes of one message on its way. */
type Fate = 'arrives' | 'is lost' | 'comes twice'

/** Two ends, and a link between them that may lose and repeat what it carries. */
function pair() {
  const clock = new ManualClock()
  const got: Record<string, string[]> = { a: [], b: [] }
  const reported: string[] = []
  const sessions: Record<string, string> = { a: 'a'.repeat(16), b: 'b'.repeat(16) }
  const states: Record<string, Item[]> = { a: [], b: [] }
  const held: (() => void)[] = []
  let isHeld = false
  let fate: () => Fate = () => 'arrives'
  const links: Record<string, BusLink> = {}
  for (const [self, node] of [['a', 'b'], ['b', 'a']] as const) {
    links[self] = new BusLink({
      self, node, clock, maxQueueBytes: 1 << 20, session: () => sessions[self]!, nowUs: () => 1, addresses: () => [],
      snapshot: () => ({ clients: [], retained: states[self]! }), onMet: () => {},
      onItem: (given, done) => { if (given.kind === 'publish') got[self]!.push(given.topic); if (isHeld) held.push(done); else done() },
      report: (name) => { reported.push(name) },
      send: (message) => {
        const times = { arrives: 1, 'is lost': 0, 'comes twice': 2 }[fate()]
        const { bytes, ...rest } = message as { bytes?: Buffer }
        for (let i = 0; i < times; i++) setImmediate(() => { links[node]!.take({ ...JSON.parse(JSON.stringify(rest)) as object, ...(bytes ? { bytes } : {}) }) })
      },
    })
  }
  const [a, b] = [links.a!, links.b!]
  return { clock, got, reported, sessions, states, a, b, fates: (next: () => Fate) => { fate = next }, hold: () => { isHeld = true }, release: () => { isHeld = false; for (const done of held.splice(0)) done() }, meet: async () => { a.greet(); b.greet(); await turns() } }
}

test('whatever a link loses or repeats, all arrives once and in order', async (t) => {
  const fate = fc.constantFrom<Fate>('arrives', 'arrives', 'is lost', 'comes twice')
  const step = fc.constantFrom('send', 'send', 'send', 'tick', 'down')
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.array(fate, { minLength: 1, maxLength: 40 }), async (steps, fates) => {
    const p = pair()
    await p.meet()
    let i = 0
    p.fates(() => fates[i++ % fates.length]!)
    const sent: string[] = []
    for (const next of steps) {
      if (next === 'send') { sent.push(`x/${sent.length}`); p.a.push(item(sent.at(-1)!)) }
      if (next === 'tick') { await p.clock.advance(1_500); p.a.tick(); p.b.tick() }
      if (next === 'down') { p.a.down(); p.b.down(); p.a.greet(); p.b.greet() }
      await turns(2)
    }
    p.fates(() => 'arrives')
    await p.meet()
    for (let n = 0; n < 4; n++) { await p.clock.advance(1_500); p.a.tick(); p.b.tick(); await turns() }
    t.deepEqual(p.got.b, sent)
    t.deepEqual(p.reported, [])
    t.is(p.a.queue.unacknowledged + p.a.queue.waiting, 0)
  }), { numRuns: 150 })
})

test('a node that was started anew is told all states, and what had not been confirmed', async (t) => {
  const p = pair()
  await p.meet()
  p.states.a = [{ ...item('state'), retain: true } as Item]
  p.fates(() => 'is lost')
  p.a.push(item('x/0'))
  await turns()
  p.fates(() => 'arrives')
  p.a.down()
  p.sessions.b = 'c'.repeat(16)
  await p.meet()
  t.deepEqual(p.got.b, ['x/0', 'state'])
})

test('a broker that was started anew begins with its states, and sends nothing of before', async (t) => {
  const p = pair()
  await p.meet()
  p.fates(() => 'is lost')
  p.a.push(item('before'))
  await turns()
  p.fates(() => 'arrives')
  p.sessions.a = 'd'.repeat(16)
  p.states.a = [{ ...item('state'), retain: true } as Item]
  await p.meet()
  p.a.push(item('after'))
  await turns()
  t.deepEqual(p.got.b, ['state', 'after'])
})

test('to a node that was never met nothing is sent, and nothing is kept for it', async (t) => {
  const p = pair()
  p.a.push(item('x'))
  await turns()
  t.is(p.a.queue.waiting, 0)
  await p.meet()
  t.deepEqual(p.got.b, [])
})

test('what is malformed is told and does not hold up what follows', async (t) => {
  const p = pair()
  await p.meet()
  p.b.take({ op: 'data', stream: '0'.repeat(16), seq: 1, items: [['p', 'no time']], who: [] })
  p.b.take({ op: 'data', stream: '0'.repeat(16), seq: 2, items: [['of a later version', 1], ['p', 5, '', 'x', 1, 0, -1]], who: [] })
  t.deepEqual(p.reported, ['peer.malformed'])
  t.deepEqual(p.got.b, ['x'])
  for (const message of [null, {}, { op: 'hi' }, { op: 'data', stream: 'x' }, { op: 'got', seq: -1 }]) t.throws(() => p.b.take(message), { code: 'MALFORMED' })
})

test('a node whose own subscribers do not take what comes is sent no more, until they have', async (t) => {
  const p = pair()
  await p.meet()
  p.hold()
  const large = (i: number): Item => ({ ...item(`x/${i}`), payload: Buffer.alloc(10_000) } as Item)
  for (let i = 0; i < 200; i++) { p.a.push(large(i)); await turns(2) }
  t.true(p.got.b!.length < 150, `${p.got.b!.length} of 200`)
  t.true(p.a.queue.waiting > 0)
  p.release()
  await turns(100)
  t.is(p.got.b!.length, 200)
  t.is(p.a.queue.unacknowledged, 0)
})
