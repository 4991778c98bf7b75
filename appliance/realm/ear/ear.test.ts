import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { Hub } from '../../contracts/hub.ts'
import type { SystemEvent } from '../../contracts/events.ts'
import type { FromSpeech, UtteranceMessage } from '../../speech/messages.ts'
import { becomes, temporary } from '../testing.ts'
import { RealmEar } from './index.ts'
import { fakeNet, type Air } from './testing.ts'

const utterance = (text: string, timeline: { wakeMs?: number } = {}, more: Partial<UtteranceMessage> = {}): UtteranceMessage => ({ kind: 'utterance', text, how: 'command', confidence: 1, engine: 'test', timeline: { speechStartMs: 0, speechEndMs: 0, endpointMs: 0, transcriptMs: 0, ...timeline }, ...more })

/** Two nodes whose conversations are recorded. */
function ears(air: Partial<Air> = {}) {
  const net = fakeNet(['a', 'b'], { delayMs: () => 1, ...air }, [0, 5e6])
  const [a, b] = net.nodes.map(({ node, peers, clock }) => {
    const passed: string[] = [], events: SystemEvent[] = []
    const hub = new Hub(clock, node)
    hub.onSystem((event) => { events.push(event) })
    const ear = new RealmEar({ peers, clock, hub, run: 'r', pass: (message) => { passed.push(message.kind === 'utterance' ? message.text : message.kind) }, forget: () => { passed.push('forget') }, isStop: (text) => text === 'stop' })
    ear.start()
    let atMs = 0
    return {
      ear, hub, passed, events,
      wake: (levelDb: number) => { atMs = clock.monoMs(); ear.hear({ kind: 'wake', confidence: 1, levelDb, atMs, endMs: atMs - 300 }) },
      say: (text: string, more: Partial<UtteranceMessage> = {}) => ear.hear(utterance(text, { wakeMs: atMs }, more)),
      /** Without the wake word. */
      answer: (text: string) => ear.hear(utterance(text)),
      answered: () => { hub.system({ severity: 'debug', component: 'speech', name: 'answered' }) },
      accepted: (kind: 'voice' | 'text') => { hub.intent({ id: 'i', type: 'time.tell', state: 'accepted', source: { kind, node } } as Parameters<Hub['intent']>[0]) },
    }
  }) as [Node, Node]
  return { ...net, a, b }
}
type Node = { ear: RealmEar; hub: Hub; passed: string[]; events: SystemEvent[]; wake(levelDb: number): void; say(text: string, more?: Partial<UtteranceMessage>): void; answer(text: string): void; answered(): void; accepted(kind: 'voice' | 'text'): void }

test('one node is given the wake word and what follows, the other nothing', async (t) => {
  const { base, a, b } = ears()
  a.wake(-40)
  b.wake(-25)
  await base.advance(150)
  t.deepEqual([a.passed, b.passed], [['forget'], ['wake']])
  await base.advance(1_000)
  a.say('drive forward')
  b.say('drive forward')
  await base.advance(1)
  t.deepEqual([a.passed, b.passed], [['forget'], ['wake', 'drive forward']])
  t.like(b.events.find(({ name }) => name === 'ear.mine'), { component: 'realm', severity: 'debug' })
  t.is(a.events.find(({ name }) => name === 'ear.elsewhere')?.data?.node, 'b')
})

test('words that are there before it is decided wait for it, and a kept recording goes with those that are dropped', async (t) => {
  const { base, a, b } = ears()
  const audio = join(await temporary(t), 'said.wav')
  writeFileSync(audio, 'RIFF')
  a.wake(-40)
  b.wake(-25)
  a.say('note that', { how: 'free', audio })
  b.say('note that', { how: 'free' })
  t.deepEqual([a.passed, b.passed], [[], []])
  await base.advance(150)
  t.deepEqual([a.passed, b.passed], [['forget'], ['wake', 'note that']])
  await becomes('the recording is removed', () => !existsSync(audio))
})

