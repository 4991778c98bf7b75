import test, { type ExecutionContext } from 'ava'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock as clock } from '../contracts/clock.ts'
import { Hub } from '../contracts/hub.ts'
import { isHazardous, type Identity } from '../contracts/intents.ts'
import { Admission, Dispatcher, IntentService } from '../dispatch/index.ts'
import { EmergencyStop } from '../guard/emergency-stop.ts'
import { Guard } from '../guard/mode.ts'
import { SqliteJournal } from '../journal/index.ts'
import type { Skill } from '../skills/port.ts'
import { Dialogue, Understander } from '../understand/index.ts'
import { Conversation, type Turn } from './conversation.ts'
import type { FromSpeech } from './messages.ts'

const cli: Identity = { client: 'cli', role: 'operator', kind: 'cli' }

/** A box with the real journal, dispatcher and dialogue; only ears and mouth are recorded. */
async function box(t: ExecutionContext) {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-conversation-'))
  const hub = new Hub(clock, 'n')
  const journal = new SqliteJournal({ file: join(dir, 'j.sqlite'), clock, maxFinished: 1000, archiveMaxBytes: 1e7 })
  await journal.start()
  const guard = new Guard({ hub, clock, values: journal, arming: 'automatic', initialMode: 'normal' })
  const skill: Skill = { name: 'test', types: ['time.tell', 'sequence.run', 'stop', 'drive.move', 'log.record'], run: async ({ slots }) => ({ say: `Done ${JSON.stringify(slots)}.` }) }
  const dispatcher = new Dispatcher({ journal, hub, clock, guard, skills: [skill], drivers: [], epochOf: () => 1, renewEpoch: async () => {}, concurrency: 4, retryBaseMs: 1 })
  const stop = new EmergencyStop(hub)
  const admission = new Admission({ clock, guard, here: () => ({ node: 'n', boot: hub.boot }), replayed: async () => false })
  const service = new IntentService({ admission, journal, dispatcher, stop, hub, clock, maxUnfinished: 100 })
  dispatcher.start()
  const understander = await Understander.load({ sequences: ['square'] })
  const dialogue = new Dialogue({ understander, clock, answerTimeoutMs: 10_000, isHazardous, proposals: false })
  const did: string[] = []
  let down = false
  const conversation: Conversation = new Conversation({
    dialogue, service, hub, clock, answerWindowMs: 5_000,
    voice: () => ({
      speak: async (text) => { if (down) throw new TypeError('down'); did.push(`say ${text}`) },
      earcon: (name) => { did.push(`earcon ${name}`) }, silence: () => { did.push('silence') }, expectAnswer: () => { did.push('expect') },
    }),
  })
  t.teardown(async () => { dialogue.stop(); understander.stop(); await dispatcher.stop(); await journal.stop(); rmSync(dir, { recursive: true }) })
  /** Hears an utterance and waits until it was answered. */
  const hear = async (text: string, how: 'command' | 'free' | 'rejected' = 'command') => {
    const answered = new Promise<void>((resolve) => { const off = hub.onSystem((e) => { if (e.name === 'answered') { off(); resolve() } }) })
    const at = clock.monoMs()
    conversation.onSpeech({ kind: 'utterance', text, how, confidence: 1, engine: 'test', timeline: { speechStartMs: at, speechEndMs: at, endpointMs: at, transcriptMs: at } } satisfies FromSpeech)
    await answered
  }
  return { conversation, did, stop, hub, hear, breakVoice: (broken: boolean) => { down = broken } }
}

test('a spoken request is answered by an earcon when accepted and by a sentence when done', async (t) => {
  const { did, hear } = await box(t)
  await hear('what time is it')
  t.deepEqual(did, ['earcon understood', 'say Done {}.'])
})

