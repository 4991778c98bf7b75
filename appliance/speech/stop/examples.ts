import { availableParallelism } from 'node:os'
import { mulberry32 } from '../../contracts/random.ts'
import { augment, noise, pick, resampled, rms, toFloat, type Random } from '../../inference/learn/augment.ts'
import { clipOf, noiseClip, scrambled, wordPart, type Clip, type RawSound } from '../../inference/learn/clips.ts'
import { RATE_HZ } from '../../inference/learn/features.ts'
import { installedTalk, talkOf, wavFiles, WordFinder } from '../../inference/learn/recordings.ts'
import type { Examples } from '../../inference/learn/sets.ts'
import { findVoices, inParallel, speakAs, type SetName, type Speaker } from '../../inference/learn/voices.ts'
import { COMMON, SENTENCES, similarWords, vocabulary } from '../../inference/learn/words.ts'

/** What the head of the stop word learns from. Everything is synthesised here but the two folders. */
export interface ExampleOptions {
  seed: number
  /** Fewer of everything: for tests of the way, not of how well it is learned. */
  isTiny?: boolean
  /** Folder of recordings of people who say "stop". */
  peopleDir?: string
  /** Folder of recordings of people who say something else. */
  otherDir?: string
}

/** The word alone, and as people call it out. In each phrase it is the first or the last word, so that its place is known. */
const ENDING = ['computer stop', 'please stop', 'oh no stop', 'hey stop', 'stop stop', 'no no stop', 'emergency stop', 'rover stop']
const BEGINNING = ['stop now', 'stop it', 'stop moving', 'stop please', 'stop right there', 'stop the rover']
/** Length of the word inside a phrase, about. */
const IN_PHRASE_S = 0.45
/** Words a listener could take for it. Forms of the word itself (stops, stopped, stopping) are on neither side: nobody needs them to be silent. */
const NEAR = ['start', 'star', 'top', 'step', 'shop', 'spot', 'stock', 'stuck', 'stand', 'story', 'drop', 'pop', 'chop', 'crop', 'strap', 'strip', 'stamp', 'stomp', 'stoop', 'steep', 'stab', 'staff', 'stalk', 'store', 'stay', 'still', 'stone', 'hop', 'mop', 'lot', 'stubborn', 'stack', 'stick', 'state', 'sob', 'sop', 'soap', 'swap', 'slop', 'scope', 'start up', 'smart', 'two', 'front', 'ten', 'set', 'status', 'test']
/** What the box itself says, in its own voice: it must not stop for it. */
export const OWN_SENTENCES = [
  'Moved two metres forward.', 'Ready.', 'I did not understand that.', 'Say confirm to arm the drive.', 'The battery is at eighty percent.', 'Turned ninety degrees to the left.', 'I see a person in the middle.',
  'Set the mode to normal.', 'Nothing to cancel.', 'Did you mean drive forward?', 'That is out of range.', 'It is ten past four.', 'How far should I drive?', 'The lights are on.', 'The device does not answer.',
  'Reminder: charge the second battery before we leave.', 'The mode is safe, so nothing moves.', 'Cancelled.', 'I am driving to the north gate now.', 'The temperature is twenty one degrees.', 'Sorry, that took too long.', 'Which umbrella, purple or yellow?',
]
const OWN_VOICES: Speaker[] = [{ engine: 'flite', voice: 'rms' }, { engine: 'flite', voice: 'slt' }, { engine: 'espeak-ng', voice: 'm3' }]

export const SIZES = {
  full: { words: 900, phrases: 420, near: 700, common: 160, sentences: 200, rows: 420, validateWords: 160, validateNear: 150, validateTalk: 160, copies: 2, noiseS: 100 },
  tiny: { words: 12, phrases: 8, near: 12, common: 6, sentences: 4, rows: 4, validateWords: 8, validateNear: 8, validateTalk: 4, copies: 2, noiseS: 5 },
}

export interface RawSets { train: RawSound[]; validate: RawSound[]; own: Float32Array[]; validateOwn: Float32Array[] }

