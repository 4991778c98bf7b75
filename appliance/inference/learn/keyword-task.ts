import type { InferenceSession } from 'onnxruntime-node'
import { isAbsolute, join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import { readMono } from '../../speech/sounds.ts'
import { WavReader } from '../../speech/wav.ts'
import type { LoadedTask, TaskModule } from '../task.ts'
import { digestTensors } from '../worker/digest.ts'
import { BANDS, logMel, normaliseWindow, WINDOW_FRAMES, WINDOW_SAMPLES } from './features.ts'

type Ort = typeof import('onnxruntime-node')
/** Longer files are somebody's mistake. */
const MAX_S = 60

/** Opens the head on the processor: a window takes a fraction of a millisecond, more threads only spin. */
export const openHead = (ort: Ort, file: string, threads: number): Promise<InferenceSession> => ort.InferenceSession.create(file, {
  executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential', enableCpuMemArena: false, enableMemPattern: false, logSeverityLevel: 3,
})

/** The last second of a file as the head takes it; what is shorter is preceded by silence. @throws MtorError AUDIO_INVALID */
export async function featuresOfFile(file: string): Promise<Float32Array> {
  const wav = await WavReader.open(file)
  if (wav.format.durationS > MAX_S) {
    await wav.close()
    throw new MtorError('AUDIO_INVALID', `${file}: ${Math.round(wav.format.durationS)} s; a word is looked for in the last second of at most ${MAX_S} s`)
  }
  const samples = await readMono(wav)
  const window = new Int16Array(WINDOW_SAMPLES)
  const last = samples.subarray(Math.max(0, samples.length - WINDOW_SAMPLES))
  window.set(last, WINDOW_SAMPLES - last.length)
  const features = new Float32Array(WINDOW_FRAMES * BANDS)
  normaliseWindow(logMel(window), 0, features)
  return features
}

const feeds = (ort: Ort, features: Float32Array) => ({ features: new ort.Tensor('float32', features, [1, WINDOW_FRAMES, BANDS]) })

/** Score of the last second of a file. */
export async function scoreFile(ort: Ort, session: InferenceSession, file: string): Promise<number> {
  const result = await session.run(feeds(ort, await featuresOfFile(file)))
  return (result['score']!.data as Float32Array)[0]!
}

/** A learned word: the score of one second of sound. A relative path is one of the model's own files (known answers). */
export const task: TaskModule<'keyword'> = {
  usesOnnx: true,
  async load({ model: { manifest, folder }, open }): Promise<LoadedTask<'keyword'>> {
    const { session, ort } = await open(typeof manifest.options['graph'] === 'string' ? manifest.options['graph'] : manifest.files[0]!.path)
    let digest: string | undefined
    return {
      async run({ file }) {
        if (typeof file !== 'string' || file === '') throw new MtorError('AUDIO_INVALID', `${manifest.name} takes { file: path of a WAV file }`)
        const result = await session.run(feeds(ort, await featuresOfFile(isAbsolute(file) ? file : join(folder, file))))
        digest = digestTensors(result)
        const score = (result['score']?.data as Float32Array | undefined)?.[0]
        if (score === undefined || !(score >= 0 && score <= 1)) throw new MtorError('MODEL_INVALID', `${manifest.name}: its score is ${score}, no probability`)
        return { score }
      },
      digest: () => digest,
      close: () => session.release(),
    }
  },
}
