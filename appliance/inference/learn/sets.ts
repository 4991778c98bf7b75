import { availableParallelism } from 'node:os'
import { MtorError } from '../../contracts/errors.ts'
import { mulberry32 } from '../../contracts/random.ts'
import { pick, toFloat, type Random } from './augment.ts'
import { clipOf, example, noiseClip, scrambled, wordPart, type Clip, type RawSound } from './clips.ts'
import { RATE_HZ } from './features.ts'
import { installedTalk, talkOf, wavFiles, WordFinder, type Recording } from './recordings.ts'
import { findVoices, inParallel, speakAs, type SetName, type Speaker } from './voices.ts'
import { COMMON, SENTENCES, similarWords, vocabulary } from './words.ts'

export interface SetOptions {
  word: string
  /** Folder of recordings of the word. */
  from?: string
  /** Those in `from` are all of one person (recorded just now). */
  onePerson?: boolean
  /** Folder of other speech of the place it is for. */
  other?: string
  /** How many synthesised examples of the word to train on. */
  examples: number
  seed: number
  quick: boolean
  /** Fewer still: for tests of the way, not of how well it is learned. */
  tiny?: boolean
}
export interface Examples { words: Clip[]; others: Clip[] }
/** A sound of the word that was not changed, for known answers. */
export interface Sets { train: Examples; validate: Examples; test: Examples; plain: RawSound[]; remarks: string[]; similar: string[]; counts: Record<string, number> }

/** How many of each, for a full run and a quick one; what is synthesised takes 15 ms each. */
const SIZES = {
  full: { copies: 4, similarWords: 40, similarSaid: 320, common: 60, sentences: 130, rows: 420, validateWords: 80, validateSimilar: 110, validateSentences: 30, validateRows: 60, testWords: 100, testSimilar: 120, testSentences: 220, noiseS: 90 },
  tiny: { copies: 2, similarWords: 6, similarSaid: 10, common: 8, sentences: 4, rows: 4, validateWords: 10, validateSimilar: 6, validateSentences: 2, validateRows: 2, testWords: 10, testSimilar: 6, testSentences: 4, noiseS: 5 },
  quick: { copies: 2, similarWords: 16, similarSaid: 60, common: 20, sentences: 16, rows: 24, validateWords: 24, validateSimilar: 24, validateSentences: 8, validateRows: 10, testWords: 30, testSimilar: 24, testSentences: 20, noiseS: 20 },
}
const MAX_WORD_S = 1.3

/** Gathers everything there is to learn from, and divides it so that nobody's voice is in two sets. */
export async function gather(options: SetOptions, progress: (message: string) => void): Promise<Sets> {
  const size = SIZES[options.tiny ? 'tiny' : options.quick ? 'quick' : 'full']
  const random = mulberry32(options.seed)
  const voices = await findVoices()
  const similar = await similarWords(options.word, size.similarWords)
  const half = SENTENCES.length / 2
  const talkTexts = { train: SENTENCES.slice(0, half), validate: SENTENCES.slice(0, half), test: SENTENCES.slice(half) }
  const raw: Record<SetName, RawSound[]> = { train: [], validate: [], test: [] }
  // First: recordings that cannot be used are told before minutes are spent.
  const remarks = await addPeople(options, raw, progress)
  const jobs: { set: SetName; kind: RawSound['kind']; text: string; speaker: Speaker }[] = []
  const add = (set: SetName, kind: RawSound['kind'], texts: readonly string[], count: number) => {
    // In turn, so that all voices and all texts come up evenly.
    for (let i = 0; i < count; i++) jobs.push({ set, kind, text: texts[i % texts.length]!, speaker: voices[set].length > 0 ? speakerOf(voices[set], i, random) : pick(random, voices.train) })
  }
  add('train', 'word', [options.word], options.examples)
  add('validate', 'word', [options.word], size.validateWords)
  add('test', 'word', [options.word], size.testWords)
  add('train', 'similar', similar, size.similarSaid)
  add('train', 'similar', COMMON.filter((word) => !options.word.split(' ').includes(word)), size.common)
  add('validate', 'similar', similar, size.validateSimilar)
  add('test', 'similar', similar, size.testSimilar)
  for (const [set, count] of [['train', size.sentences], ['validate', size.validateSentences], ['test', size.testSentences]] as const) add(set, 'talk', talkTexts[set].filter((text) => !mentions(text, options.word)), count)
  // Rows of any words: sentences alone have few of the sounds there are.
  const words = (await vocabulary()).filter((word) => !word.includes(options.word) && !options.word.includes(word))
  const row = () => Array.from({ length: 6 }, () => pick(random, words)).join(' ')
  add('train', 'talk', Array.from({ length: size.rows }, row), size.rows)
  add('validate', 'talk', Array.from({ length: size.validateRows }, row), size.validateRows)
  let said = 0
  const sounds = await inParallel(jobs, Math.max(2, availableParallelism()), async ({ kind, text, speaker }, index): Promise<RawSound> => {
    const manner = mulberry32(options.seed * 7919 + index)
    const samples = toFloat(await speakAs(text, speaker, { speed: 0.75 + 0.55 * manner(), pitch: manner(), accent: Math.floor(manner() * 8) }))
    const part = wordPart(samples)
    if (++said % 100 === 0) progress(`synthesised ${said} of ${jobs.length}`)
    return { kind, source: `${speaker.engine}:${speaker.voice} “${text}”`, human: false, samples, ...kind === 'word' ? { part } : {} }
  })
  // In the order of the jobs, not of their ends: the same seed then gives the same examples.
  for (const [index, sound] of sounds.entries()) raw[jobs[index]!.set].push(sound)
  const lengths = raw.train.filter((s) => s.part).map((s) => (s.part!.to - s.part!.from) / RATE_HZ).sort((a, b) => a - b)
  const usualS = lengths[lengths.length >> 1] ?? 0
  if (usualS > MAX_WORD_S) throw new MtorError('USAGE', `“${options.word}” takes about ${usualS.toFixed(1)} s to say; what is learned is at most ${MAX_WORD_S} s long`, { hint: 'Take a shorter word.' })
  return build(raw, size, random, similar, remarks, progress)
}

