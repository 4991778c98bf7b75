import test from 'ava'
import { MtorError } from '../contracts/errors.ts'
import type { IntentType } from '../contracts/intents.ts'
import { COCO_LABELS } from '../contracts/objects.ts'
import { spokenFind, spokenSight, spokenText, type Seen } from './sight.ts'
import { contextOf } from './testing.ts'
import { makeVisionSkill, type SkillEyes } from './vision.ts'

const WIDTH = 900
/** An object with its middle at x and this side. */
const seen = (label: string, x: number, side = 100, score = 0.8): Seen => ({ label, score, box: { x: x - side / 2, y: 0, width: side, height: side } })

test('what is seen is said with counts and places, the largest first', (t) => {
  t.is(spokenSight([], WIDTH), 'I see nothing that I know.')
  t.is(spokenSight([seen('cup', 450, 50), seen('person', 100, 200), seen('person', 200, 150)], WIDTH), 'I see two persons on the left and a cup in the middle.')
  t.is(spokenSight([seen('apple', 850)], WIDTH), 'I see an apple on the right.')
  t.is(spokenSight([seen('sheep', 10), seen('sheep', 20), seen('sheep', 30), seen('knife', 450, 20), seen('knife', 460, 20), seen('bus', 800, 40)], WIDTH), 'I see three sheep on the left, a bus on the right and two knives in the middle.')
})

test('one kind in several places is counted, then placed', (t) => {
  t.is(spokenSight([seen('person', 100), seen('person', 120), seen('person', 450)], WIDTH), 'I see three persons, two on the left and one in the middle.')
  t.is(spokenSight([seen('person', 100, 200), seen('person', 450), seen('cup', 800, 20)], WIDTH), 'I see two persons, one on the left and one in the middle; a cup on the right.')
})

test('no more than five kinds are said, and that there are more', (t) => {
  const many = ['person', 'dog', 'cat', 'cup', 'book', 'clock', 'vase'].map((label, index) => seen(label, 450, 200 - index))
  t.is(spokenSight(many, WIDTH), 'I see a person in the middle, a dog in the middle, a cat in the middle, a cup in the middle, a book in the middle and other things.')
  t.is(spokenSight(Array.from({ length: 14 }, () => seen('bird', 100)), WIDTH), 'I see 14 birds on the left.')
})

test('finding says where and how sure, or that there is none', (t) => {
  t.is(spokenFind('cup', [seen('cup', 800, 50, 0.6)], WIDTH), 'Yes: a cup on the right, fairly sure.')
  t.is(spokenFind('dog', [seen('dog', 100, 50, 0.45), seen('dog', 450, 50, 0.9)], WIDTH), 'Yes: two dogs, one on the left and one in the middle, quite sure.')
  t.is(spokenFind('cup', [seen('cup', 450, 50, 0.42)], WIDTH), 'Yes: a cup in the middle, but I am not sure.')
  t.is(spokenFind('cup', [], WIDTH), 'I see no cup.')
})

test('read text is said in one sentence; a long one is cut between words', (t) => {
  t.is(spokenText(''), 'I see no text.')
  t.is(spokenText(' \n\n '), 'I see no text.')
  t.is(spokenText('danger:  keep out\n\nHigh voltage'), 'It says: Danger: keep out, High voltage.')
  t.is(spokenText('Exit!'), 'It says: Exit!')
  const long = spokenText('some words to say '.repeat(40))
  t.true(long.length < 280)
  t.regex(long, /^It says: Some words .*\b(some|words|to|say)\. And so on\.$/)
})

const frame = { id: '0000000007-abcdef', file: '/frames/7.jpg', thumbnail: '/frames/7.thumb.jpg', widthPx: WIDTH, heightPx: 600 }
const by = { frame, model: 'detector', version: '1', provider: 'cpu', tookMs: 90 }
function eyesThat(over: Partial<SkillEyes> = {}, watched: string[] = []): SkillEyes {
  return {
    labels: () => COCO_LABELS,
    capture: async () => frame,
    look: async () => ({ ...by, widthPx: WIDTH, detections: [seen('cell phone', 450, 50, 0.55), seen('person', 100, 200)], annotated: '/frames/7.boxes.jpg' }),
    read: async () => ({ ...by, text: 'GATE 4', lines: [{ text: 'GATE 4' }] }),
    watch: async (object) => { watched.push(object) },
    unwatch: async (object) => watched.splice(0).filter((each) => { if (object === undefined || each === object) return true; watched.push(each); return false }),
    watching: () => watched,
    ...over,
  }
}
const run = (type: IntentType, slots = {}, eyes: SkillEyes | undefined = eyesThat()) => makeVisionSkill({ eyes }).run(contextOf(type, slots))

