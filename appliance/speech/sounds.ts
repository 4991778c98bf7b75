import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ChannelMix } from './capture/channels.ts'
import { Resampler } from './resample.ts'
import { SAMPLE_RATE_HZ } from './vad.ts'
import { WavReader } from './wav.ts'

const run = promisify(execFile)

/** A voice as "flite:rms" or "espeak-ng:en-us+f1". */
export type TestVoice = `flite:${string}` | `espeak-ng:${string}`

/** How often the choice of channels is made anew, s. */
const BLOCK_S = 0.1

/**
 * A WAV of any rate and number of channels as 16 kHz samples. Channels become one as they do from a microphone: a voice
 * that is only on the right is heard.
 * @throws MtorError AUDIO_INVALID
 */
export async function readMono(wav: WavReader): Promise<Int16Array> {
  try {
    const { channels, sampleRateHz } = wav.format
    const mix = new ChannelMix(channels, sampleRateHz)
    const resampler = new Resampler(sampleRateHz, SAMPLE_RATE_HZ)
    const parts: Int16Array[] = []
    for await (const block of wav.blocks(Math.round(sampleRateHz * BLOCK_S))) {
      parts.push(resampler.push(mix.reduce(block)))
    }
    return concatenate([...parts, resampler.flush()])
  } finally {
    await wav.close()
  }
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
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export const silence = (seconds: number): Int16Array => new Int16Array(Math.round(seconds * SAMPLE_RATE_HZ))

export function concatenate(parts: readonly Int16Array[]): Int16Array {
  const out = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