/** Gathers the sounds as they were said. No voice is in both sets. */
export async function gatherSounds({ seed, isTiny = false, peopleDir, otherDir }: ExampleOptions, progress: (text: string) => void): Promise<RawSets> {
  const size = SIZES[isTiny ? 'tiny' : 'full']
  const random = mulberry32(seed)
  const voices = await findVoices()
  const speakers = { train: [...voices.train, ...voices.test], validate: voices.validate.length > 0 ? voices.validate : voices.train }
  const jobs: { set: Exclude<SetName, 'test'>; kind: RawSound['kind']; text: string; speaker: Speaker; isOwn?: boolean }[] = []
  const add = (set: 'train' | 'validate', kind: RawSound['kind'], texts: readonly string[], count: number) => {
    for (let i = 0; i < count; i++) jobs.push({ set, kind, text: texts[i % texts.length]!, speaker: speakerOf(speakers[set], i, random) })
  }
  const near = [...new Set([...NEAR, ...await similarWords('stop', isTiny ? 4 : 40)])].filter((word) => !word.startsWith('stop'))
  const common = COMMON.filter((word) => word !== 'stop')
  const words = (await vocabulary()).filter((word) => !word.includes('stop'))
  const rows = Array.from({ length: size.rows }, () => Array.from({ length: 6 }, () => pick(random, words)).join(' '))
  const sentences = SENTENCES.filter((text) => !/stop/i.test(text))
  add('train', 'word', ['stop', 'stop!'], size.words)
  add('train', 'word', [...ENDING, ...BEGINNING], size.phrases)
  add('train', 'similar', near, size.near)
  add('train', 'similar', common, size.common)
  add('train', 'talk', sentences.slice(0, sentences.length / 2), size.sentences)
  add('train', 'talk', rows, size.rows)
  add('validate', 'word', ['stop', 'stop', ...ENDING, ...BEGINNING], size.validateWords)
  add('validate', 'similar', near, size.validateNear)
  add('validate', 'talk', sentences.slice(sentences.length / 2), size.validateTalk)
  for (const [index, text] of OWN_SENTENCES.slice(0, isTiny ? 4 : undefined).entries()) {
    for (const speaker of OWN_VOICES) jobs.push({ set: index % 5 === 4 ? 'validate' : 'train', kind: 'talk', text, speaker, isOwn: true })
  }
  let said = 0
  const sounds = await inParallel(jobs, Math.max(2, availableParallelism()), async ({ kind, text, speaker, isOwn }, index): Promise<RawSound> => {
    const manner = mulberry32(seed * 7919 + index)
    const samples = toFloat(await speakAs(text, speaker, isOwn ? { speed: 1, pitch: 0.5, accent: 0 } : { speed: 0.65 + 0.65 * manner(), pitch: manner(), accent: Math.floor(manner() * 8) }))
    if (++said % 500 === 0) progress(`synthesised ${said} of ${jobs.length}`)
    return { kind, source: `${speaker.engine}:${speaker.voice} “${text}”`, human: false, samples, ...kind === 'word' ? { part: placeOf(text, samples) } : {} }
  })
  const sets: RawSets = { train: [], validate: [], own: [], validateOwn: [] }
  for (const [index, sound] of sounds.entries()) {
    const { set, isOwn } = jobs[index]!
    sets[set].push(sound)
    if (isOwn) (set === 'train' ? sets.own : sets.validateOwn).push(sound.samples)
  }
  const { readers } = await installedTalk('stop')
  for (const recording of readers) sets.train.push(await talkOf(recording, 'people'))
  await addPeople(sets, peopleDir, otherDir, progress)
  return sets
}

/** Where the word is: all of it, or the end or beginning of a phrase. */
function placeOf(text: string, samples: Float32Array): { from: number; to: number } {
  const whole = wordPart(samples)
  if (!text.includes(' ')) return whole
  const length = Math.min(whole.to - whole.from, IN_PHRASE_S * RATE_HZ)
  return ENDING.includes(text) ? { from: whole.to - length, to: whole.to } : { from: whole.from, to: whole.from + length }
}

export async function addPeople(sets: RawSets, peopleDir: string | undefined, otherDir: string | undefined, progress: (text: string) => void): Promise<void> {
  if (peopleDir !== undefined) {
    const finder = await WordFinder.open()
    try {
      for (const [index, recording] of (await wavFiles(peopleDir)).entries()) {
        const found = await finder.find(recording)
        if (typeof found === 'string') progress(`left out: ${found}`)
        else sets[index % 7 === 6 ? 'validate' : 'train'].push(found)
      }
    } finally { await finder.close() }
  }
  if (otherDir !== undefined) for (const [index, recording] of (await wavFiles(otherDir)).entries()) sets[index % 7 === 6 ? 'validate' : 'train'].push(await talkOf(recording, 'people'))
}

