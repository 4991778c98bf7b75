import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { makeConfig } from '../config/load.ts'
import { systemClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEvent } from '../contracts/events.ts'
import { Hub } from '../contracts/hub.ts'
import { InferenceSupervisor } from '../inference/index.ts'
import { contextOf } from '../skills/testing.ts'
import { makeVisionSkill } from '../skills/vision.ts'
import { Eyes } from './index.ts'
import { broughtModels, drawScene, drawSign } from './testing.ts'

/** A slow board needs its time for the first load of a model. */
const WAIT_MS = 40_000

/** The whole chain with nothing replaced: folder of pictures, ring, supervisor, worker, model store, skill. */
const root = await mkdtemp(join(tmpdir(), 'mtor-real-'))
const pictures = join(root, 'pictures')
await mkdir(pictures)
const config = makeConfig({ stateDir: root, vision: { camera: `directory:${pictures}`, watchPeriodMs: 100 }, inference: { providers: ['cpu'] } }, root)
const hub = new Hub(systemClock, 'box')
const events: SystemEvent[] = []
hub.onSystem((event) => { events.push(event) })
const store = broughtModels()
const inference = new InferenceSupervisor({ config: config.inference, library: store, clock: systemClock, onEvent: (event) => { hub.system(event) }, stateDir: root, cores: 2 })
inference.start()
const values = new Map<string, unknown>()
const eyes = new Eyes({
  config: config.vision, stateDir: root, clock: systemClock, hub, inference, throttle: () => ({ frameRateFactor: 1 }),
  labels: () => store.manifest(config.vision.detector).options.labels as string[],
  values: { put: async (key, value) => { if (value === undefined) values.delete(key); else values.set(key, value) }, read: async (key) => values.get(key), keys: async () => [...values.keys()] },
})
await eyes.start()
const skill = makeVisionSkill({ eyes })
test.after.always(async () => {
  await eyes.stop()
  await inference.stop()
  await store.stop()
  await rm(root, { recursive: true, force: true })
})
const show = async (draw: (file: string) => Promise<unknown>) => {
  for (const name of await readdir(pictures)) await rm(join(pictures, name))
  await draw(join(pictures, 'a.jpg'))
}

test.serial('what stands in front of the camera is described, found and drawn into a copy', async (t) => {
  await show((file) => drawScene(file, true))
  await inference.warm(config.vision.detector)
  const { say, data } = await skill.run(contextOf('vision.describe'))
  t.is(say, 'I see a clock on the right and a stop sign on the left.')
  t.like(data, { widthPx: 640, heightPx: 480, model: 'centernet-coco', provider: 'cpu' })
  for (const name of ['file', 'thumbnail', 'annotated']) t.true((await stat(data![name] as string)).size > 1_000, name)
  t.regex((await skill.run(contextOf('vision.find', { object: 'clocks' }))).say, /^Yes: a clock on the right, (quite|fairly) sure\.$/)
  t.is((await skill.run(contextOf('vision.find', { object: 'someone' }))).say, 'I see no person.')
})

test.serial('a sign in front of the camera is read', async (t) => {
  await show((file) => drawSign(file, 'HALL 4 EXIT'))
  t.is((await skill.run(contextOf('vision.read'))).say, 'It says: HALL 4 EXIT.')
  await show((file) => drawScene(file, false))
  t.is((await skill.run(contextOf('vision.read'))).say, 'I see no text.')
})

test.serial('what comes into view while it is watched for is announced with its picture', async (t) => {
  await show((file) => drawScene(file, false))
  t.is((await skill.run(contextOf('vision.watch', { object: 'clock' }))).say, 'I am watching for a clock.')
  await show((file) => drawScene(file, true))
  const appeared = () => events.find((event) => event.name === 'object.appeared')
  for (const end = performance.now() + WAIT_MS; !appeared();) {
    if (performance.now() > end) return t.fail(`waited ${WAIT_MS} ms; ${JSON.stringify(eyes.status())}`)
    await new Promise((resolve) => { setTimeout(resolve, 20) })
  }
  t.is(appeared()!.say, 'I see a clock.')
  t.true((await stat(appeared()!.data!.file as string)).size > 1_000)
  t.is((await skill.run(contextOf('vision.unwatch'))).say, 'I have stopped watching for a clock.')
})

test.serial('a camera without a picture is an honest error, and the next one is seen', async (t) => {
  await show(async () => {})
  const error = await t.throwsAsync(skill.run(contextOf('vision.describe')), { instanceOf: MtorError })
  t.is(error!.code, 'CAMERA')
  await show((file) => drawScene(file, false))
  t.is((await skill.run(contextOf('vision.describe'))).say, 'I see nothing that I know.')
})
