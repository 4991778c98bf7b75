import type { Scalar, Tensor1D, Tensor3D } from '@tensorflow/tfjs-core'
import { MtorError } from '../../contracts/errors.ts'
import { mulberry32 } from '../../contracts/random.ts'
import { pick, type Random } from './augment.ts'
import type { Tf } from './backend.ts'
import { partWindow, wordWindows, type Clip } from './clips.ts'
import { BANDS, normaliseWindow, WINDOW_FRAMES } from './features.ts'
import { initialWeights, KeywordNet, type KeywordWeights } from './keyword-net.ts'
import type { Examples } from './sets.ts'
import { STEP_FRAMES } from './spotter.ts'

const WINDOW = WINDOW_FRAMES * BANDS
const BATCH = 64
const WORDS_IN_BATCH = 24
/** Of the others in a batch, how many are taken from those that were mistaken for the word most. */
const HARD_IN_BATCH = 16
const HARD_KEPT = 300
const HARD_LOOKED_AT = 6_000
const RATE = 1.5e-3
const LAST_RATE = 1e-4
const DROP = 0.2
/** Epochs without a better validation before it ends. */
const PATIENCE = 12
/** How much of the running mean of the weights is kept at each batch; the mean is what is validated and kept. */
const MEAN_KEPT = 0.985

export interface TrainOptions { epochs: number; batches: number; seed: number; onEpoch(epoch: { epoch: number; loss: number; validationLoss: number }): void; /** Which epoch is kept: the one that misses least at thresholds that let few pass (left out), or that of the least loss, for a word that is to be heard at a low threshold. */ keeps?: 'least loss'; signal?: AbortSignal }
export interface Trained { weights: KeywordWeights; epochs: number; bestEpoch: number; loss: number; validationLoss: number }

interface Spot { clip: Clip; start: number }

/**
 * Trains the head: batches of windows with the word, windows of other sounds (some of them those it took for the word
 * before), and windows with only a part of the word. The weights of the epoch are kept that misses the word least, on voices
 * it does not train on, at thresholds that let few other windows pass.
 */
export async function trainWord(tf: Tf, sets: { train: Examples; validate: Examples }, options: TrainOptions): Promise<Trained> {
  const random = mulberry32(options.seed)
  const net = new KeywordNet(tf, initialWeights(options.seed))
  const checks = validationWindows(sets.validate)
  let hard: Spot[] = []
  let best: Trained | undefined
  let bestCost = Infinity
  const optimizer = tf.train.adam(RATE)
  const mean = new KeywordNet(tf, initialWeights(options.seed))
  let steps = 0
  try {
    for (let epoch = 1; epoch <= options.epochs; epoch++) {
      options.signal?.throwIfAborted()
      // Half a cosine from the first rate to the last. @see Loshchilov & Hutter, SGDR, ICLR 2017
      ;(optimizer as unknown as { learningRate: number }).learningRate = LAST_RATE + (RATE - LAST_RATE) * (1 + Math.cos(Math.PI * (epoch - 1) / options.epochs)) / 2
      let loss = 0
      for (let batch = 0; batch < options.batches; batch++) {
        loss += await step(tf, net, optimizer, sets.train, hard, random)
        // Little of the beginning stays in the mean. @see B. Polyak, A. Juditsky, SIAM J. Control Optim. 30, 1992
        mean.approach(net, Math.min(MEAN_KEPT, steps / (steps + 10)))
        steps++
      }
      loss /= options.batches
      const scores = await scoreSpots(tf, mean, checks.spots)
      const validationLoss = balancedLoss(checks.labels, scores)
      options.onEpoch({ epoch, loss, validationLoss })
      const cost = options.keeps === 'least loss' ? validationLoss : missedAmongFew(checks.labels, scores) + LOSS_COUNTS * validationLoss
      if (cost < bestCost) { bestCost = cost; best = { weights: mean.weights(), epochs: epoch, bestEpoch: epoch, loss, validationLoss } }
      if (!best) throw new MtorError('LEARN_FAILED', `training came to nothing: its loss is ${loss} after ${epoch} epochs`)
      best.epochs = epoch
      if (epoch - best.bestEpoch >= PATIENCE) break
      const looked = Array.from({ length: HARD_LOOKED_AT }, () => anywhere(pick(random, sets.train.others), random)).concat(hard)
      const found = await scoreSpots(tf, mean, looked)
      hard = looked.map((spot, i) => ({ spot, score: found[i]! })).sort((a, b) => b.score - a.score).slice(0, HARD_KEPT).map(({ spot }) => spot)
    }
    return best!
  } finally {
    net.close()
    mean.close()
    optimizer.dispose()
  }
}

const anywhere = (clip: Clip, random: Random): Spot => ({ clip, start: Math.floor(random() * (clip.frames - WINDOW_FRAMES + 1)) })

