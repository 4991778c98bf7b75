import { spawn } from 'node:child_process'
import { constants, openSync, closeSync, readSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { output } from '../../inference/child.ts'
import { WavReader } from '../wav.ts'
import { earcon } from './earcons.ts'
import { MAX_SPOKEN_CHARS, splitSentences } from './sentences.ts'
import { openSink, SPOKEN_INDEX } from './sink.ts'
import { Speaker, type SpeakerOptions, type SpeakingState } from './speaker.ts'
import { chooseEngine, synthesise } from './synthesise.ts'

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mtor-speak-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

function speaker(t: ExecutionContext, options: Partial<SpeakerOptions> & { device: string }) {
  const log: [number, SpeakingState][] = []
  const speaking: boolean[] = []
  const waits: { when: () => boolean; done: () => void }[] = []
  const check = () => { for (const wait of waits) if (wait.when()) wait.done() }
  const part = new Speaker({
    engine: 'flite', voice: 'rms', mute: false, earcons: true,
    sink: openSink(options.device, '/'),
    onState: (id, state) => { log.push([id, state]); check() },
    onSpeaking: (on) => { speaking.push(on) },
    onError: (error) => t.fail(error.message),
    ...options,
  })
  t.teardown(() => part.stop())
  const until = (id: number, state: SpeakingState) => new Promise<void>((done) => { waits.push({ when: () => log.some(([i, s]) => i === id && s === state), done }); check() })
  return { part, log, speaking, until }
}
const index = async (path: string) => (await readFile(join(path, SPOKEN_INDEX), 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as { file: string; text?: string; earcon?: string })

/** Speech is loud in parts and quiet in parts. */
function isSpeech(samples: Int16Array, rateHz: number): boolean {
  const levels = Array.from({ length: Math.floor(samples.length / (rateHz / 50)) }, (_, i) => Math.sqrt(samples.subarray((i * rateHz) / 50, ((i + 1) * rateHz) / 50).reduce((sum, v) => sum + v * v, 0) / (rateHz / 50)))
  return levels.filter((level) => level > 1_000).length > 10 && levels.some((level) => level < 300)
}

for (const engine of ['flite', 'espeak-ng'] as const) {
  test(`${engine} speaks`, async (t) => {
    t.is(chooseEngine(engine), engine)
    const wav = await WavReader.fromBuffer(await synthesise('Driving forward two metres.', { engine, voice: 'rms' }))
    t.true(wav.format.durationS > 1 && wav.format.durationS < 4, `${wav.format.durationS} s`)
    t.true(isSpeech(await wav.all(), wav.format.sampleRateHz))
  })

  test(`${engine}: text that looks like an option, a command or a file is only spoken`, async (t) => {
    const path = await folder(t)
    const target = join(path, 'made-by-text')
    for (const text of [`-o ${target}`, '--version', '-f /etc/passwd', `"; touch ${target}; "`, `$(touch ${target})`, `it's 'quoted' "twice" \\ & | >`, '- one']) {
      const wav = await WavReader.fromBuffer(await synthesise(text, { engine, voice: 'rms' }))
      t.true(wav.format.durationS > 0.2, text)
    }
    t.deepEqual(await readdir(path), [])
  })
}

test('what is said goes into a folder, one WAV a sentence, with its text', async (t) => {
  const path = await folder(t)
  const { part, until, log, speaking } = speaker(t, { device: `file:${path}` })
  part.speak(1, 'Done. I drove forward by two metres.')
  part.speak(2, 'The battery is at ninety percent.')
  await until(2, 'done')
  t.deepEqual(await index(path), [
    { file: '000001.wav', text: 'Done.' },
    { file: '000002.wav', text: 'I drove forward by two metres.' },
    { file: '000003.wav', text: 'The battery is at ninety percent.' },
  ])
  t.deepEqual(log, [[1, 'started'], [1, 'done'], [2, 'started'], [2, 'done']])
  t.deepEqual(speaking, [true, false, true, false])
  const wav = await WavReader.open(join(path, '000002.wav'))
  t.teardown(() => wav.close())
  t.true(isSpeech(await wav.all(), wav.format.sampleRateHz))
})

test('numbers go on where a former run ended', async (t) => {
  const path = await folder(t)
  await writeFile(join(path, '000041.wav'), '')
  const { part, until } = speaker(t, { device: `file:${path}` })
  part.speak(1, 'Hello.')
  await until(1, 'done')
  t.is((await index(path))[0]!.file, '000042.wav')
})

/** An ALSA device that takes sound only as fast as its FIFO is read, which is not at all. */
async function stuckLoudspeaker(t: ExecutionContext): Promise<string> {
  const path = await folder(t)
  await output('mkfifo', [join(path, 'out')])
  const fd = openSync(join(path, 'out'), constants.O_RDWR | constants.O_NONBLOCK)
  t.teardown(() => closeSync(fd))
  await writeFile(join(path, 'asound.conf'), `pcm.stuck { type file slave.pcm null file "${path}/out" format raw }\n`)
  const before = process.env['ALSA_CONFIG_PATH']
  process.env['ALSA_CONFIG_PATH'] = `/usr/share/alsa/alsa.conf:${join(path, 'asound.conf')}`
  t.teardown(() => { if (before === undefined) delete process.env['ALSA_CONFIG_PATH']; else process.env['ALSA_CONFIG_PATH'] = before })
  // aplay is playing once sound arrives.
  return await new Promise((done) => { sounding = () => new Promise((heard) => {
    const look = () => { try { if (readSync(fd, Buffer.alloc(1)) > 0) return heard() } catch { /* nothing yet */ } setTimeout(look, 5) }
    look()
  }); done('stuck') })
}
let sounding: () => Promise<void>

test.serial('silence cuts off a real player at once, and what waits is dropped', async (t) => {
  const { part, until, log, speaking } = speaker(t, { device: await stuckLoudspeaker(t) })
  part.speak(1, 'This sentence is much too long to fit into the pipe, and goes on, and on, and on, and on, until somebody cuts it off, which is what happens here, in the end.')
  part.speak(2, 'This one is never heard.')
  await sounding()
  const cutMs = performance.now()
  part.silence()
  await until(1, 'stopped')
  t.log(`cut off after ${(performance.now() - cutMs).toFixed(1)} ms`)
  t.deepEqual(log, [[1, 'started'], [2, 'stopped'], [1, 'stopped']])
  t.deepEqual(speaking, [true, false])
})

test.serial('an interrupting sentence takes the place of what is said', async (t) => {
  const device = await stuckLoudspeaker(t)
  const path = await folder(t)
  const stuck = openSink(device, '/')
  const kept = openSink(`file:${path}`, '/')
  const { part, until } = speaker(t, { device: 'none', sink: { play: (wav, sound, signal) => ('text' in sound && sound.text.startsWith('A long') ? stuck : kept).play(wav, sound, signal) } })
  part.speak(1, 'A long sentence that never ends because the loudspeaker takes no more sound after a while, whatever we try to do about it, today or tomorrow.')
  await sounding()
  part.speak(2, 'Stopped.', true)
  await until(1, 'stopped')
  await until(2, 'done')
  t.deepEqual((await index(path)).map((line) => line.text), ['Stopped.'])
})

test('a device that cannot be opened fails the sentence with what ALSA says, and the next one is tried', async (t) => {
  const states: string[] = []
  const { part, until } = speaker(t, { device: 'hw:7', onState: (id, state, message) => { states.push(`${id} ${state} ${message ?? ''}`); if (id === 2 && state === 'failed') finish() } })
  const { promise, resolve: finish } = Promise.withResolvers<void>()
  void until
  part.speak(1, 'One.')
  part.speak(2, 'Two.')
  await promise
  t.regex(states[1]!, /^1 failed AUDIO_DEVICE: aplay on hw:7: .*open error/)
  t.is(states.filter((state) => state.includes('failed')).length, 2)
})

test('the queue is bounded', async (t) => {
  const { part, log } = speaker(t, { device: 'none' })
  for (let id = 0; id < 40; id++) part.speak(id, 'Again.')
  t.true(log.filter(([, state]) => state === 'failed').length >= 20)
  await part.stop()
  t.is(new Set(log.filter(([, state]) => state !== 'started').map(([id]) => id)).size, 40)
})

test('the three earcons are short, quiet at both ends, and unlike each other', async (t) => {
  const sounds = await Promise.all((['heard', 'understood', 'refused'] as const).map(async (name) => (await WavReader.fromBuffer(earcon(name))).all()))
  for (const samples of sounds) {
    t.true(samples.length / 48 <= 400)
    t.true(Math.abs(samples[0]!) < 50 && Math.abs(samples.at(-1)!) < 50)
    t.true(Math.max(...samples) > 8_000)
  }
  t.is(sounds[0]!.length / 48, 120)
  /** Zero crossings in the first and the last 80 ms: the contour. */
  const contour = sounds.map((s) => [s.subarray(0, 3_840), s.subarray(-3_840)].map((part) => part.filter((v, i) => i > 0 && v >= 0 !== part[i - 1]! >= 0).length))
  t.true(contour[0]![0] === contour[0]![1], 'heard stays')
  t.true(contour[1]![1]! > contour[1]![0]! * 1.3, 'understood rises')
  t.true(contour[2]![1]! < contour[2]![0]! * 0.8, 'refused falls')
})

test('earcons can be turned off, and are in the folder otherwise', async (t) => {
  const path = await folder(t)
  const on = speaker(t, { device: `file:${path}` })
  on.part.earcon('heard')
  on.part.speak(1, 'Yes.')
  await on.until(1, 'done')
  const off = speaker(t, { device: `file:${path}`, earcons: false })
  off.part.earcon('refused')
  off.part.speak(1, 'No.')
  await off.until(1, 'done')
  t.deepEqual((await index(path)).map((line) => line.earcon ?? line.text), ['heard', 'Yes.', 'No.'])
})

test('text is cut at sentences, then commas, then spaces; nothing is lost below the cap', (t) => {
  t.deepEqual(splitSentences('Version 1.5 is on. Is it?  Yes!'), ['Version 1.5 is on.', 'Is it?', 'Yes!'])
  t.deepEqual(splitSentences(' \n\u0000\u200b... !? '), [])
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 3_000 }), (text) => {
    const pieces = splitSentences(text)
    t.true(pieces.every((piece) => piece.length <= 250 && piece.isWellFormed()))
    t.true(pieces.join('').length <= MAX_SPOKEN_CHARS)
  }))
  const words = Array.from({ length: 200 }, (_, i) => `word${i}`).join(' ')
  t.is(splitSentences(words).join(' '), words)
})

test('a synthesiser and a player end with the process that started them', async (t) => {
  // A process that starts a player which would wait for ever, and is then killed.
  const code = `import { spawnTied } from ${JSON.stringify(new URL('../../inference/child.ts', import.meta.url).href)}
    const child = spawnTied('sleep', ['600']); child.on('spawn', () => console.log(child.pid))`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = Number(await new Promise<string>((resolve) => parent.stdout.once('data', (data: Buffer) => resolve(String(data)))))
  // setpriv must have become the program: only then is it tied.
  for (let comm = ''; comm !== 'sleep'; comm = (await readFile(`/proc/${pid}/comm`, 'utf8')).trim()) await new Promise((resolve) => { setImmediate(resolve) })
  parent.kill('SIGKILL')
  await new Promise((resolve) => { parent.once('exit', resolve) })
  const gone = async () => { try { return /^\d+ \(.*\) Z/.test(await readFile(`/proc/${pid}/stat`, 'utf8')) } catch { return true } }
  while (!(await gone())) await new Promise((resolve) => { setImmediate(resolve) })
  t.true(await gone())
})
