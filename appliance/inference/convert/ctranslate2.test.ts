import test from 'ava'
import * as ort from 'onnxruntime-node'
import { Ct2Model } from './ctranslate2-model.ts'
import { TinyWhisper, writeCt2 } from './ctranslate2-testing.ts'
import { convertWhisper } from './ctranslate2.ts'

const SHAPE = { bands: 5, positions: 12, textPositions: 10, vocabulary: 30 }

test('a file is read: names, shapes, types, single numbers and aliases', (t) => {
  const model = Ct2Model.read(writeCt2('WhisperSpec', [
    { name: 'a/weight', data: Float16Array.of(1, -2, 0.5, 1024), dims: [2, 2] },
    { name: 'a/bias', data: Float32Array.of(0.1, -0.25), dims: [2] },
    { name: 'heads', data: Int16Array.of(6), dims: [] },
    { name: 'flag', data: Int8Array.of(-1), dims: [] },
  ], [['b/weight', 'a/weight']]))
  t.is(model.specification, 'WhisperSpec')
  t.is(model.revision, 3)
  t.deepEqual(model.weights('b/weight'), { data: Float16Array.of(1, -2, 0.5, 1024), dims: [2, 2] })
  t.deepEqual(model.weights('a/bias'), { data: Float32Array.of(0.1, -0.25), dims: [2] })
  t.is(model.number('heads'), 6)
  t.is(model.number('flag'), -1)
  t.false(model.has('c'))
  t.like(t.throws(() => model.dims('c')), { code: 'MODEL_INVALID' })
  t.like(t.throws(() => model.number('a/bias')), { code: 'MODEL_INVALID' })
})

test('whole-number weights are divided by their scales, a row or all by one', (t) => {
  const model = Ct2Model.read(writeCt2('WhisperSpec', [
    { name: 'rows', data: Int8Array.of(127, -64, 10, 0), dims: [2, 2] }, { name: 'rows_scale', data: Float32Array.of(127, 20), dims: [2] },
    { name: 'all', data: Int16Array.of(1000, -500), dims: [1, 2] }, { name: 'all_scale', data: Float32Array.of(250), dims: [] },
    { name: 'bare', data: Int8Array.of(1), dims: [1] },
    { name: 'odd', data: Int8Array.of(1, 2, 3), dims: [3] }, { name: 'odd_scale', data: Float32Array.of(1, 2), dims: [2] },
  ]))
  t.deepEqual([...model.weights('rows').data], [1, Math.fround(-64 / 127), 0.5, 0])
  t.deepEqual([...model.weights('all').data], [4, -2])
  t.like(t.throws(() => model.weights('bare')), { code: 'MODEL_INVALID' })
  t.like(t.throws(() => model.weights('odd')), { code: 'MODEL_INVALID' })
})

test('a file that is cut off anywhere, too long, of another version or at odds with itself is refused', (t) => {
  const whole = writeCt2('WhisperSpec', [{ name: 'a', data: Float32Array.of(1, 2), dims: [2] }], [['b', 'a']])
  for (let length = 0; length < whole.length; length++) t.throws(() => Ct2Model.read(whole.subarray(0, length)), { message: /^CTranslate2 model: / }, `cut off after ${length} bytes`)
  t.throws(() => Ct2Model.read(Buffer.concat([whole, Buffer.alloc(1)])), { message: /1 bytes follow its end/ })
  t.throws(() => Ct2Model.read(writeCt2('WhisperSpec', [], [], 3)), { message: /expected version 5 or 6 of the format, got 3/ })
  t.throws(() => Ct2Model.read(writeCt2('WhisperSpec', [{ name: 'a', data: Float32Array.of(1, 2), dims: [3] }])), { message: /3 of float32 take 12 bytes, the file says 8/ })
  t.throws(() => Ct2Model.read(writeCt2('WhisperSpec', [], [['b', 'a']])), { message: /b stands for a, which is not there/ })
})

test('what is no Whisper, or one of another build, is refused in words', (t) => {
  t.like(t.throws(() => convertWhisper(writeCt2('TransformerSpec', []))), { code: 'MODEL_INVALID', message: 'Whisper of CTranslate2: expected a WhisperSpec, got TransformerSpec' })
  const whisper = new TinyWhisper(1, SHAPE)
  whisper.variables.find(({ name }) => name === 'decoder/activation')!.data[0] = 0
  t.throws(() => convertWhisper(whisper.file()), { message: /decoder\/activation: expected 3, got 0/ })
})

test('the converted graphs compute what the formulas say, token after token', async (t) => {
  const whisper = new TinyWhisper(7, SHAPE)
  const files = convertWhisper(whisper.file())
  t.deepEqual(convertWhisper(whisper.file()), files, 'the same bytes each time')
  const encoder = await ort.InferenceSession.create(files['encoder.onnx']!)
  const decoder = await ort.InferenceSession.create(files['decoder.onnx']!)
  t.teardown(async () => { await encoder.release(); await decoder.release() })
  for (const frames of [2, 9, 2 * SHAPE.positions]) {
    const mel = Array.from({ length: frames }, (_, at) => Array.from({ length: SHAPE.bands }, (__, band) => Math.sin(at + 2 * band)))
    const feed = Float32Array.from({ length: SHAPE.bands * frames }, (_, i) => mel[i % frames]![Math.floor(i / frames)]!)
    const cross = await encoder.run({ mel: new ort.Tensor('float32', feed, [1, SHAPE.bands, frames]) })
    const encoded = whisper.encode(mel)
    t.deepEqual(cross['cross_key_0']!.dims, [1, 1, 64, encoded.length])
    let past = { past_key_0: new ort.Tensor('float32', new Float32Array(0), [1, 1, 0, 64]), past_value_0: new ort.Tensor('float32', new Float32Array(0), [1, 1, 0, 64]) }
    const tokens: number[] = []
    for (const [position, token] of [3, 29, 0, 17].entries()) {
      tokens.push(token)
      const one = (value: number) => new ort.Tensor('int64', BigInt64Array.of(BigInt(value)), [1, 1])
      const out = await decoder.run({ token: one(token), position: one(position), ...past, ...cross })
      past = { past_key_0: out['key_0'] as ort.TypedTensor<'float32'>, past_value_0: out['value_0'] as ort.TypedTensor<'float32'> }
      const expected = whisper.next(encoded, tokens)
      const apart = Math.max(...expected.map((value, id) => Math.abs(value - (out['logits']!.data[id] as number))))
      t.true(apart < 1e-3, `${frames} frames, after ${tokens.length} tokens: ${apart} apart`)
    }
  }
})
