import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { makeConfig } from '../config/load.ts'
import { ManualClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import { COCO_LABELS } from '../contracts/objects.ts'
import type { Answer, Inference, Tasks, Throttle } from '../inference/port.ts'
import { COCO_80 } from './detect/labels.ts'
import { Eyes } from './index.ts'
import type { DurableValues } from './watches.ts'

const WAIT_MS = 10_000
const PERIOD_MS = 1_000

function store(): DurableValues & { map: Map<string, unknown> } {
  const map = new Map<string, unknown>()
  return { map, put: async (key, value) => { if (value === undefined) map.delete(key); else map.set(key, structuredClone(value)) }, read: async (key) => map.get(key), keys: async (prefix) => [...map.keys()].filter((key) => key.startsWith(prefix)) }
}

/** Real pictures from a real folder into a real ring; what the models answer is the test's, since what is done with it is tested here. */
async function room(t: ExecutionContext, { values = store(), clock = new ManualClock(), camera }: { values?: ReturnType<typeof store>; clock?: ManualClock; camera?: string } = {}) {
  const root = await mkdtemp(join(tmpdir(), 'mtor-eyes-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  const pictures = join(root, 'pictures')
  execFileSync('mkdir', [pictures])
  const draw = () => { execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-f', 'lavfi', '-i', 'testsrc=size=160x120', '-frames:v', '1', '-update', '1', '-y', join(pictures, 'a.jpg')]) }
  draw()
  const hub = new Hub(clock, 'box')
  hub.boot = 1
  const events: SystemEvent[] = []
  hub.onSystem((event) => { events.push(event) })
  const view = { labels: [] as string[], fails: undefined as MtorError | undefined, inputs: [] as Tasks['detect']['input'][], throttle: { frameRateFactor: 1 } as Throttle, meanwhile: async (_image: string) => {} }
  const inference: Pick<Inference, 'run'> = {
    async run(task, model, input) {
      if (view.fails) throw view.fails
      if (task === 'detect') {
        view.inputs.push(input as Tasks['detect']['input'])
        await view.meanwhile((input as { image: string }).image)
      }
      const output = task === 'read' ? { text: 'GATE 4', lines: [] } : { widthPx: 160, heightPx: 120, detections: view.labels.map((label) => ({ label, score: 0.9, box: { x: 1, y: 1, width: 9, height: 9 } })) }
      return { output, model, version: '1', provider: 'cpu', queuedMs: 1, runMs: 2, attempts: 1 } as unknown as Answer<typeof task>
    },
  }
  const config = makeConfig({ vision: { camera: camera ?? `directory:${pictures}`, maxFrames: 3, watchPeriodMs: PERIOD_MS } }, root).vision
  const eyes = new Eyes({ config, stateDir: root, clock, hub, inference, values, throttle: () => view.throttle })
  t.teardown(() => eyes.stop())
  await eyes.start()
  const named = (name: string) => events.filter((event) => event.name === name)
  /** One period passes; a look that falls due in it is really taken, to its end. */
  const look = async () => {
    await clock.advance(PERIOD_MS)
    await until(t, () => !eyes.status().looking, 'a look')
  }
  return { root, pictures, draw, hub, events, named, view, eyes, clock, values, look, frames: async () => (await readdir(join(root, 'frames'))).filter((name) => /^\d+-[0-9a-f]{6}\.jpg$/.test(name)) }
}
async function until(t: ExecutionContext, done: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + WAIT_MS; !done();) {
    if (performance.now() > end) return t.fail(`waited ${WAIT_MS} ms for ${what}`)
    await new Promise((resolve) => { setTimeout(resolve, 5) })
  }
}
const never = () => new AbortController().signal

test('the labels that people name are those of the detector', (t) => { t.deepEqual([...COCO_LABELS], [...COCO_80]) })

test('a picture, a look and a reading: files in the ring and who answered', async (t) => {
  const { eyes, view, pictures, frames } = await room(t)
  const frame = await eyes.capture(never())
  t.deepEqual(await readFile(frame.file), await readFile(join(pictures, 'a.jpg')))
  view.labels = ['cup']
  view.throttle = { frameRateFactor: 1, sizePx: 256 }
  const sight = await eyes.look(never())
  t.like(sight, { widthPx: 160, model: 'centernet-coco', provider: 'cpu', tookMs: 3 })
  t.is(sight.detections[0]!.label, 'cup')
  t.false('annotated' in sight, 'no file, no name of one')
  t.deepEqual(view.inputs, [{ image: sight.frame.file, minScore: 0.4, sizePx: 256, annotate: sight.frame.annotated }])
  t.is((await eyes.read(never())).text, 'GATE 4')
  t.is((await frames()).length, 3)
  await eyes.capture(never())
  t.is((await frames()).length, 3, 'the ring is bounded')
})

test('without a camera, without a model, and given up: each has its code', async (t) => {
  const blind = await room(t, { camera: 'none' })
  t.is((await t.throwsAsync(blind.eyes.capture(never()), { instanceOf: MtorError })).code, 'NOT_FITTED')
  t.is((await t.throwsAsync(blind.eyes.watch('cup'), { instanceOf: MtorError })).code, 'NOT_FITTED')
  const { eyes, view, pictures } = await room(t)
  view.fails = new MtorError('NOT_FOUND', 'no such model')
  const missing = await t.throwsAsync(eyes.look(never()), { instanceOf: MtorError })
  t.is(missing.code, 'NOT_FITTED')
  t.regex(missing.hint, /mtor models pull centernet-coco/)
  t.is((await t.throwsAsync(eyes.capture(AbortSignal.abort()), { instanceOf: MtorError })).code, 'CANCELLED')
  await rm(pictures, { recursive: true })
  t.is((await t.throwsAsync(eyes.capture(never()), { instanceOf: MtorError })).code, 'CAMERA')
})

test('an object is announced when it was in two looks in a row, and again only after it was gone for three', async (t) => {
  const { eyes, view, look, named, frames } = await room(t)
  await eyes.watch('person')
  const show = async (...shown: string[][]) => { for (const labels of shown) { view.labels = labels; await look() } }
  await show(['dog'], ['person'], [])
  t.is(named('object.appeared').length, 0, 'once is chance')
  await show(['person'], ['person', 'dog'])
  t.is(named('object.appeared').length, 1)
  t.like(named('object.appeared')[0]!, { severity: 'info', component: 'vision', say: 'I see a person.', data: { object: 'person', model: 'centernet-coco' } })
  t.true((await frames()).includes(`${named('object.appeared')[0]!.data!.frame as string}.jpg`))
  await show(['person'], [], [], ['person'])
  t.is(named('object.gone').length, 0, 'out of view for two looks is not gone')
  await show([], [], [])
  t.like(named('object.gone')[0]!, { severity: 'debug', data: { object: 'person' } })
  await show(['person'], ['person'])
  t.is(named('object.appeared').length, 2)
  t.is((await frames()).length, 2, 'only pictures in which something appeared are kept')
  t.deepEqual(await eyes.unwatch(), ['person'])
})

test('the governor slows the watch down and makes the picture smaller', async (t) => {
  const { eyes, view, look } = await room(t)
  view.throttle = { frameRateFactor: 0.5, sizePx: 384 }
  await eyes.watch('person')
  for (let period = 0; period < 8; period++) await look()
  t.is(view.inputs.length, 5, 'at once, then each second period')
  t.like(view.inputs[0]!, { sizePx: 384 })
})

test('trouble while watching is told once, and once that it is over', async (t) => {
  const { eyes, pictures, draw, named, look } = await room(t)
  await eyes.watch('cup')
  await rm(join(pictures, 'a.jpg'))
  for (let turn = 0; turn < 8; turn++) await look()
  t.is(named('watch.blind').length, 1)
  t.like(named('watch.blind')[0]!, { severity: 'warning', code: 'CAMERA', say: 'I cannot watch at present. I cannot get a picture from the camera.' })
  t.is(eyes.status().trouble?.code, 'CAMERA')
  draw()
  await look()
  t.like(named('watch.sees'), [{ severity: 'info', say: 'I can see again.' }])
  t.is(eyes.status().trouble, undefined)
})

test('a watch ends when its time is up, and says so', async (t) => {
  const { eyes, named, look, values, view } = await room(t)
  await eyes.watch('dog', 1.5)
  await look()
  t.is(values.map.size, 1)
  for (let period = 0; period < 4; period++) await look()
  t.deepEqual(named('watch.ended').map(({ say }) => say), ['I have stopped watching for a dog.'])
  t.is(values.map.size, 0)
  t.true(view.inputs.length <= 2, 'nothing is looked at any more')
})

test('watches go on after a restart of the process, and after one of the board', async (t) => {
  const values = store()
  const clock = new ManualClock()
  const before = await room(t, { values, clock })
  await before.eyes.watch('cell phone')
  await before.eyes.watch('dog', 10)
  await before.eyes.stop()
  await clock.advance(4_000)
  const { eyes } = await room(t, { values, clock })
  t.deepEqual(eyes.status().watching, [{ object: 'cell phone', present: false }, { object: 'dog', present: false, leftS: 6 }])
  await eyes.stop()
  // Another boot: the monotonic clock begins again, the wall clock says that 3 more seconds have gone.
  const later = new ManualClock(50, clock.wallMs()! + 3_000)
  const { hub, eyes: rebooted } = await room(t, { values: store(), clock: later })
  await rebooted.stop()
  hub.boot = 2
  const after = new Eyes({ config: makeConfig({ vision: { camera: 'none' } }).vision, stateDir: tmpdir(), clock: later, hub, inference: { run: async () => { throw new TypeError('not asked for') } }, values, throttle: () => ({ frameRateFactor: 1 }) })
  t.teardown(() => after.stop())
  await after.start()
  t.deepEqual(after.status().watching.map(({ object, leftS }) => [object, leftS]), [['cell phone', undefined], ['dog', 3]])
})

test('a damaged watch is dropped; the others are taken up', async (t) => {
  const values = store()
  await values.put('watches/dog', { object: 7 })
  await values.put('watches/cup', { object: 'cup', boot: 1 })
  const { eyes } = await room(t, { values })
  t.deepEqual(eyes.watching(), ['cup'])
  t.deepEqual([...values.map.keys()], ['watches/cup'])
})

test('an appearance is told even when its picture cannot be kept', async (t) => {
  const { eyes, view, look, named, frames } = await room(t)
  await eyes.watch('cup')
  view.labels = ['cup']
  await look()
  // The file goes while it is being looked at.
  view.meanwhile = (image) => rm(image)
  await look()
  t.like(named('object.appeared'), [{ say: 'I see a cup.' }])
  t.false('file' in named('object.appeared')[0]!.data!)
  t.deepEqual(await frames(), [])
})

test('stopping twice is fine, and ends a look that is under way', async (t) => {
  const { eyes, clock, view, frames } = await room(t)
  await eyes.watch('cup')
  await clock.advance(0)
  await eyes.stop()
  await eyes.stop()
  await clock.advance(10 * PERIOD_MS)
  t.false(eyes.status().looking)
  t.true(view.inputs.length <= 1)
  t.deepEqual(await frames(), [])
  t.is((await t.throwsAsync(eyes.capture(never()), { instanceOf: MtorError })).code, 'CANCELLED')
})