test('stop is passed on at once, as a word and as a sentence, whoever answers the wake word', async (t) => {
  const { base, a, b } = ears()
  a.wake(-40)
  const stop: FromSpeech = { kind: 'stop-word', confidence: 1, atMs: 0 }
  a.ear.hear(stop)
  a.say('stop')
  t.deepEqual(a.passed, ['stop-word', 'stop'])
  b.wake(-20)
  await base.advance(150)
  t.deepEqual(a.passed, ['stop-word', 'stop', 'forget'])
  a.say('stop')
  t.deepEqual(a.passed, ['stop-word', 'stop', 'forget', 'stop'])
})

test('a wake word that nothing followed ends the conversation, and only where it was', async (t) => {
  const { base, a, b } = ears()
  a.wake(-25)
  b.wake(-40)
  await base.advance(8_000)
  for (const { ear } of [a, b]) ear.hear({ kind: 'wake-timeout', atMs: 0 })
  t.deepEqual([a.passed, b.passed], [['wake', 'wake-timeout'], ['forget']])
  b.wake(-40)
  await base.advance(150)
  t.is(b.passed.at(-1), 'wake')
})

test('once what was said is an intent, another node may be spoken to while it is carried out', async (t) => {
  const { base, a, b } = ears()
  a.wake(-25)
  await base.advance(1_000)
  a.say('drive forward ten metres')
  await base.advance(1)
  a.accepted('text')
  b.wake(-20)
  await base.advance(150)
  t.deepEqual(b.passed, ['forget'], 'that was the intent of somebody else')
  a.accepted('voice')
  await base.advance(5_000)
  b.wake(-20)
  await base.advance(150)
  t.is(b.passed.at(-1), 'wake')
})

test('a question keeps the conversation where it is until it was answered or its time is over', async (t) => {
  const { base, a, b } = ears()
  const refused = async () => { const before = b.passed.length; b.wake(-10); await base.advance(150); return b.passed.slice(before).join() === 'forget' }
  a.wake(-25)
  await base.advance(1_000)
  a.say('run the square sequence')
  await base.advance(1)
  a.ear.keep(5_000)
  a.answered()
  await base.advance(2_000)
  t.true(await refused())
  a.answer('confirm')
  t.is(a.passed.at(-1), 'confirm')
  t.true(await refused(), 'what becomes of the answer belongs to it')
  a.ear.keep(5_000)
  a.answered()
  await base.advance(4_900)
  t.true(await refused())
  await base.advance(4_000)
  t.false(await refused())
})

test('the time for an answer begins when the question has been said', async (t) => {
  const { base, a, b } = ears()
  a.ear.keep(5_000)
  a.ear.hear({ kind: 'speaking', requestId: 1, state: 'started', atMs: 0 })
  await base.advance(20_000)
  a.ear.hear({ kind: 'speaking', requestId: 1, state: 'done', atMs: 0 })
  await base.advance(4_000)
  b.wake(-10)
  await base.advance(150)
  t.deepEqual(b.passed, ['forget'])
  a.ear.keep(0)
  await base.advance(1_000)
  b.wake(-10)
  await base.advance(150)
  t.deepEqual(b.passed, ['forget', 'wake'])
})

test('a conversation whose speech process dies, or of which nothing comes, is over', async (t) => {
  const { base, a, b } = ears()
  a.wake(-25)
  await base.advance(1_000)
  a.hub.system({ severity: 'error', component: 'speech', name: 'process.lost' })
  b.wake(-25)
  await base.advance(150)
  t.is(b.passed.at(-1), 'wake')
  await base.advance(100_000)
  a.wake(-25)
  await base.advance(150)
  t.is(a.passed.at(-1), 'wake')
})

test('of two that were both told it is theirs one hears before the words come that nothing follows', async (t) => {
  const { base, a, b } = ears({ delayMs: () => 300 })
  a.wake(-40)
  b.wake(-25)
  await base.advance(600)
  a.say('drive forward')
  b.say('drive forward')
  await base.advance(1)
  t.deepEqual([a.passed, b.passed], [['wake', 'forget', 'wake-timeout'], ['wake', 'drive forward']])
})

test('stopped, it holds nobody up', async (t) => {
  const { base, a, b } = ears()
  a.wake(-25)
  await base.advance(1_000)
  a.ear.stop()
  a.ear.stop()
  b.wake(-25)
  await base.advance(150)
  t.is(b.passed.at(-1), 'wake')
})
