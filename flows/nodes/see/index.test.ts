import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { startFlows } from '../../lib/testing.ts'
import see from './index.ts'

const node = (more: Record<string, unknown> = {}) => ({ id: 'see', type: 'mtor-see', realm: 'realm', what: 'vision.find', object: 'payload', objectType: 'msg', load: true, wires: [['seen']], ...more })

test.serial('what was seen comes with its sentence and the picture that lies on this machine', async (t) => {
  const bench = await startFlows(t)
  const file = join(bench.stateDir, 'picture.jpg')
  writeFileSync(file, 'not really a JPEG')
  bench.onSubmit(() => ({ state: 'succeeded', say: 'I see a cup.', data: { object: 'cup', found: true, file } }))
  await bench.load([see], [node(), { id: 'seen', type: 'helper' }])
  await bench.connected()
  const seen = bench.next('seen')
  bench.helper.getNode('see').receive({ payload: 'cup' })
  const { payload, say, picture } = await seen as { payload: unknown; say: string; picture: Buffer }
  t.like(payload, { object: 'cup', found: true })
  t.is(say, 'I see a cup.')
  t.is(String(picture), 'not really a JPEG')
  t.like(bench.submitted[0]!.envelope, { type: 'vision.find', slots: { object: 'cup' } })
})

test.serial('a picture that lies elsewhere is left out', async (t) => {
  const bench = await startFlows(t)
  bench.onSubmit(() => ({ state: 'succeeded', say: 'I see nothing.', data: { detections: [], file: '/nowhere/picture.jpg' } }))
  await bench.load([see], [node({ what: 'vision.describe' }), { id: 'seen', type: 'helper' }])
  await bench.connected()
  const seen = bench.next('seen')
  bench.helper.getNode('see').receive({})
  t.false('picture' in await seen)
  t.deepEqual((bench.submitted[0]!.envelope as { slots: unknown }).slots, {})
})
