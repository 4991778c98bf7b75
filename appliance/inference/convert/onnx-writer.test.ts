import test from 'ava'
import * as ort from 'onnxruntime-node'
import { GraphWriter } from './onnx-writer.ts'

/** y = alpha-leaky relu of (x · w + b), and the indices of the two largest. */
function small(): GraphWriter {
  const graph = new GraphWriter('small')
  graph.input('x', 'float32', ['n', 2])
  const w = graph.constant('w', Float32Array.of(1, -2, 3, 0.5, 0, 1), [2, 3])
  const b = graph.constant('b', Float32Array.of(0, 1, -1), [3])
  graph.node('Gemm', ['x', w, b], ['sum'], { alpha: 1, beta: 1, transA: 0 })
  graph.node('LeakyRelu', ['sum'], ['y'], { alpha: 0.5 })
  const k = graph.constant('k', BigInt64Array.of(2n), [1])
  graph.node('TopK', ['y', k], ['largest', 'order'], { axis: -1n, largest: true })
  graph.output('y', 'float32', ['n', 3])
  graph.output('order', 'int64', ['n', 2])
  graph.metadata('why', 'a test')
  return graph
}

test('onnxruntime runs what the writer wrote, and computes the right numbers', async (t) => {
  const session = await ort.InferenceSession.create(small().bytes())
  const out = await session.run({ x: new ort.Tensor('float32', Float32Array.of(1, 2, -1, 0), [2, 2]) })
  t.deepEqual([...out.y!.data as Float32Array], [2, -1 * 0.5, 4, -0.5, 3, -4 * 0.5])
  t.deepEqual([...out.order!.data as BigInt64Array], [2n, 0n, 1n, 0n])
  await session.release()
})

test('half floats, bytes, negative and large whole numbers, optional inputs and tensors as attributes survive', async (t) => {
  const graph = new GraphWriter('types', 17)
  graph.constant('half', Uint16Array.of(0x3c00, 0xc000), [2], 'float16')
  graph.node('Cast', ['half'], ['single'], { to: 1 })
  graph.node('Constant', [], ['big'], { value: { tensor: { data: BigInt64Array.of(-5n, 2n ** 40n), dims: [2] } } })
  graph.node('Constant', [], ['ints'], { value_ints: [-3n, 2n ** 40n + 1n, 7n] })
  graph.node('Constant', [], ['floats'], { value_floats: [1, 2] })
  graph.constant('high', Float32Array.of(0.5), [])
  graph.node('Clip', ['single', '', 'high'], ['clipped'])
  graph.output('clipped', 'float32', [2])
  graph.output('big', 'int64', [2])
  graph.output('ints', 'int64', [3])
  graph.output('floats', 'float32', [2])
  const session = await ort.InferenceSession.create(graph.bytes())
  const out = await session.run({})
  t.deepEqual([...out.clipped!.data as Float32Array], [0.5, -2])
  t.deepEqual([...out.big!.data as BigInt64Array], [-5n, 2n ** 40n])
  t.deepEqual([...out.ints!.data as BigInt64Array], [-3n, 2n ** 40n + 1n, 7n])
  t.deepEqual([...out.floats!.data as Float32Array], [1, 2])
  await session.release()
})

test('the same calls give the same bytes', (t) => {
  t.deepEqual(small().bytes(), small().bytes())
})

test('what is wrong with a graph is said when it is written', (t) => {
  const graph = new GraphWriter('wrong')
  graph.input('x', 'float32', [1])
  t.like(t.throws(() => graph.node('Relu', ['z'], ['y'])), { code: 'MODEL_INVALID', message: 'graph wrong: Relu reads z, which nothing before it makes' })
  t.like(t.throws(() => graph.input('x', 'float32', [1])), { code: 'MODEL_INVALID', message: 'graph wrong: x is defined twice' })
  t.like(t.throws(() => graph.constant('c', Float32Array.of(1, 2), [3])), { code: 'MODEL_INVALID', message: 'constant c: shape 3 needs 3 elements, got 2' })
  t.like(t.throws(() => graph.constant('d', Float32Array.of(1), [1], 'float16')), { code: 'MODEL_INVALID', message: 'constant d: a Float32Array does not hold float16' })
  t.like(t.throws(() => graph.bytes()), { code: 'MODEL_INVALID', message: 'graph wrong has no output' })
  graph.output('y', 'float32', [1])
  t.like(t.throws(() => graph.bytes()), { code: 'MODEL_INVALID', message: 'graph wrong: nothing makes its output y' })
})
