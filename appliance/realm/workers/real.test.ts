import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { makeConfig } from '../../config/load.ts'
import { systemClock } from '../../contracts/clock.ts'
import { InferenceSupervisor } from '../../inference/index.ts'
import { ModelStore } from '../../inference/store/index.ts'
import { broughtModels, drawScene } from '../../vision/testing.ts'
import { becomes, startNode } from '../testing.ts'
import { RealmInference } from './index.ts'

/** A slow board needs its time for the first load of a model. */
const WAIT_MS = 60_000

test('the real detector: a witness without a model has its picture looked at by a board, proven, with the boxes drawn', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'mtor-real-elsewhere-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  const board = await startNode(t, 'board')
  const small = await startNode(t, 'small', { at: board, role: 'witness' })
  const inferenceOf = async ({ node, hub, peers }: typeof board, store: ModelStore) => {
    const stateDir = join(root, node)
    const config = makeConfig({ node, stateDir, inference: { providers: ['cpu'] } }, root)
    const supervisor = new InferenceSupervisor({ config: config.inference, library: store, clock: systemClock, onEvent: (event) => { hub.system(event) }, stateDir, cores: 2 })
    await supervisor.start()
    const inference = new RealmInference({ supervisor, library: store, isHere: async (model) => await store.presence(model) === 'here', peers, hub, clock: systemClock, workers: 1, folder: join(stateDir, 'shelf'), cores: 2 })
    t.teardown(async () => { await inference.stop(); await supervisor.stop(); await store.stop() })
    await inference.start()
    return inference
  }
  const there = await inferenceOf(board, broughtModels())
  const here = await inferenceOf(small, new ModelStore({ modelsDir: join(root, 'none'), clock: systemClock, onEvent: () => { /* Not asked for. */ }, scrubPeriodMs: 24 * 3600_000 }))
  await there.warm('centernet-coco')
  await becomes('the board offers it', () => here.seen('centernet-coco').length === 1)
  const image = join(root, 'scene.jpg')
  await drawScene(image, true)
  const annotate = join(root, 'drawn.jpg')
  const startedMs = performance.now()
  const answer = await here.run('detect', 'centernet-coco', { image, annotate, minScore: 0.4 }, { deadlineMs: WAIT_MS })
  const firstMs = performance.now() - startedMs
  t.deepEqual(answer.output.detections.map(({ label }) => label).sort(), ['clock', 'stop sign'])
  t.like(answer, { node: 'board', model: 'centernet-coco', provider: 'cpu' })
  t.regex(answer.proof!.digest!, /^[0-9a-f]{64}$/)
  t.true((await stat(annotate)).size > 1_000)
  const againMs = performance.now()
  const { runMs } = await here.run('detect', 'centernet-coco', { image, minScore: 0.4 }, { deadlineMs: WAIT_MS })
  t.log(`first ${firstMs.toFixed(0)} ms with its known answer looked at; then ${(performance.now() - againMs).toFixed(0)} ms, of which ${runMs.toFixed(0)} ms in the worker`)
  // What a vote finds on one board is voted on by its workers.
  t.deepEqual((await here.run('detect', 'centernet-coco', { image, minScore: 0.4 }, { deadlineMs: WAIT_MS, vote: 2 })).vote, { asked: 2, agreed: 2, dissenters: [] })
})
