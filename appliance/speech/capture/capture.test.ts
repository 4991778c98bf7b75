import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import { Resampler } from '../resample.ts'
import { encodeWav } from '../wav.ts'
import { Capture } from './capture.ts'
import { parseCards } from './devices.ts'
import { playThroughAlsa } from './file-device.ts'

async function folder(t: ExecutionContext): Promise<string> {
  // A space in the path must not break ALSA's configuration.
  const path = await mkdtemp(join(tmpdir(), 'mtor capture-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Noise with the spectrum of a voice, reproducible. */
function sound(frames: number): Int16Array {
  let state = 12_345
  let low = 0
  return Int16Array.from({ length: frames }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    low = 0.85 * low + 0.15 * ((state >>> 16) - 32_768)
    return Math.round(low)
  })
}
const spread = (mono: Int16Array, channels: number) => Int16Array.from({ length: mono.length * channels }, (_, i) => mono[Math.floor(i / channels)]!)
function correlation(a: Int16Array, b: Int16Array): number {
  let ab = 0, aa = 0, bb = 0
  for (let i = 0; i < Math.min(a.length, b.length); i++) { ab += a[i]! * b[i]!; aa += a[i]! ** 2; bb += b[i]! ** 2 }
  return ab / Math.sqrt(aa * bb || 1)
}

async function listen(t: ExecutionContext, samples: Int16Array, sampleRateHz: number, channels: number, tailS = 0) {
  const runDir = await folder(t)
  const file = join(runDir, 'sound.wav')
  await writeFile(file, encodeWav(samples, { sampleRateHz, channels }))
  const frames: Int16Array[] = []
  const times: number[] = []
  const startedMs = systemClock.monoMs()
  const { audioS, recorderPid } = await playThroughAlsa(file, { runDir, clock: systemClock, tailS, onFrame: (frame, endMs) => { frames.push(frame); times.push(endMs) } })
  return { runDir, audioS, recorderPid, times, startedMs, endedMs: systemClock.monoMs(), output: Int16Array.from(frames.flatMap((frame) => [...frame])), frames }
}

for (const channels of [1, 2, 6, 8]) {
  test.serial(`16 kHz, ${channels} channel(s): every sample that went in comes out of arecord, exactly`, async (t) => {
    const mono = sound(8_000)
    const { output, frames, audioS } = await listen(t, spread(mono, channels), 16_000, channels)
    t.is(audioS, 0.5)
    t.is(frames.length, Math.ceil(8_000 / 512))
    t.true(frames.every((frame) => frame.length === 512))
    t.deepEqual(output.subarray(0, 8_000), mono)
    t.true(output.subarray(8_000).every((sample) => sample === 0))
  })
}

for (const [rate, channels] of [[6_000, 1], [8_000, 1], [11_025, 1], [12_000, 3], [22_050, 2], [44_100, 2], [48_000, 6], [48_000, 8]] as const) {
  test.serial(`${rate} Hz, ${channels} channel(s): the sound comes out at 16 kHz`, async (t) => {
    // The same band-limited sound at both rates: tones below 3 kHz.
    const wave = (hz: number) => Int16Array.from({ length: hz / 2 }, (_, i) => Math.round([310, 1_130, 2_770].reduce((sum, f) => sum + 4_000 * Math.sin((2 * Math.PI * f * i) / hz), 0)))
    const { output, frames } = await listen(t, spread(wave(rate), channels), rate, channels)
    t.is(frames.length, Math.ceil(8_000 / 512))
    const heard = output.subarray(new Resampler(rate).delaySamples)
    t.true(correlation(heard, wave(16_000)) > 0.999, `correlation ${correlation(heard, wave(16_000))}`)
  })
}

test.serial('the file is played in real time, silence follows it, and the times of the frames are even', async (t) => {
  const { times, startedMs, endedMs, output } = await listen(t, sound(8_000), 16_000, 1, 0.5)
  t.is(times.length, Math.ceil(16_000 / 512))
  t.true(endedMs - startedMs >= 1_000)
  t.true(times.every((time, i) => i === 0 || time >= times[i - 1]!))
  t.true(times.at(-1)! <= endedMs)
  t.true(output.subarray(8_000).every((sample) => sample === 0), 'no junk after the end of the file')
  // Once the first punctual read is in, a frame is 32 ms; a busy machine may still pull the times back.
  const steps = times.slice(1).map((time, i) => time - times[i]!)
  t.true(steps.filter((step) => Math.abs(step - 32) < 0.001).length > steps.length / 2, steps.map((step) => step.toFixed(1)).join(' '))
})

test.serial('nothing is left behind: no recorder, no folder', async (t) => {
  const { recorderPid, runDir } = await listen(t, sound(1_600), 16_000, 1)
  t.false(existsSync(`/proc/${recorderPid}`))
  t.deepEqual(await readdir(runDir), ['sound.wav'])
})

test.serial('listening can be cancelled; a file that is no WAV is AUDIO_INVALID', async (t) => {
  const runDir = await folder(t)
  const file = join(runDir, 'long.wav')
  await writeFile(file, encodeWav(new Int16Array(16_000 * 60), { sampleRateHz: 16_000 }))
  const abort = new AbortController()
  const error = await t.throwsAsync(playThroughAlsa(file, { runDir, clock: systemClock, tailS: 0, onFrame: () => abort.abort(), signal: abort.signal }), { instanceOf: MtorError })
  t.is(error.code, 'CANCELLED')
  await writeFile(file, 'not audio')
  t.is((await t.throwsAsync(playThroughAlsa(file, { runDir, clock: systemClock, tailS: 0, onFrame: () => {} }), { instanceOf: MtorError })).code, 'AUDIO_INVALID')
  t.deepEqual(await readdir(runDir), ['long.wav'])
})

/** A live device: ALSA's null PCM, in the given wrapping, named by an own configuration. */
async function withAlsa(t: ExecutionContext, text: string): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'mtor-alsa-'))
  t.teardown(() => rm(path, { recursive: true }))
  const file = join(path, 'asound.conf')
  await writeFile(file, text)
  const before = process.env['ALSA_CONFIG_PATH']
  process.env['ALSA_CONFIG_PATH'] = `/usr/share/alsa/alsa.conf:${file}`
  t.teardown(() => { if (before === undefined) delete process.env['ALSA_CONFIG_PATH']; else process.env['ALSA_CONFIG_PATH'] = before })
}

