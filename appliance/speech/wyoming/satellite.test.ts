import test from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import type { UtteranceMessage, WyomingReport } from '../messages.ts'
import { WavReader } from '../wav.ts'
import type { WyomingEvent } from './codec.ts'
import { Satellite, type SatelliteOptions } from './satellite.ts'

const FRAME = new Int16Array(512).fill(7)

function satellite(mode: SatelliteOptions['mode']) {
  const clock = new ManualClock()
  const reports: WyomingReport[] = []
  const played: { id: number; text: string; wav: Buffer }[] = []
  const part = new Satellite({ mode, clock, report: (report) => { reports.push(report) }, play: (id, text, wav) => { played.push({ id, text, wav }) } })
  /** A server, and what it was sent. */
  const server = (backlogBytes = 0) => {
    const sent: WyomingEvent[] = []
    const link = { sent, backlogBytes, send: async (event: WyomingEvent) => { sent.push(event) }, types: () => sent.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]) }
    part.attach(link)
    return link
  }
  /** A second of sound that ends now. */
  const sound = () => { for (let i = 0; i < 32; i++) part.frame(FRAME, clock.monoMs() - (31 - i) * 32) }
  const utterance = (how: UtteranceMessage['how'], wake = true): UtteranceMessage => {
    const nowMs = clock.monoMs()
    return { kind: 'utterance', text: 'some words', how, confidence: 1, engine: 'vosk', timeline: { speechStartMs: nowMs - 900, speechEndMs: nowMs - 300, endpointMs: nowMs, transcriptMs: nowMs, ...(wake ? { wakeMs: nowMs - 700, wakeEndMs: nowMs - 600 } : {}) } }
  }
  const named = (name: string) => reports.filter((report) => report.name === name)
  return { part, clock, server, sound, utterance, reports, named, played }
}
const ASKED = ['detection', 'run-pipeline', 'streaming-started', 'audio-start', 'audio-chunk', 'audio-stop', 'streaming-stopped']
const RUN = { start_stage: 'asr', end_stage: 'tts', restart_on_end: false, wake_word_name: 'computer' }
const reply = (part: Satellite, seconds = 1) => {
  part.on({ type: 'audio-start', data: { rate: 8_000, width: 2, channels: 1 } })
  for (let i = 0; i < seconds; i++) part.on({ type: 'audio-chunk', data: { rate: 8_000, width: 2, channels: 1 }, payload: Buffer.alloc(16_000, 1) })
  part.on({ type: 'audio-stop', data: {} })
}

test('only what the box refused after its wake word goes to the server', async (t) => {
  const { part, server, sound, utterance } = satellite('rest')
  t.false(part.heard(utterance('rejected')), 'without a server it is the box’s to refuse')
  const link = server()
  sound()
  t.false(part.heard(utterance('command')))
  t.false(part.heard(utterance('free')))
  t.false(part.heard(utterance('rejected', false)))
  t.deepEqual(link.types(), [])
  t.true(part.heard(utterance('rejected')))
  t.deepEqual(link.types(), ASKED)
  t.deepEqual(link.sent[1]!.data, RUN)
  const bytes = link.sent.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0)
  t.true(bytes >= 2 * 16 * 600 && bytes < 2 * 16 * 700, `${bytes} bytes: from the end of the wake word to the end of the silence`)
  part.stop()
})

test('of everything: sound flows from the end of the wake word until the sentence has ended', (t) => {
  const { part, server, sound, utterance, clock } = satellite('all')
  const link = server()
  sound()
  part.heard({ kind: 'wake', confidence: 1, levelDb: -30, atMs: clock.monoMs(), endMs: clock.monoMs() - 200 })
  const before = link.sent.length
  part.frame(FRAME, clock.monoMs() + 32)
  t.is(link.sent.length, before + 1)
  t.true(part.heard(utterance('rejected')))
  part.frame(FRAME, clock.monoMs() + 64)
  t.deepEqual(link.types(), ASKED)
  part.stop()
})

