import test from 'ava'
import { openBackend } from './backend.ts'
import { initialWeights, KeywordNet, toOnnx } from './keyword-net.ts'
import { BANDS, WINDOW_FRAMES } from './features.ts'
import { mulberry32 } from '../../contracts/random.ts'

test.serial('the loader says which backend it got and why not those before it, and has trained with it', async (t) => {
  const { backend, tried, proof } = await openBackend()
  t.true((['node-gpu', 'node', 'wasm', 'cpu'] as const).includes(backend))
  const order = ['node-gpu', 'node', 'wasm', 'cpu']
  t.deepEqual(tried.map(({ name }) => name as string), order.slice(0, order.indexOf(backend)))
  for (const { reason } of tried) t.regex(reason, /not installed|sees no GPU|\w{4}/)
  t.true(proof.lossAfter < 0.9 * proof.lossBefore, `${proof.lossBefore} to ${proof.lossAfter}`)
})

test.serial('where nothing can be loaded, every reason is told', async (t) => {
  const error = await t.throwsAsync(openBackend(['node-gpu']), { code: 'ENGINE_MISSING' })
  t.regex(error!.message, /node-gpu: @tensorflow\/tfjs-node-gpu is (not installed|installed and sees no GPU)/)
})

test.serial('the exported graph gives what the head gives in tfjs, to 1e-4, and a step of training lowers its loss', async (t) => {
  const { tf } = await openBackend(['wasm', 'cpu'])
  const random = mulberry32(4)
  const net = new KeywordNet(tf, initialWeights(7))
  const n = 5
  const data = Float32Array.from({ length: n * WINDOW_FRAMES * BANDS }, () => 2 * random() - 1)
  const labels = [1, 0, 1, 0, 1]
  const scores = async () => { const out = tf.tidy(() => tf.sigmoid(net.forward(tf.tensor3d(data, [n, WINDOW_FRAMES, BANDS])))); try { return [...await out.data()] } finally { out.dispose() } }
  const optimizer = tf.train.adam(1e-3)
  const losses: number[] = []
  for (let step = 0; step < 5; step++) {
    const cost = tf.tidy(() => optimizer.minimize(() => tf.losses.sigmoidCrossEntropy(tf.tensor1d(labels), net.forward(tf.tensor3d(data, [n, WINDOW_FRAMES, BANDS])) as never) as never, true, net.variables)!)
    losses.push((await cost.data())[0]!)
    cost.dispose()
  }
  t.true(losses[4]! < losses[0]!, losses.join(', '))
  const expected = await scores()
  const ort = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(toOnnx(net.weights(), 'test'))
  const result = await session.run({ features: new ort.Tensor('float32', data, [n, WINDOW_FRAMES, BANDS]) })
  const got = [...result['score']!.data as Float32Array]
  t.is(got.length, n)
  for (const [i, score] of got.entries()) t.true(Math.abs(score - expected[i]!) < 1e-4, `${score} against ${expected[i]}`)
  t.true(Math.max(...got) - Math.min(...got) > 1e-4, 'the inputs are told apart')
  await session.release()
  net.close()
  optimizer.dispose()
})