async function step(tf: Tf, net: KeywordNet, optimizer: import('@tensorflow/tfjs-core').Optimizer, train: Examples, hard: readonly Spot[], random: Random): Promise<number> {
  const data = new Float32Array(BATCH * WINDOW)
  const labels = new Float32Array(BATCH)
  for (let i = 0; i < BATCH; i++) {
    let spot: Spot
    if (i < WORDS_IN_BATCH) {
      const clip = pick(random, train.words)
      const { first, last } = wordWindows(clip)
      spot = { clip, start: first + Math.floor(random() * (last - first + 1)) }
      labels[i] = 1
    } else if (i < WORDS_IN_BATCH + HARD_IN_BATCH && hard.length > 0) spot = pick(random, hard)
    else {
      const clip = random() < 0.2 ? pick(random, train.words) : undefined
      const start = clip && partWindow(clip, random)
      spot = clip && start !== undefined ? { clip, start } : anywhere(pick(random, train.others), random)
    }
    normaliseWindow(spot.clip.bands, spot.start, data, i * WINDOW)
    hide(data, i * WINDOW, random)
  }
  const dropSeed = 1 + Math.floor(2 ** 31 * random())
  const cost = tf.tidy(() => optimizer.minimize(() => {
    const logits = net.forward(tf.tensor3d(data, [BATCH, WINDOW_FRAMES, BANDS]), DROP, dropSeed)
    return tf.losses.sigmoidCrossEntropy(tf.tensor1d(labels), logits as Tensor1D) as Scalar
  }, true, net.variables)!)
  const [value] = await cost.data()
  cost.dispose()
  return value!
}

/** Some bands or some frames are left out, so that no single one decides. @see D. Park et al., SpecAugment, Interspeech 2019 */
function hide(data: Float32Array, at: number, random: Random): void {
  if (random() < 0.4) {
    const from = Math.floor(random() * (BANDS - 6)), count = 1 + Math.floor(random() * 6)
    for (let frame = 0; frame < WINDOW_FRAMES; frame++) data.fill(0, at + frame * BANDS + from, at + frame * BANDS + from + count)
  }
  if (random() < 0.3) {
    const from = Math.floor(random() * (WINDOW_FRAMES - 8)), count = 1 + Math.floor(random() * 8)
    data.fill(0, at + from * BANDS, at + (from + count) * BANDS)
  }
}

/** Probabilities of windows, in their order. */
async function scoreSpots(tf: Tf, net: KeywordNet, spots: readonly Spot[]): Promise<Float32Array> {
  const out = new Float32Array(spots.length)
  const block = 128
  for (let at = 0; at < spots.length; at += block) {
    const count = Math.min(block, spots.length - at)
    const data = new Float32Array(count * WINDOW)
    for (let i = 0; i < count; i++) normaliseWindow(spots[at + i]!.clip.bands, spots[at + i]!.start, data, i * WINDOW)
    const scores = tf.tidy(() => tf.sigmoid(net.forward(tf.tensor3d(data, [count, WINDOW_FRAMES, BANDS]) as Tensor3D)))
    out.set(await scores.data<'float32'>(), at)
    scores.dispose()
  }
  return out
}

function validationWindows({ words, others }: Examples): { spots: Spot[]; labels: number[] } {
  const spots: Spot[] = [], labels: number[] = []
  for (const clip of words) {
    const { first, last } = wordWindows(clip)
    for (const part of [0.2, 0.5, 0.8]) { spots.push({ clip, start: Math.round(first + part * (last - first)) }); labels.push(1) }
  }
  for (const clip of others) for (let start = 0; start + WINDOW_FRAMES <= clip.frames; start += STEP_FRAMES) { spots.push({ clip, start }); labels.push(0) }
  return { spots, labels }
}

/** Parts of the other windows that may pass: some 20, 10 and 3 an hour. */
const PASSING = [5e-4, 3e-4, 1e-4]
/** The loss decides between epochs that miss about the same. */
const LOSS_COUNTS = 0.1

/** Part of the words that is missed at thresholds that hardly any other window reaches. Each word has three windows; the best counts. */
function missedAmongFew(labels: readonly number[], scores: Float32Array): number {
  const others = scores.filter((_, i) => labels[i] === 0).sort()
  const words: number[] = []
  for (let i = 0; i < labels.length && labels[i] === 1; i += 3) words.push(Math.max(scores[i]!, scores[i + 1]!, scores[i + 2]!))
  if (others.length === 0 || words.length === 0) return 0
  const missed = PASSING.map((part) => { const threshold = others[Math.max(0, others.length - 1 - Math.round(part * others.length))]!; return words.filter((score) => score <= threshold).length / words.length })
  return missed.reduce((sum, value) => sum + value, 0) / missed.length
}

/** Mean logarithmic loss of the two classes. */
function balancedLoss(labels: readonly number[], scores: Float32Array): number {
  const sums = [0, 0], counts = [0, 0]
  for (const [i, label] of labels.entries()) {
    const score = Math.min(1 - 1e-6, Math.max(1e-6, scores[i]!))
    sums[label]! -= Math.log(label === 1 ? score : 1 - score)
    counts[label]!++
  }
  return (sums[0]! / Math.max(1, counts[0]!) + sums[1]! / Math.max(1, counts[1]!)) / 2
}
