import test from 'ava'
import * as ort from 'onnxruntime-node'
import { GraphWriter } from '../convert/onnx-writer.ts'
import { findWeights, flipWeights } from './flip.ts'
import { sileroModel, smallGraph } from './testing.ts'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

const differing = (a: Uint8Array, b: Uint8Array) => a.reduce((bits, byte, index) => bits + (byte ^ b[index]!).toString(2).replaceAll('0', '').length, 0)

test('exactly as many bits as asked for are flipped, all in exponents of weights, the same for the same seed', (t) => {
  const graph = smallGraph()
  const [weights, ...others] = findWeights(graph)
  t.deepEqual(others, [])
  t.is(weights!.bytes, 12 * 4)
  for (const bits of [1, 8]) {
    const flipped = flipWeights(graph, 7, bits)
    t.is(differing(graph, flipped), bits)
    t.deepEqual(flipWeights(graph, 7, bits), flipped)
    for (const [index, byte] of flipped.entries()) {
      if (byte === graph[index]) continue
      t.true(index >= weights!.offset && index < weights!.offset + weights!.bytes)
      // Bits 23 to 30 of a little-endian number: the whole of its last byte but the sign, and the highest bit of the one before.
      const place = (index - weights!.offset) % 4
      t.is((byte ^ graph[index]!) & (place === 3 ? 0x80 : place === 2 ? 0x7f : 0xff), 0)
    }
  }
  t.notDeepEqual(flipWeights(graph, 8, 8), flipWeights(graph, 7, 8))
})

test('a flipped graph still loads, and computes something else', async (t) => {
  const feeds = { x: new ort.Tensor('float32', Float32Array.of(1, 1, 1, 1), [1, 4]) }
  const run = async (bytes: Uint8Array) => {
    const session = await ort.InferenceSession.create(bytes)
    const data = [...(await session.run(feeds)).y!.data as Float32Array]
    await session.release()
    return data
  }
  t.deepEqual(await run(smallGraph()), [5.5, 6.5, 7.5])
  t.notDeepEqual(await run(flipWeights(smallGraph(), 1, 4)), [5.5, 6.5, 7.5])
})

test('weights are found in a real model, in attributes and in half floats; where there are none that is said', async (t) => {
  const { folder, manifest } = await sileroModel()
  const bytes = await readFile(join(folder, manifest.files[0]!.path))
  const floats = findWeights(bytes).reduce((sum, { bytes: length, width }) => sum + length / width, 0)
  // The published size of the model: some 310,000 parameters.
  t.true(floats > 250_000 && floats < 600_000, `${floats}`)
  const half = new GraphWriter('half')
  half.constant('h', Uint16Array.of(0x3c00), [1], 'float16')
  half.node('Constant', [], ['c'], { value: { tensor: { data: Float32Array.of(1, 2), dims: [2] } } })
  half.output('c', 'float32', [2])
  t.deepEqual(findWeights(half.bytes()).map(({ bytes: length, width }) => [length, width]).sort(), [[2, 2], [8, 4]])
  const none = new GraphWriter('none')
  none.input('x', 'float32', [1])
  none.node('Relu', ['x'], ['y'])
  none.output('y', 'float32', [1])
  t.like(t.throws(() => flipWeights(none.bytes(), 1, 1)), { code: 'MODEL_INVALID' })
  t.like(t.throws(() => flipWeights(Uint8Array.of(0x3a, 0xff, 0xff), 1, 1)), { code: 'MODEL_INVALID' })
})
