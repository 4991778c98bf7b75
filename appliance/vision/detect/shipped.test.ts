import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import * as ort from 'onnxruntime-node'
import { PROJECT_DIR } from '../../config/load.ts'
import { systemClock as clock } from '../../contracts/clock.ts'
import { difference } from '../../inference/equality.ts'
import type { Tasks } from '../../inference/port.ts'
import { ModelStore } from '../../inference/store/index.ts'
import { flipWeights } from '../../inference/worker/flip.ts'
import { task } from './task.ts'

const store = new ModelStore({ modelsDir: join(PROJECT_DIR, 'models'), clock, onEvent: () => {}, scrubPeriodMs: 3600_000 })

test('the detector of the set-up gives its known answers, with margin, and not when its weights are damaged', async (t) => {
  // Brought by the set-up; here it is checked against its manifest again.
  const model = await store.trusted('centernet-coco')
  const graph = await readFile(join(model.folder, model.manifest.files[0]!.path))
  const load = async (bytes: Uint8Array) => await task.load({ model, threads: 1, open: async () => ({ ort, provider: 'cpu', session: await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1 }) }) })
  const [good, damaged] = [await load(graph), await load(flipWeights(graph, 1, 40))]
  for (const { input, output } of model.manifest.knownAnswers) {
    const asked = input as Tasks['detect']['input']
    const got = await good.run(asked)
    t.is(difference('detect', output, got, asked), undefined)
    // Another machine's last digits must not carry a box over the limit.
    const all = await good.run({ ...asked, minScore: asked.minScore! - 0.02 })
    t.is(all.detections.length, got.detections.length)
    t.true(got.detections.every(({ score }) => score > asked.minScore! + 0.02))
    t.not(difference('detect', output, await damaged.run(asked), asked), undefined)
  }
  await good.close()
  await damaged.close()
})