/** A person's voice once for three of a formant synthesiser: there are few people, and they sound more like people. */
const speakerOf = (speakers: readonly Speaker[], index: number, random: Random): Speaker => {
  const people = speakers.filter(({ engine }) => engine === 'flite')
  return people.length > 0 && index % 4 === 3 ? pick(random, people) : speakers[index % speakers.length]!
}

const LEAD_S = 1.05
const TAIL_S = 0.45
const MARGIN = 0.04 * RATE_HZ

/** The sounds as microphones bring them: [`strength` 1] for training. */
export function makeExamples(sounds: readonly RawSound[], own: readonly Float32Array[], random: Random, size: { copies: number; noiseS: number }): Examples {
  const talk = sounds.filter(({ kind }) => kind === 'talk' || kind === 'people').map(({ samples }) => samples)
  const words: Clip[] = [], others: Clip[] = []
  for (const sound of sounds) {
    const copies = sound.part ? size.copies * (sound.human ? 8 : 1) : sound.human ? 4 : 2
    for (let copy = 0; copy < copies; copy++) (sound.part ? words : others).push(changed(sound, random, talk, own))
    // The same voice and microphone, and not the word: else what tells people from synthesisers would pass for the word.
    if (sound.part) for (let copy = sound.human ? 10 : 1; copy > 0; copy--) others.push(changed(scrambled(sound, random), random, talk, own))
  }
  others.push(noiseClip(size.noiseS, random))
  for (let i = 0; i < size.noiseS / 4; i++) {
    const samples = noise(2 * RATE_HZ, random)
    for (let k = 0; k < samples.length; k++) samples[k]! *= 0.05
    others.push(clipOf({ kind: 'noise', source: 'noise', human: false }, atGain(samples, 45 * random())))
  }
  return { words, others }
}



/** Another throat, room, microphone, noise; the box's own voice beneath; and a gain at which it may clip. */
function changed(raw: RawSound, random: Random, talk: readonly Float32Array[], own: readonly Float32Array[]): Clip {
  const factor = 1 + 0.2 * (2 * random() - 1)
  const samples = resampled(raw.samples, factor)
  const part = raw.part && { from: Math.floor(raw.part.from / factor), to: Math.min(samples.length, Math.floor(raw.part.to / factor)) }
  let all = samples
  let place = part
  if (part) {
    // In front of a word that ends a phrase the phrase stays; so does what a recording has around it.
    const before = Math.round(LEAD_S * RATE_HZ), after = Math.round(TAIL_S * RATE_HZ)
    const first = random() < 0.3 ? Math.max(0, part.from - MARGIN) : Math.max(0, part.from - before)
    const last = Math.min(samples.length, random() < 0.3 ? part.to + MARGIN : part.to + after)
    all = new Float32Array(before + part.to - part.from + after)
    const shift = before - part.from
    const level = rms(samples.subarray(part.from, part.to))
    if (talk.length > 0 && random() < 0.25) lay(all, 0, Math.max(0, first + shift - Math.round(random() * 0.2 * RATE_HZ)), pick(random, talk), level, random)
    all.set(samples.subarray(first, last), first + shift)
    place = { from: before, to: before + part.to - part.from }
  }
  // What is driven far over full scale can only be made out where the noise beneath it is not driven there too.
  const isDriven = random() < 0.4
  const heard = augment(all, { random, babble: talk, strength: isDriven ? 0.4 : 1 })
  if (own.length > 0 && random() < 0.35) {
    const level = rms(place ? heard.subarray(place.from, place.to) : heard)
    lay(heard, 0, heard.length, pick(random, own), level * 10 ** ((2 - 14 * random()) / 20), random)
  }
  return clipOf(raw, atGain(heard, isDriven ? -8 + 30 * random() - 20 * Math.log10(rms(place ? heard.subarray(place.from, place.to) : heard) || 1) : random() < 0.3 ? -30 * random() : 0), place)
}

/** As 16 bits of a converter hold it: cut off at full scale, or so quiet that few bits are left. */
function atGain(samples: Float32Array, gainDb: number): Float32Array {
  const gain = 10 ** (gainDb / 20)
  return samples.map((s) => Math.max(-32768, Math.min(32767, Math.round(32768 * gain * s))) / 32768)
}

/** Adds some of `sound` at the level `level`. */
function lay(all: Float32Array, from: number, to: number, sound: Float32Array, level: number, random: Random): void {
  const start = Math.floor(random() * Math.max(1, sound.length - (to - from)))
  const gain = level / (rms(sound) || 1)
  for (let i = from; i < to && start + i - from < sound.length; i++) all[i]! += gain * sound[start + i - from]!
}