test('a picture, a description and a reading come with where the files are and what looked at them', async (t) => {
  t.deepEqual(await run('camera.capture'), { say: 'I took a picture.', data: { frame: frame.id, file: frame.file, thumbnail: frame.thumbnail, widthPx: WIDTH, heightPx: 600 } })
  const described = await run('vision.describe')
  t.is(described.say, 'I see a person on the left and a cell phone in the middle.')
  t.like(described.data, { file: frame.file, annotated: '/frames/7.boxes.jpg', model: 'detector', provider: 'cpu', tookMs: 90 })
  t.like(await run('vision.read'), { say: 'It says: GATE 4.', data: { text: 'GATE 4', lines: [{ text: 'GATE 4' }], file: frame.file } })
})

test('what is asked for is found by any of its names', async (t) => {
  const found = await run('vision.find', { object: 'my mobile' })
  t.is(found.say, 'Yes: a cell phone in the middle, fairly sure.')
  t.like(found.data, { object: 'cell phone', found: true })
  t.like(await run('vision.find', { object: 'dogs' }), { say: 'I see no dog.', data: { found: false, detections: [] } })
})

test('an object the detector does not know is told with some that it does, and no picture is taken for it', async (t) => {
  const eyes = eyesThat({ look: async () => { throw new TypeError('must not look') } })
  for (const type of ['vision.find', 'vision.watch'] as const) {
    const error = await t.throwsAsync(run(type, { object: 'unicorn' }, eyes), { instanceOf: MtorError })
    t.is(error.code, 'NOT_FOUND')
    t.is(error.say, 'I cannot look for a unicorn; I know for example a person, a dog, a car, a cup, a bottle and a chair.')
  }
})

test('watching begins and ends, and says for what', async (t) => {
  const eyes = eyesThat()
  t.is((await run('vision.watch', { object: 'people', durationS: 600 }, eyes)).say, 'I am watching for a person for 10 minutes.')
  t.is((await run('vision.watch', { object: 'dogs' }, eyes)).say, 'I am watching for a dog.')
  t.is((await t.throwsAsync(run('vision.unwatch', { object: 'cat' }, eyes), { instanceOf: MtorError })).say, 'I am not watching for a cat, only for a person and a dog.')
  t.is((await run('vision.unwatch', { object: 'dog' }, eyes)).say, 'I have stopped watching for a dog.')
  t.is((await run('vision.unwatch', {}, eyes)).say, 'I have stopped watching for a person.')
  t.is((await run('vision.unwatch', {}, eyes)).say, 'I am not watching for anything.')
})

test('without a camera each says what it cannot do', async (t) => {
  const missing = new MtorError('NOT_FITTED', 'no camera in sysfs', { say: 'No camera is fitted.' })
  const unplugged = eyesThat({ look: () => Promise.reject(missing), read: () => Promise.reject(missing), capture: () => Promise.reject(missing), watch: () => Promise.reject(missing) })
  for (const eyes of [undefined, unplugged]) {
    for (const [type, slots, say] of [['camera.capture', {}, 'No camera is fitted.'], ['vision.describe', {}, 'No camera is fitted, so I cannot look.'], ['vision.find', { object: 'cup' }, 'No camera is fitted, so I cannot look.'], ['vision.read', {}, 'No camera is fitted, so I cannot read.'], ['vision.watch', { object: 'cup' }, 'No camera is fitted, so I cannot watch.']] as const) {
      const error = await t.throwsAsync(makeVisionSkill({ eyes }).run(contextOf(type, slots)), { instanceOf: MtorError })
      t.is(error.code, 'NOT_FITTED')
      t.is(error.say, say)
    }
  }
})

test('what inference says of itself reaches the operator as it is', async (t) => {
  for (const code of ['MODEL_UNAVAILABLE', 'POISON', 'NO_MAJORITY', 'DEADLINE', 'DISK_FULL', 'CAMERA'] as const) {
    const error = await t.throwsAsync(run('vision.describe', {}, eyesThat({ look: () => Promise.reject(new MtorError(code, 'why')) })), { instanceOf: MtorError })
    t.is(error.code, code)
  }
})
