import test from 'ava'
import { ActivityTrack } from './activity-track.ts'
import type { Word } from './engine.ts'
import { doubtOf, uncovered, type FirstReading } from './second-reading.ts'
import { FRAME_SAMPLES, SAMPLE_RATE_HZ } from './vad.ts'

const LENGTH_S = 3
const word = (text: string, startS: number, endS: number, confidence = 1): Word => ({ word: text, startS, endS, confidence })

/** Three seconds of silence with tones where somebody speaks. */
function sound(...spoken: [startS: number, endS: number, level?: number][]) {
  const samples = new Int16Array(LENGTH_S * SAMPLE_RATE_HZ)
  for (const [startS, endS, level = 8_000] of spoken) {
    for (let i = Math.round(startS * SAMPLE_RATE_HZ); i < endS * SAMPLE_RATE_HZ; i++) samples[i] = level * Math.sin(i / 8)
  }
  const activity = new ActivityTrack(samples.length / FRAME_SAMPLES + 1)
  for (let at = 0; at < samples.length; at += FRAME_SAMPLES) activity.push(samples.subarray(at, at + FRAME_SAMPLES).some((each) => each !== 0) ? 0.9 : 0.1)
  return { samples, from: 0, activity, within: { startS: 0.5, endS: LENGTH_S } }
}

const move = (text: string, distanceM: number) => ({ text, meaning: { type: 'drive.move', key: `move ${distanceM}`, isConsequential: true } })
const back: Word[] = [word('reverse', 1, 1.5), word('three', 1.5, 1.9), word('feet', 1.9, 2.3)]
/** "Reverse three feet", whatever polite words are around it. */
const meaningOf = (text: string) => text.includes('reverse three feet') ? move(text, -0.9144).meaning : undefined
const first = (...others: FirstReading['readings']): FirstReading => {
  const own = move('reverse three feet', -0.9144)
  return { ...own, words: back, readings: [own, ...others], meaningOf }
}

test('speech that each word explains is beyond doubt', (t) => {
  t.is(doubtOf(first(), back, sound([1, 2.3])), undefined)
})

test('speech before, between and behind the words is found, with its place', (t) => {
  const spoken = sound([0.6, 0.9], [1, 2.3], [2.5, 2.8])
  const found = uncovered(back, spoken.samples, 0, spoken.activity, spoken.within)
  t.deepEqual(found.map(({ startS, endS }) => [startS.toFixed(1), endS.toFixed(1)]), [['0.6', '0.9'], ['2.5', '2.8']])
  const hole = sound([1, 2.3])
  t.is(uncovered([back[0]!, back[2]!], hole.samples, 0, hole.activity, hole.within).length, 1)
})

test('a breath, the room and what is not looked at are no speech', (t) => {
  const breath = sound([0.6, 0.9, 300], [1, 2.3])
  t.deepEqual(uncovered(back, breath.samples, 0, breath.activity, breath.within), [])
  const wakeWord = sound([0, 0.45], [1, 2.3])
  t.deepEqual(uncovered(back, wakeWord.samples, 0, wakeWord.activity, wakeWord.within), [])
  const noise = sound([0.6, 0.9], [1, 2.3])
  t.deepEqual(uncovered(back, noise.samples, 0, new ActivityTrack(200), noise.within), [], 'no voice in it')
})

test('a word that only the open vocabulary has is doubted sooner than one that nobody has, "the" later', (t) => {
  const shortly = sound([0.8, 0.9], [1, 2.3])
  t.is(doubtOf(first(), back, shortly), undefined)
  t.deepEqual(doubtOf(first(), [word('nor', 0.75, 0.9), ...back], shortly), { reason: 'words', heard: 'nor reverse three feet' })
  const longer = sound([0.7, 0.88], [1, 2.3])
  t.is(doubtOf(first(), back, longer)?.reason, 'sound')
  t.is(doubtOf(first(), [word('the', 0.7, 0.88), ...back], longer), undefined)
})

test('a second reading that asks for something else is a doubt, one that explains less is none', (t) => {
  const spoken = sound([1, 2.3])
  t.is(doubtOf(first(move('reverse thirteen feet', -3.9624)), back, spoken)?.reason, 'number')
  t.is(doubtOf(first({ text: 'rehearse three feet', meaning: { type: 'drive.turn', key: 'turn', isConsequential: true } }), back, spoken)?.reason, 'words')
  t.is(doubtOf(first(move('three feet', 0.9144)), back, spoken), undefined)
  t.is(doubtOf(first({ text: 'reverse tree feet', meaning: undefined }), back, spoken), undefined)
})

test('where the best reading is no sentence, its numbers and units must be those of the one that is', (t) => {
  const own = move('reverse three feet', -0.9144)
  const behind = (text: string): FirstReading => ({ ...own, words: back, readings: [{ text, meaning: undefined }, own], meaningOf })
  t.is(doubtOf(behind('reverse three and two feet'), back, sound([1, 2.3]))?.reason, 'number')
  t.is(doubtOf(behind('rehearse three feet'), back, sound([1, 2.3])), undefined)
})

test('what changes nothing is not doubted for its readings', (t) => {
  const clock = { text: 'what time is it', meaning: { type: 'time.tell', key: 'time', isConsequential: false } }
  const words = [word('what', 1, 1.2), word('time', 1.2, 1.6), word('is', 1.6, 1.8), word('it', 1.8, 2)]
  const doubt = doubtOf({ ...clock, words, readings: [clock, move('two meters', 2)], meaningOf }, words, sound([1, 2]))
  t.is(doubt, undefined)
})

test('politeness counts only where the open vocabulary heard it too', (t) => {
  const own = move('could you reverse three feet', -0.9144)
  const words = [word('could', 0.6, 0.75), word('you', 0.75, 0.95), ...back]
  const polite: FirstReading = { ...own, words, readings: [own], meaningOf }
  const spoken = sound([0.6, 2.3])
  t.is(doubtOf(polite, words, spoken), undefined)
  t.deepEqual(doubtOf(polite, [word('did', 0.6, 0.75), ...words.slice(1)], spoken), { reason: 'words', heard: 'did you reverse three feet' })
})
