import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Type from 'typebox'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { validator } from '../../contracts/validate.ts'
import { WHISPER_FILES } from '../../inference/convert/ctranslate2.ts'
import type { Tasks } from '../../inference/port.ts'
import type { TaskModule } from '../../inference/task.ts'
import { digestTensors } from '../../inference/worker/digest.ts'
import { readMono } from '../sounds.ts'
import { WavReader } from '../wav.ts'
import { decodeGreedily, type Decoded, type DecodeRules } from './decode.ts'
import { HOP_SAMPLES, LogMel, SAMPLE_RATE_HZ } from './mel.ts'
import { testSound } from './test-sound.ts'
import { Vocabulary } from './tokens.ts'
import { MAX_WINDOW_S, windowsOf } from './windows.ts'

/** `options` of a manifest whose task is transcribe. */
const optionsValidator = validator(Type.Object({
  prompt: Type.Array(Type.String(), { minItems: 1, description: 'Signs the text is begun with: language, task, no times' }),
  windowS: Type.Number({ minimum: 1, maximum: MAX_WINDOW_S, description: 'Shorter sound is followed by silence up to this' }),
  maxTokens: Type.Integer({ minimum: 1, maximum: 400 }),
}, { additionalProperties: false }))

/** What is used of the config.json that comes with the weights: tokens that are no speech. */
const configValidator = validator(Type.Object({ suppress_ids: Type.Array(Type.Integer()), suppress_ids_begin: Type.Array(Type.Integer()) }))

const MAX_S = 10 * 60

/** Free speech to text with a Whisper: log-mel, encoder, decoder with a cache of keys and values, the likeliest token each time. */
export const task: TaskModule<'transcribe'> = {
  usesOnnx: true,
  async load({ model: { manifest, folder }, open }) {
    const options = optionsValidator.assert(manifest.options, 'MODEL_INVALID', `options of ${manifest.name}`)
    const text = (file: string) => readFile(join(folder, file), 'utf8').catch((error: unknown) => { throw toMtorError(error, 'MODEL_INVALID') })
    const vocabulary = new Vocabulary(await text('vocabulary.txt'))
    const config = configValidator.assert(JSON.parse(await text('config.json')), 'MODEL_INVALID', `config.json of ${manifest.name}`)
    const signs = Array.from({ length: vocabulary.size - vocabulary.endOfText - 1 }, (_, i) => vocabulary.endOfText + 1 + i)
    const rules: DecodeRules = {
      prompt: options.prompt.map((token) => vocabulary.id(token)), endOfText: vocabulary.endOfText,
      suppress: [...config.suppress_ids.filter((id) => id < vocabulary.endOfText), ...signs], suppressFirst: config.suppress_ids_begin,
      maxTokens: options.maxTokens,
    }
    const encoder = await open(WHISPER_FILES.encoder)
    const decoder = await open(WHISPER_FILES.decoder)
    const { ort } = encoder
    const mel = new LogMel(80)
    let raw: Decoded | undefined

    async function hear(samples: Int16Array, leastS: number): Promise<Decoded> {
      // The encoder halves the frames.
      const frames = 2 * Math.ceil(Math.max(samples.length, leastS * SAMPLE_RATE_HZ) / (2 * HOP_SAMPLES))
      const features = new ort.Tensor('float32', mel.of(samples, frames), [1, mel.bands, frames])
      const cross = await encoder.session.run({ mel: features })
      try { return await decodeGreedily(ort, decoder.session, cross, rules) } finally { for (const tensor of Object.values(cross)) tensor.dispose() }
    }

    return {
      async run({ file }) {
        const known = typeof file !== 'string'
        const samples = known ? testSound() : await readMono(await WavReader.open(file))
        const audioS = samples.length / SAMPLE_RATE_HZ
        if (audioS > MAX_S) throw new MtorError('AUDIO_INVALID', `${String(file)}: ${Math.round(audioS)} s are too long; at most ${MAX_S}`)
        const heard: Decoded[] = []
        for (const window of windowsOf(samples)) heard.push(raw = await hear(window, known && !file.wholeWindow ? 0 : options.windowS))
        const tokens = heard.reduce((sum, { tokens: { length } }) => sum + length + 1, 0)
        return {
          text: heard.map(({ tokens: ids }) => vocabulary.text(ids).trim()).filter(Boolean).join(' '), audioS,
          confidence: Math.exp(heard.reduce((sum, { meanLogProbability, tokens: { length } }) => sum + meanLogProbability * (length + 1), 0) / tokens),
        } satisfies Tasks['transcribe']['output']
      },
      digest: () => raw && digestTensors({ logits: { type: 'float32', dims: [1, raw.logits.length], data: raw.logits } }),
      async close() {
        await encoder.session.release()
        await decoder.session.release()
      },
    }
  },
}
