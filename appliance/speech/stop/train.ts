import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { mulberry32 } from '../../contracts/random.ts'
import { openBackend } from '../../inference/learn/backend.ts'
import { toOnnx } from '../../inference/learn/keyword-net.ts'
import { trainWord } from '../../inference/learn/train-word.ts'
import { gatherSounds, makeExamples, SIZES } from './examples.ts'
import { STOP_HEAD } from './spotter.ts'

/**
 * Trains the head of the stop word and writes it as ONNX; the same seed on the same voices and folders gives the same head.
 * node appliance/speech/stop/train.ts [--out FILE] [--people DIR] [--other DIR] [--seed N] [--epochs N] [--tiny]
 */
const { values } = parseArgs({
  options: {
    out: { type: 'string', default: STOP_HEAD },
    people: { type: 'string' },
    other: { type: 'string' },
    seed: { type: 'string', default: '1' },
    epochs: { type: 'string', default: '24' },
    tiny: { type: 'boolean', default: false },
  },
})
/** Of 64 windows each. */
const BATCHES = 90
/** Each window of other speech is scored after every epoch: a third of them tells as much. */
const VALIDATE_EACH = 3

const tell = (text: string) => { process.stderr.write(`${text}\n`) }
const seed = Number(values.seed)
const size = SIZES[values.tiny ? 'tiny' : 'full']
const sounds = await gatherSounds({ seed, isTiny: values.tiny, ...values.people === undefined ? {} : { peopleDir: values.people }, ...values.other === undefined ? {} : { otherDir: values.other } }, tell)
const random = mulberry32(seed)
tell(`changing ${sounds.train.length + sounds.validate.length} sounds: rooms, noise, gains, the box's own voice`)
const train = makeExamples(sounds.train, sounds.own, random, size)
const validate = makeExamples(sounds.validate, sounds.validateOwn, random, { ...size, copies: 1 })
validate.others = validate.others.filter((_, index) => index % VALIDATE_EACH === 0)
const { tf, backend } = await openBackend()
tell(`training with ${backend} on ${train.words.length} examples of the word and ${train.others.length} others`)
const { weights, bestEpoch } = await trainWord(tf, { train, validate }, {
  epochs: Number(values.epochs), batches: values.tiny ? 4 : BATCHES, seed, keeps: 'least loss',
  onEpoch: ({ epoch, loss, validationLoss }) => tell(`epoch ${epoch}: loss ${loss.toFixed(4)}, on other voices ${validationLoss.toFixed(4)}`),
})
const bytes = toOnnx(weights, 'stop')
await writeFile(values.out, bytes)
tell(`${values.out}: ${bytes.length} bytes, epoch ${bestEpoch}; STOP_HEAD_SHA256 of spotter.ts must be`)
process.stdout.write(`${createHash('sha256').update(bytes).digest('hex')}\n`)
// The backend's threads would keep the process.
process.exit(0)
