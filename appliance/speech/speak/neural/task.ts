import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Type from 'typebox'
import { MtorError, toMtorError } from '../../../contracts/errors.ts'
import { validator } from '../../../contracts/validate.ts'
import type { TaskModule } from '../../../inference/task.ts'
import { digestTensors } from '../../../inference/worker/digest.ts'
import { encodeWav } from '../../wav.ts'
import { phonemesOf } from './phonemes.ts'

/** Of a model whose task is speak: the graph, and the configuration that came with it. */
const FILES = { graph: 'voice.onnx', config: 'voice.json' } as const

/** What is used of a Piper voice's configuration. @see github.com/rhasspy/piper, src/python/piper_train/infer_onnx.py */
const configValidator = validator(Type.Object({
  audio: Type.Object({ sample_rate: Type.Integer({ minimum: 8_000, maximum: 48_000 }) }),
  espeak: Type.Object({ voice: Type.String({ pattern: '^[a-z0-9-]{2,20}$' }) }),
  inference: Type.Object({ noise_scale: Type.Number(), length_scale: Type.Number(), noise_w: Type.Number() }),
  phoneme_id_map: Type.Record(Type.String(), Type.Array(Type.Integer())),
  num_speakers: Type.Literal(1),
}))

const BEGIN = '^', PAD = '_', END = '$'
const MAX_PHONEMES = 1_500
/** As loud as the other voices. */
const PEAK = 0.7 * 32_767
const LEAST_PEAK = 0.01

/** Numbers of phonemes, each followed by a pad; what the voice does not know is left out. @throws MtorError MODEL_INVALID where it lacks the signs every voice has */
export function idsOf(phonemes: string, map: Readonly<Record<string, readonly number[]>>): BigInt64Array {
  const need = (sign: string) => map[sign] ?? (() => { throw new MtorError('MODEL_INVALID', `the voice has no phoneme ${sign}`) })()
  const pad = need(PAD)
  const inner = Array.from(phonemes.normalize('NFD')).flatMap((phoneme) => [BEGIN, END, PAD].includes(phoneme) ? [] : map[phoneme] ? [...map[phoneme], ...pad] : [])
  return BigInt64Array.from([...need(BEGIN), ...pad, ...inner, ...need(END)], BigInt)
}

/** Text to speech with a Piper voice (VITS): phonemes by espeak-ng, one graph from phonemes to samples. */
export const task: TaskModule<'speak'> = {
  usesOnnx: true,
  async load({ model: { manifest, folder }, open }) {
    const text = await readFile(join(folder, FILES.config), 'utf8').catch((error: unknown) => { throw toMtorError(error, 'MODEL_INVALID') })
    const { audio: { sample_rate: sampleRateHz }, espeak, inference, phoneme_id_map: map } = configValidator.assert(JSON.parse(text), 'MODEL_INVALID', `${FILES.config} of ${manifest.name}`)
    const { session, ort } = await open(FILES.graph)
    let raw: { output: { type: string; dims: readonly number[]; data: unknown } } | undefined
    return {
      async run({ text: said, file }) {
        const known = typeof said !== 'string'
        const phonemes = known ? said.phonemes : await phonemesOf(said, espeak.voice)
        if (phonemes.length > MAX_PHONEMES) throw new MtorError('TOO_LARGE', `${phonemes.length} phonemes at once are too many; at most ${MAX_PHONEMES}`)
        const ids = idsOf(phonemes, map)
        // Without its noise the voice is flat, but says the same each time.
        const scales = known ? [0, inference.length_scale, 0] : [inference.noise_scale, inference.length_scale, inference.noise_w]
        const { output } = await session.run({
          input: new ort.Tensor('int64', ids, [1, ids.length]), input_lengths: new ort.Tensor('int64', BigInt64Array.of(BigInt(ids.length)), [1]), scales: new ort.Tensor('float32', Float32Array.from(scales), [3]),
        })
        raw = { output: { type: output!.type, dims: output!.dims, data: output!.data } }
        const wave = output!.data as Float32Array
        const peak = wave.reduce((most, value) => Math.max(most, Math.abs(value)), LEAST_PEAK)
        const power = wave.reduce((sum, value) => sum + value * value, 0) / wave.length
        if (file !== undefined) await writeFile(file, encodeWav(Int16Array.from(wave, (value) => Math.round((value / peak) * PEAK)), { sampleRateHz }), { mode: 0o600 })
        return { audioS: wave.length / sampleRateHz, loudnessDb: 10 * Math.log10(Math.max(power, 1e-12)) }
      },
      digest: () => raw && digestTensors(raw),
      close: () => session.release(),
    }
  },
}
