import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Resampler } from './resample.ts'
import { SAMPLE_RATE_HZ } from './vad.ts'
import { WavReader } from './wav.ts'

const run = promisify(execFile)

/** A voice as "flite:rms" or "espeak-ng:en-us+f1". */
export type TestVoice = `flite:${string}` | `espeak-ng:${string}`

/** One channel of a WAV of any rate as 16 kHz samples. */
export async function readMono(wav: WavReader): Promise<Int16Array> {
  try {
    const { channels, sampleRateHz } = wav.format
    const all = await wav.all()
    const mono = channels === 1 ? all : Int16Array.from({ length: Math.floor(all.length / channels) }, (_, i) => all[i * channels]!)
    if (sampleRateHz === SAMPLE_RATE_HZ) return mono
    const resampler = new Resampler(sampleRateHz, SAMPLE_RATE_HZ)
    return concatenate([resampler.push(mono), resampler.flush()])
  } finally { await wav.close() }
}

/** Synthetic speech for tests and benches, 16 kHz. */
export async function synthesise(text: string, voice: TestVoice): Promise<Int16Array> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-say-'))
  try {
    const file = join(folder, 'said.wav')
    const name = voice.slice(voice.indexOf(':') + 1)
    if (voice.startsWith('flite')) await run('flite', ['-voice', name, '-t', text, '-o', file])
    else await run('espeak-ng', ['-v', name, '-s', '150', '-w', file, text])
    return await readMono(await WavReader.open(file))
  } finally { await rm(folder, { recursive: true, force: true }) }
}

export const silence = (seconds: number): Int16Array => new Int16Array(Math.round(seconds * SAMPLE_RATE_HZ))

export function concatenate(parts: readonly Int16Array[]): Int16Array {
  const out = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) { out.set(part, at); at += part.length }
  return out
}