const mentions = (text: string, word: string) => text.toLowerCase().includes(word.toLowerCase())
/** A person's voice once for three of a formant synthesiser: there are few people, and they sound more like people. */
const speakerOf = (speakers: readonly Speaker[], index: number, random: Random): Speaker => {
  const people = speakers.filter(({ engine }) => engine === 'flite')
  return people.length > 0 && index % 4 === 3 ? pick(random, people) : speakers[index % speakers.length]!
}

/** Recordings: six in ten people train, 15 % validate, a quarter tests. */
async function addPeople(options: SetOptions, raw: Record<SetName, RawSound[]>, progress: (message: string) => void): Promise<string[]> {
  const remarks: string[] = []
  const setFor = (order: number): SetName => [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 14, 16].includes(order % 20) ? 'train' : [3, 11, 17].includes(order % 20) ? 'validate' : 'test'
  const divide = (recordings: readonly Recording[]) => {
    const people = [...new Set(recordings.map(({ person }) => person))]
    return recordings.map((recording) => ({ recording, set: setFor(people.indexOf(recording.person)) }))
  }
  if (options.from === undefined) remarks.push('learned from synthesised voices only, and measured on them: it will miss people far more often; record some (--record, --from)')
  else {
    const finder = await WordFinder.open()
    try {
      let used = 0
      const files = await wavFiles(options.from)
      for (const { recording, set } of divide(files)) {
        const found = await finder.find(recording)
        if (typeof found === 'string') remarks.push(`left out: ${found}`)
        else { raw[set].push(found); used++ }
      }
      progress(`${used} of ${files.length} recordings hold the word`)
      if (used === 0) throw new MtorError('AUDIO_INVALID', `none of the ${files.length} recordings in ${options.from} can be used: ${remarks[0]?.replace('left out: ', '')}`)
      if (options.onePerson) remarks.push('the recordings are of one person: training, validation and test share that voice')
    } finally { await finder.close() }
  }
  const { prompts, readers } = await installedTalk(options.word)
  for (const recording of readers) raw.train.push(await talkOf(recording, 'people'))
  const limit = options.tiny ? 5 : options.quick ? 60 : prompts.length
  // Of the one voice of people that is on every machine, nothing is trained on: a third chooses the threshold, the rest tests.
  for (const [index, recording] of prompts.slice(0, limit).entries()) raw[index % 3 === 0 ? 'validate' : 'test'].push(await talkOf(recording, 'prompts'))
  if (prompts.length === 0) remarks.push('no recorded talk to test on (Debian: asterisk-core-sounds-en-wav): false accepts were counted on synthesised talk only')
  if (options.other !== undefined) for (const { recording, set } of divide(await wavFiles(options.other))) raw[set].push(await talkOf(recording, 'people'))
  return remarks
}

function build(raw: Record<SetName, RawSound[]>, size: (typeof SIZES)['full'], random: Random, similar: string[], remarks: string[], progress: (message: string) => void): Sets {
  const talk = raw.train.filter(({ kind }) => kind === 'talk' || kind === 'people').map(({ samples }) => samples)
  const make = (set: SetName, copies: (sound: RawSound) => number, strength: number): Examples => {
    const words: Clip[] = [], others: Clip[] = []
    for (const sound of raw[set]) {
      for (let copy = copies(sound); copy > 0; copy--) (sound.part ? words : others).push(example(sound, random, talk, strength))
      // The same voice and microphone, and not the word: else what tells people from synthesisers would pass for the word.
      if (sound.part) for (let copy = sound.human ? 4 : 1; copy > 0; copy--) others.push(example(scrambled(sound, random), random, talk, strength))
    }
    others.push(noiseClip(size.noiseS, random))
    return { words, others }
  }
  progress('changing examples: rooms, noise, narrow bands')
  const train = make('train', (sound) => sound.part ? size.copies * (sound.human ? 3 : 1) : sound.human ? 3 : 2, 1)
  const validate = make('validate', (sound) => sound.part && sound.human ? 3 : 1, 0.5)
  // The test hears recordings as they are, and synthesised examples with a little noise and room.
  const test: Examples = { words: [], others: [noiseClip(size.noiseS, random)] }
  for (const sound of raw.test) {
    if (sound.part) test.words.push(sound.human ? asRecorded(sound) : example(sound, random, [], 0.5))
    else test.others.push(sound.human ? clipOf(sound, sound.samples) : example(sound, random, [], 0.5))
  }
  const counts: Record<string, number> = {}
  for (const [set, sounds] of Object.entries(raw)) for (const { kind, human } of sounds) { const key = `${set}: ${kind}${human ? ', people' : ''}`; counts[key] = (counts[key] ?? 0) + 1 }
  return { train, validate, test, plain: raw.test.filter(({ part }) => part !== undefined), remarks, similar, counts }
}

/** A recording of the word with silence around it, so that a whole window fits before and behind. */
function asRecorded(sound: RawSound): Clip {
  const lead = RATE_HZ, tail = RATE_HZ / 2
  const all = new Float32Array(lead + sound.samples.length + tail)
  all.set(sound.samples, lead)
  return clipOf(sound, all, { from: sound.part!.from + lead, to: sound.part!.to + lead })
}