test.serial('a device that offers only 48 kHz is captured at 48 kHz and converted here', async (t) => {
  await withAlsa(t, 'pcm.only48 { type plug slave { pcm "null" rate 48000 } }')
  const opened = Promise.withResolvers<string | undefined>()
  const framed = Promise.withResolvers<number>()
  const capture = new Capture({ device: 'only48', clock: systemClock, onFrame: (frame) => framed.resolve(frame.length), onState: (state, _device, message) => { if (state === 'open') opened.resolve(message) } })
  capture.start()
  t.is(await opened.promise, '48000 Hz, 1 channel')
  t.is(await framed.promise, 512)
  await capture.stop()
})

test.serial('a recorder that dies is announced once and is back by itself', async (t) => {
  await withAlsa(t, 'pcm.mic { type null }')
  const states: string[] = []
  let changed = Promise.withResolvers<void>()
  const capture = new Capture({ device: 'mic', clock: systemClock, onFrame: () => {}, onState: (state) => { states.push(state); changed.resolve(); changed = Promise.withResolvers() } })
  capture.start()
  await changed.promise
  const first = capture.recorderPid!
  let next = changed.promise
  process.kill(first, 'SIGKILL')
  await next
  next = changed.promise
  if (states.length < 3) await next
  t.deepEqual(states, ['open', 'failed', 'open'])
  t.not(capture.recorderPid, first)
  const second = capture.recorderPid!
  await capture.stop()
  await capture.stop()
  t.false(existsSync(`/proc/${second}`))
  t.deepEqual(states, ['open', 'failed', 'open', 'closed'])
})

test.serial('a device that does not exist is announced with what ALSA says', async (t) => {
  const failed = Promise.withResolvers<string | undefined>()
  const capture = new Capture({ device: 'hw:7', clock: systemClock, onFrame: () => {}, onState: (state, _device, message) => { if (state === 'failed') failed.resolve(message) } })
  capture.start()
  t.regex((await failed.promise) ?? '', /audio open error/)
  await capture.stop()
})

test.serial('arecord runs in its own session, tied to us by the kernel', async (t) => {
  await withAlsa(t, 'pcm.mic { type null }')
  const framed = Promise.withResolvers<void>()
  const capture = new Capture({ device: 'mic', clock: systemClock, onFrame: () => framed.resolve(), onState: () => {} })
  capture.start()
  await framed.promise
  const [, , , , , session] = (await readFile(`/proc/${capture.recorderPid}/stat`, 'utf8')).split(' ')
  t.is(session, String(capture.recorderPid))
  await capture.stop()
})

test('the list of cards is read as arecord prints it', (t) => {
  t.deepEqual(parseCards(`**** List of CAPTURE Hardware Devices ****
card 1: Array [ReSpeaker 4 Mic Array], device 0: USB Audio [USB Audio]
  Subdevices: 1/1
  Subdevice #0: subdevice #0
card 2: APE [NVIDIA Jetson [APE]], device 3: x [y]
`)[0], { card: 1, device: 0, name: 'ReSpeaker 4 Mic Array' })
  t.deepEqual(parseCards('arecord: device_list:274: no soundcards found...'), [])
})