test('a wake is told with the end of the word where that is known, so that others know when what follows began', async (t) => {
  const { conversation, hub } = await box(t)
  const told: unknown[] = []
  hub.onSystem(({ name, data }) => { if (name === 'wake') told.push(data) })
  conversation.onSpeech({ kind: 'wake', confidence: 0.9, levelDb: -20, atMs: 1_200, endMs: 1_000 })
  conversation.onSpeech({ kind: 'wake', confidence: 0.9, levelDb: -20, atMs: 3_000 })
  t.deepEqual(told, [{ confidence: 0.9, atMs: 1_200, endMs: 1_000 }, { confidence: 0.9, atMs: 3_000 }])
})

test('a hazardous request is asked about, and carried out once confirmed', async (t) => {
  const { did, hear } = await box(t)
  await hear('run the square sequence')
  t.regex(did[0] ?? '', /^say .*confirm/i)
  t.is(did[1], 'expect')
  await hear('confirm')
  t.deepEqual(did.slice(2), ['earcon understood', 'say Done {"name":"square"}.'])
})

test('typed, a hazardous request is asked about just so; whoever says that it was confirmed is not asked', async (t) => {
  const { conversation, did } = await box(t)
  const type = async (session: string, text: string, confirmed?: boolean): Promise<string[]> => {
    const turns: Turn[] = []
    for await (const turn of conversation.hear(session, text, cli, { spoken: false, ...(confirmed === undefined ? {} : { confirmed }) })) turns.push(turn)
    return turns.map((turn) => turn.kind === 'event' ? turn.event.state : turn.kind === 'say' ? `${turn.expects ?? 'said'} ${turn.code ?? ''}`.trim() : turn.kind)
  }
  const carriedOut = ['understood', 'receipt', 'accepted', 'started', 'succeeded']
  t.deepEqual(await type('a', 'run the square sequence'), ['confirm'])
  t.deepEqual(await type('a', 'no'), ['said'])
  t.deepEqual(await type('b', 'run the square sequence', false), ['confirm'])
  t.deepEqual(await type('b', 'confirm'), carriedOut)
  t.deepEqual(await type('c', 'run the square sequence', true), carriedOut)
  t.deepEqual(did, [])
})

test('speech in no grammar is refused with an earcon and submits nothing', async (t) => {
  const { did, hear } = await box(t)
  await hear('whatever that was', 'rejected')
  t.deepEqual(did, ['earcon refused'])
})

test('the stop word stops before anything is awaited; its echo stops again but is not answered again', async (t) => {
  const { conversation, did, stop } = await box(t)
  const word = { kind: 'stop-word', confidence: 1, atMs: 0 } as const
  conversation.onSpeech(word)
  t.is(stop.count, 1)
  conversation.onSpeech(word)
  t.is(stop.count, 2)
  await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(did.filter((d) => d.startsWith('say')), ['say Stopped.'])
})

test('the utterance that follows a spotted stop word is not a second request', async (t) => {
  const { conversation, did, hear } = await box(t)
  conversation.onSpeech({ kind: 'stop-word', confidence: 1, atMs: 0 })
  did.length = 0
  await hear('stop')
  t.deepEqual(did, [])
})

test('an announcement while the voice is down is said when it is back', async (t) => {
  const { conversation, did, breakVoice } = await box(t)
  breakVoice(true)
  conversation.announce('The tea is ready.')
  await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(did, [])
  breakVoice(false)
  conversation.onSpeech({ kind: 'ready', engine: 'test', loadMs: 1, engines: [], models: [] })
  await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(did, ['say The tea is ready.'])
})

test('typed sentences go the same way, and end with the final event', async (t) => {
  const { conversation } = await box(t)
  const turns: Turn[] = []
  for await (const turn of conversation.hear('cli', 'log: wheel three squeaks', cli, { spoken: false })) turns.push(turn)
  t.deepEqual(turns.map((turn) => turn.kind === 'event' ? turn.event.state : turn.kind), ['understood', 'receipt', 'accepted', 'started', 'succeeded'])
  t.deepEqual(turns[0], { kind: 'understood', type: 'log.record', slots: { text: 'wheel three squeaks' } })
})
