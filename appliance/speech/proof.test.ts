import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { ManualClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import { Understander } from '../understand/index.ts'
import type { FromSpeech } from './messages.ts'
import { SpeechPipeline } from './pipeline.ts'
import { EarsProver, KNOWN_UTTERANCE, ProofRound, type EarsProof } from './proof.ts'
import { silence, synthesise } from './sounds.ts'
import { encodeWav } from './wav.ts'

const understander = await Understander.load()
const messages: FromSpeech[] = []
const load = (engine: 'vosk' | 'pocketsphinx') => SpeechPipeline.load({
  engine, grammar: understander.speechGrammar(), completeness: (text) => understander.completeness(text), meaning: (text) => understander.meaning(text),
  endSilenceMs: 240, maxSilenceMs: 900, answerWindowMs: 8_000, emit: (message) => { messages.push(message) },
})
const ears = await load('vosk')
const folder = await mkdtemp(join(tmpdir(), 'mtor-proof-'))
test.after.always(async () => { ears.close(); await rm(folder, { recursive: true, force: true }) })

test.serial('the ears hear the known recording right, again and again, and nobody hears of it', async (t) => {
  const prover = await EarsProver.load(ears)
  const { user, system } = process.cpuUsage()
  const rounds = 10
  for (let i = 0; i < rounds; i++) t.like(await prover.prove(), { ok: true, text: 'computer stop' })
  const spent = process.cpuUsage({ user, system })
  const cpuS = (spent.user + spent.system) / 1e6 / rounds
  t.log(`${cpuS.toFixed(3)} s of a processor each: ${(cpuS / 30).toFixed(4)} of one at a proof in 30 s`)
  t.deepEqual(messages, [])
})

test.serial('while a command is being said, a proof disturbs neither; the ears are quiet before and behind it', async (t) => {
  const prover = await EarsProver.load(ears)
  const samples = await synthesise('computer, drive forward two metres', 'flite:rms')
  messages.length = 0
  t.true(await ears.quiet())
  let proof: Promise<EarsProof> | undefined
  let quietMeanwhile = true
  let nowMs = 0
  for (let at = 0; at < samples.length; at += 512) {
    await ears.push(samples.subarray(at, at + 512), nowMs += 32)
    if (at === 512 * 20) {
      quietMeanwhile = await ears.quiet()
      proof = prover.prove()
    }
  }
  await ears.flush()
  t.false(quietMeanwhile)
  t.like(await proof, { ok: true, text: 'computer stop' })
  t.deepEqual(messages.map((message) => message.kind === 'utterance' ? message.text : message.kind), ['wake', 'drive forward two meters'])
  t.true(await ears.quiet())
  ears.setSpeaking(true)
  t.false(await ears.quiet())
  ears.setSpeaking(false)
  t.true(await ears.quiet())
})

test.serial('PocketSphinx proves itself with the same recording', async (t) => {
  const other = await load('pocketsphinx')
  t.teardown(() => other.close())
  const prover = await EarsProver.load(other)
  for (let i = 0; i < 3; i++) t.like(await prover.prove(), { ok: true, text: 'computer stop' })
})

test.serial('another text, and speech that voice activity does not find, are told as wrong', async (t) => {
  const other = join(folder, 'other.wav')
  await writeFile(other, encodeWav(await synthesise('computer, start', 'flite:rms'), { sampleRateHz: 16_000 }))
  const misheard = await (await EarsProver.load(ears, { ...KNOWN_UTTERANCE, file: other })).prove()
  t.false(misheard.ok)
  t.regex(misheard.message!, /^“computer start.*” was heard in the known recording, “computer stop” is in it$/)
  const short = await (await EarsProver.load(ears, { ...KNOWN_UTTERANCE, speechMs: 2_000 })).prove()
  t.false(short.ok)
  t.is(short.message, '1120 ms of speech were found in the known recording, 2000 ms are in it')
})

test.serial('the recording belongs to the installation: without it, or with another kind, the ears do not start', async (t) => {
  t.is((await t.throwsAsync(EarsProver.load(ears, { ...KNOWN_UTTERANCE, file: join(folder, 'none.wav') }), { instanceOf: MtorError })).code, 'AUDIO_INVALID')
  const stereo = join(folder, 'stereo.wav')
  await writeFile(stereo, encodeWav(silence(0.1), { sampleRateHz: 8_000 }))
  t.is((await t.throwsAsync(EarsProver.load(ears, { ...KNOWN_UTTERANCE, file: stereo }), { instanceOf: MtorError })).code, 'AUDIO_INVALID')
  t.true((await readFile(KNOWN_UTTERANCE.file)).length < 50_000)
})

function rounds(quiet: () => Promise<boolean>, answers: (EarsProof | 'throws')[] = []) {
  const clock = new ManualClock(0)
  const told: { atMs: number; ok: boolean }[] = []
  let proofs = 0
  const prove = async (): Promise<EarsProof> => {
    const answer = answers[proofs++] ?? { ok: true, text: 'computer stop', tookMs: 40 }
    if (answer === 'throws') throw new MtorError('INTERNAL', 'the library says no')
    return answer
  }
  return { clock, told, round: new ProofRound({ prover: { prove }, periodMs: 30_000, clock, quiet, report: ({ ok }) => { told.push({ atMs: clock.monoMs(), ok }) } }) }
}
const wrong: EarsProof = { ok: false, text: '', tookMs: 40, message: 'nothing was heard' }

test('it is proven at once, then once a period; a wrong answer, or an error, is tried again soon', async (t) => {
  const { clock, told, round } = rounds(async () => true, [{ ok: true, text: '', tookMs: 1 }, wrong, 'throws'])
  round.start()
  round.start()
  await clock.advance(100_000)
  await round.stop()
  await round.stop()
  await clock.advance(100_000)
  t.deepEqual(told, [{ atMs: 0, ok: true }, { atMs: 30_000, ok: false }, { atMs: 31_000, ok: false }, { atMs: 32_000, ok: true }, { atMs: 62_000, ok: true }, { atMs: 92_000, ok: true }])
})

test('it waits for a quiet moment, for a period at the most', async (t) => {
  const noisy = rounds(async () => false)
  noisy.round.start()
  await noisy.clock.advance(100_000)
  await noisy.round.stop()
  t.deepEqual(noisy.told.map(({ atMs }) => atMs), [30_000, 90_000])
  let quiet = true
  const spoken = rounds(async () => quiet)
  spoken.round.start()
  await spoken.clock.advance(29_500)
  quiet = false
  await spoken.clock.advance(5_000)
  quiet = true
  await spoken.clock.advance(5_000)
  await spoken.round.stop()
  t.deepEqual(spoken.told.map(({ atMs }) => atMs), [0, 35_000])
})

test('behind a recogniser that hangs there is no proof', async (t) => {
  const { clock, told, round } = rounds(() => new Promise(() => {}))
  round.start()
  await clock.advance(1_000_000)
  t.deepEqual(told, [])
})
