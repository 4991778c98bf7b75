import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Resampler } from '../../appliance/speech/resample.ts'
import { concatenate, synthesise, type TestVoice } from '../../appliance/speech/sounds.ts'
import { SAMPLE_RATE_HZ } from '../../appliance/speech/vad.ts'
import { hash } from './text.ts'

/** A voice, and how much slower (and lower) or faster (and higher) than it is: "flite:rms", "flite:slt@1.1". */
export type Voice = TestVoice | `${TestVoice}@${number}`

export const VOICES: readonly Voice[] = [
  'flite:rms',
  'flite:slt',
  'flite:awb',
  'flite:kal16',
  'flite:rms@0.94',
  'flite:slt@1.06',
  'espeak-ng:en-us+f1',
  'espeak-ng:en-us+m7',
  'espeak-ng:en-gb+m7',
  'espeak-ng:en-us+f2',
  'espeak-ng:en-us+m3',
  'espeak-ng:en-gb',
  'espeak-ng:en-gb-x-rp',
  'espeak-ng:en-gb-scotland',
]

/** The voice that says a text; another seed gives it to another one. */
export const voiceFor = (text: string, seed: number): Voice => VOICES[hash(`voice ${seed} ${text}`) % VOICES.length]!

const FOLDER = join(tmpdir(), `mtor-bench-sounds-${process.getuid?.() ?? 0}`)

/** The text in that voice, 16 kHz. What was made once is taken from the temporary folder. */
export async function say(text: string, voice: Voice): Promise<Int16Array> {
  const file = join(FOLDER, `${createHash('sha256').update(`${voice}\0${text}`).digest('hex').slice(0, 32)}.raw`)
  const kept = await readFile(file).catch(() => undefined)
  if (kept) return new Int16Array(kept.buffer.slice(kept.byteOffset, kept.byteOffset + kept.length))
  const [name, factor] = voice.split('@') as [TestVoice, string?]
  const made = await synthesise(text, name)
  const sound = factor === undefined ? made : resampled(made, Number(factor))
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 })
  await writeFile(`${file}.${process.pid}`, Buffer.from(sound.buffer, sound.byteOffset, sound.byteLength))
  await rename(`${file}.${process.pid}`, file)
  return sound
}

/** @param factor above 1: faster and higher */
function resampled(sound: Int16Array, factor: number): Int16Array {
  const resampler = new Resampler(Math.round(SAMPLE_RATE_HZ * factor), SAMPLE_RATE_HZ)
  return concatenate([resampler.push(sound), resampler.flush()])
}
