import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import sharp from 'sharp'
import { makeConfig } from '../config/load.ts'
import { systemClock } from '../contracts/clock.ts'
import { ModelStore } from '../inference/store/index.ts'
import { sensorTree, zone } from '../inference/governor/testing.ts'
import { examineInference } from './doctor-inference.ts'

async function examined(t: ExecutionContext, files: Record<string, string | number>, options: { vision?: Record<string, unknown>; governor?: Record<string, unknown> } = {}, prepare?: (modelsDir: string) => Promise<void>) {
  const stateDir = await mkdtemp(join(tmpdir(), 'mtor-doctor-'))
  t.teardown(() => rm(stateDir, { recursive: true, force: true }))
  const modelsDir = join(stateDir, 'models')
  await prepare?.(modelsDir)
  const { thermalDir, cpuDir, powerDir } = await sensorTree(t, files)
  const findings = await examineInference(makeConfig({ node: 'test', stateDir, inference: { modelsDir }, vision: options.vision ?? {}, governor: { thermalDir, cpuDir, powerDir, ...options.governor } }))
  return { stateDir, of: (what: string) => findings.filter((finding) => finding.what === what), findings }
}

test('what is not here is said with what to do; what nobody asked for is no fault', async (t) => {
  const { of } = await examined(t, {}, { vision: { detector: 'centernet-coco' } })
  t.like(of('model centernet-coco')[0], { state: 'missing', advice: 'mtor models pull centernet-coco' })
  t.is(of('temperature').length, 1)
  t.is(of('GPU').length, 1)
  const off = await examined(t, {}, { vision: { camera: 'none' }, governor: { enabled: false } })
  t.like(off.of('camera')[0], { state: 'note', found: 'switched off in the configuration' })
  t.like(off.of('governor')[0], { state: 'note' })
})

test('sensors and camera that are there are shown; a camera that was named and gives no picture is a fault, and so is a sensor that gives no reading', async (t) => {
  const pictures = await mkdtemp(join(tmpdir(), 'mtor-doctor-pictures-'))
  t.teardown(() => rm(pictures, { recursive: true, force: true }))
  await sharp({ create: { width: 64, height: 64, channels: 3, background: 'red' } }).jpeg().toFile(join(pictures, 'one.jpg'))
  const { of } = await examined(t, { ...zone(0, 'cpu-thermal', 83), 'power/AC/type': 'Mains', 'power/AC/online': 1 }, { vision: { camera: `directory:${pictures}` } })
  t.regex(of('camera')[0]!.found, /a picture of 64 × 64/)
  t.like(of('temperature')[0], { state: 'good', found: 'cpu-thermal is at 83.0 °C: step 2 of 3' })
  t.like(of('sensors')[0], { state: 'good', found: 'temperature, power' })
  const without = await examined(t, zone(0, 'cpu-thermal', ''), { vision: { camera: 'v4l2:/dev/video987' } })
  t.like(without.of('camera')[0], { state: 'missing' })
  t.like(without.of('sensor temperature')[0], { state: 'missing' })
})

test('every file of a model is read: one that is damaged is found', async (t) => {
  const { of } = await examined(t, {}, {}, async (modelsDir) => {
    const source = join(modelsDir, '..', 'source')
    await mkdir(source, { recursive: true })
    await writeFile(join(source, 'weights.bin'), 'weights of a model that the ears would load')
    const store = new ModelStore({ modelsDir, clock: systemClock, onEvent: () => { /* Not asked. */ }, scrubPeriodMs: Infinity })
    const base = store.manifest('silero-vad')
    for (const name of ['good-model', 'bad-model']) {
      await store.install({ ...base, name, default: false, source: { kind: 'learned', by: 'a test' }, files: [{ path: 'weights.bin' }] }, source)
    }
    for (const path of store.filesOf('bad-model')) await appendFile(path, 'x').catch(() => { /* Not in that place. */ })
  })
  t.regex(of('models')[0]!.found, /good-model/)
  t.notRegex(of('models')[0]!.found, /bad-model/)
  t.like(of('model bad-model')[0], { state: 'missing' })
})