test('of everything: nothing flows for ever', async (t) => {
  const { part, server, clock } = satellite('all')
  const link = server()
  part.heard({ kind: 'wake', confidence: 1, levelDb: -30, atMs: clock.monoMs() })
  part.on({ type: 'transcript', data: { text: 'yes' } })
  t.is(link.types().at(-1), 'streaming-stopped', 'the server has heard enough')
  part.heard({ kind: 'wake', confidence: 1, levelDb: -30, atMs: clock.monoMs() })
  part.heard({ kind: 'wake-timeout', atMs: clock.monoMs() })
  t.is(link.types().at(-1), 'streaming-stopped', 'nobody said anything')
  part.stop()
})

test('a server that stays silent, or goes away, is told once, aloud', async (t) => {
  const { part, server, sound, utterance, clock, named } = satellite('rest')
  const link = server()
  sound()
  part.heard(utterance('rejected'))
  await clock.advance(60_000)
  t.deepEqual(named('wyoming.unanswered').map(({ code, say }) => [code, say]), [['NO_ANSWER', 'I had no answer.']])
  sound()
  part.heard(utterance('rejected'))
  part.detach(link)
  part.detach(link)
  t.is(named('wyoming.unanswered').length, 2)
  t.false(part.heard(utterance('rejected')))
})

test('a server that took the words and has nothing to say has done it', async (t) => {
  const { part, server, sound, utterance, clock, named } = satellite('rest')
  server()
  sound()
  part.heard(utterance('rejected'))
  part.on({ type: 'transcript', data: { text: 'lights off' } })
  await clock.advance(60_000)
  t.deepEqual(named('wyoming.unanswered'), [])
})

test('a server that does not take the sound is given up', (t) => {
  const { part, server, clock, named } = satellite('all')
  server(10_000_000)
  part.heard({ kind: 'wake', confidence: 1, levelDb: -30, atMs: clock.monoMs() })
  part.frame(FRAME, clock.monoMs() + 32)
  part.frame(FRAME, clock.monoMs() + 64)
  t.is(named('wyoming.unanswered').length, 1)
})

test('a reply is played at its own rate under its text, and the server hears of its end', async (t) => {
  const { part, server, played } = satellite('rest')
  const link = server()
  part.on({ type: 'synthesize', data: { text: 'It is sunny.' } })
  reply(part)
  t.is(played.length, 1)
  t.is(played[0]!.text, 'It is sunny.')
  const { format } = await WavReader.fromBuffer(played[0]!.wav)
  t.like(format, { sampleRateHz: 8_000, channels: 1, frames: 8_000 })
  t.deepEqual(link.types(), [])
  part.played(played[0]!.id)
  part.played(played[0]!.id)
  t.deepEqual(link.types(), ['played'])
})

test('a reply without sound, and one to what the box did itself, are over at once', (t) => {
  const { part, server, sound, utterance, clock, played } = satellite('all')
  const link = server()
  reply(part, 0)
  t.deepEqual(link.types(), ['played'])
  sound()
  part.heard({ kind: 'wake', confidence: 1, levelDb: -30, atMs: clock.monoMs() })
  t.false(part.heard(utterance('command')))
  reply(part)
  t.is(link.types().at(-1), 'played')
  t.deepEqual(played, [])
})

test('an endless reply is cut at two minutes', async (t) => {
  const { part, server, played } = satellite('rest')
  server()
  reply(part, 200)
  const { format } = await WavReader.fromBuffer(played[0]!.wav)
  t.true(format.durationS >= 120 && format.durationS < 122, `${format.durationS} s`)
})

test('a server that comes again takes the place of the connection it had', (t) => {
  const { part, server, sound, utterance } = satellite('rest')
  const first = server()
  const second = server()
  sound()
  part.heard(utterance('rejected'))
  t.deepEqual(first.types(), [])
  t.deepEqual(second.types(), ASKED)
  t.false(part.is(first))
  part.stop()
})
