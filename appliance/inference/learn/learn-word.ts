import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import { encodeWav } from '../../speech/wav.ts'
import { toInt16 } from './augment.ts'
import { openBackend } from './backend.ts'
import { BANDS, RATE_HZ, WINDOW_FRAMES, WINDOW_SAMPLES } from './features.ts'
import { toOnnx } from './keyword-net.ts'
import { openHead, scoreFile } from './keyword-task.ts'
import { chooseThreshold, measureAt, scoreClips, type WordMeasure } from './measure-word.ts'
import type { Draft, FromLearner, LearnedWord, WordOptions } from './messages.ts'
import { modelOfWord } from './names.ts'
import { gather, type Sets } from './sets.ts'
import { trainWord } from './train-word.ts'

type Progress = (message: Extract<FromLearner, { kind: 'progress' }>) => void
const GRAPH = 'head.onnx'
/** Known answers: one whose score moves with the weights, a clear one, and one that is not the word. */
const KNOWN_LOOKED_AT = 24

/**
 * Learns one word: examples, training, ONNX, threshold, measurement, all before anything may use it. Writes the files of the
 * model to `folder`. Only for the learning process.
 * @throws MtorError LEARN_FAILED with the figures where it is worse than the limits
 */
export async function learnWord(options: WordOptions, folder: string, progress: Progress): Promise<LearnedWord> {
  const startedMs = performance.now()
  const name = modelOfWord(options.word)
  const { tf, backend, tried } = await openBackend()
  progress({ kind: 'progress', stage: 'backend', message: `learning with tfjs ${backend}${tried.length > 0 ? ` (not ${tried.map((one) => `${one.name}: ${one.reason}`).join('; ')})` : ''}` })
  const sets = await gather(options, (message) => progress({ kind: 'progress', stage: 'examples', message }))
  progress({ kind: 'progress', stage: 'examples', message: `training on ${sets.train.words.length} examples of the word and ${sets.train.others.length} of other sounds; similar words: ${sets.similar.slice(0, 8).join(', ')} …` })
  const trained = await trainWord(tf, sets, {
    epochs: options.epochs, batches: options.batches, seed: options.seed,
    onEpoch: ({ epoch, loss, validationLoss }) => progress({ kind: 'progress', stage: 'training', message: `epoch ${epoch} of ${options.epochs}: loss ${loss.toFixed(4)}, on other voices ${validationLoss.toFixed(4)}`, epoch, epochs: options.epochs, loss, validationLoss }),
  })
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, GRAPH), toOnnx(trained.weights, name))
  progress({ kind: 'progress', stage: 'measuring', message: 'measuring the exported graph on voices it has not heard' })
  const ort = await import('onnxruntime-node')
  const session = await openHead(ort, join(folder, GRAPH), 1)
  let measured: WordMeasure, known: { input: { file: string }; output: { score: number } }[]
  try {
    const threshold = options.threshold ?? chooseThreshold(await scoreClips(ort, session, sets.validate.words), await scoreClips(ort, session, sets.validate.others), options.limits)
    measured = measureAt(threshold, await scoreClips(ort, session, sets.test.words), await scoreClips(ort, session, sets.test.others))
    known = await knownAnswers(sets, folder, async (file) => scoreFile(ort, session, join(folder, file)))
  } finally { await session.release() }
  const { limits } = options
  const { falseRejectPercent, falseAcceptsPerHour } = measured
  if (falseRejectPercent > limits.falseRejectPercent || falseAcceptsPerHour > limits.falseAcceptsPerHour) {
    throw new MtorError('LEARN_FAILED', `“${options.word}” was missed ${falseRejectPercent.toFixed(1)} % of the time (limit ${limits.falseRejectPercent} %) and heard wrongly ${falseAcceptsPerHour.toFixed(1)} times an hour (limit ${limits.falseAcceptsPerHour}); nothing was changed`, {
      hint: 'Add recordings of people (--from, --record), take a longer word, or allow more with --max-miss and --max-false.', data: { ...measured },
    })
  }
  const draft: Draft = {
    name, version: new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '.'), title: `The learned word “${options.word}”`, task: 'keyword',
    licence: { spdx: 'GPL-3.0-or-later', note: 'Trained on this box' }, source: { kind: 'learned', by: `mtor learn word ${options.word}` },
    files: [{ path: GRAPH }, ...known.map(({ input }) => ({ path: input.file }))],
    signature: { inputs: [{ name: 'features', type: 'float32', shape: ['n', WINDOW_FRAMES, BANDS] }], outputs: [{ name: 'score', type: 'float32', shape: ['n'] }] },
    memoryMB: 60, timeoutMs: 2_000, prove: 'each', knownAnswers: known,
    options: { word: options.word, threshold: measured.threshold, graph: GRAPH },
    measured: { ...measured, backend, epochs: trained.epochs, counts: sets.counts, limits },
  }
  return { draft, measured, backend, tried, remarks: sets.remarks, counts: sets.counts, similar: sets.similar, epochs: trained.epochs, validationLoss: trained.validationLoss, seconds: (performance.now() - startedMs) / 1000 }
}

async function knownAnswers(sets: Sets, folder: string, score: (file: string) => Promise<number>): Promise<{ input: { file: string }; output: { score: number } }[]> {
  const written: { file: string; score: number }[] = []
  const write = async (samples: Int16Array) => {
    const file = `known-${written.length}.wav`
    await writeFile(join(folder, file), encodeWav(samples, { sampleRateHz: RATE_HZ }))
    written.push({ file, score: await score(file) })
  }
  for (const { samples, part } of sets.plain.filter(({ human }) => !human).slice(0, KNOWN_LOOKED_AT)) {
    // The window ends a tenth of a second after the word.
    const window = new Float32Array(WINDOW_SAMPLES)
    const piece = samples.subarray(Math.max(0, part!.to + 1_600 - WINDOW_SAMPLES), Math.min(samples.length, part!.to + 1_600))
    window.set(piece, WINDOW_SAMPLES - piece.length)
    await write(toInt16(window))
  }
  const words = [...written]
  await write(Int16Array.from({ length: WINDOW_SAMPLES }, (_, i) => Math.round(3_000 * Math.sin(2 * Math.PI * 440 * i / RATE_HZ))))
  const tone = written.at(-1)!
  const sensitive = words.reduce((best, one) => Math.abs(one.score - 0.7) < Math.abs(best.score - 0.7) ? one : best)
  const clear = words.reduce((best, one) => one.score > best.score ? one : best)
  return [...new Set([sensitive, clear, tone])].map(({ file, score: value }) => ({ input: { file }, output: { score: value } }))
}
