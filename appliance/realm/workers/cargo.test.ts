import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import fc from 'fast-check'
import type { PlainTensor } from '../../inference/port.ts'
import { decodeFrame, encodeFrame, joinMessage, splitMessage } from '../peers/frames.ts'
import { MAX_CARGO_BYTES, packInput, packOutput, unpackInput, unpackOutput } from './cargo.ts'

const folder = await mkdtemp(join(tmpdir(), 'mtor-cargo-'))
test.after.always(() => rm(folder, { recursive: true, force: true }))

/** What comes out at the other end of a link. */
function carried<T>(message: T): T {
  const { binary, ...content } = splitMessage(message)
  return joinMessage(decodeFrame(encodeFrame({ t: 'msg', ...content }, binary))) as T
}

const floats = fc.array(fc.float({ noDefaultInfinity: false }), { maxLength: 40 }).map((list): PlainTensor => ({ type: 'float32', dims: [list.length], data: Float32Array.from(list) }))
const longs = fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 10 }).map((list): PlainTensor => ({ type: 'int64', dims: [list.length], data: BigInt64Array.from(list) }))
const bytes = fc.uint8Array({ maxLength: 13 }).map((data): PlainTensor => ({ type: 'uint8', dims: [1, data.length], data: Uint8Array.from(data) }))
const tensors = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.oneof(floats, longs, bytes), { maxKeys: 4 })

test('tensors arrive bit for bit, whatever their types and wherever their bytes begin', async (t) => {
  await fc.assert(fc.asyncProperty(tensors, async (feeds) => {
    const { bytes: cargo, ...packed } = await packInput('tensor', { feeds })
    const { input } = await unpackInput('tensor', carried(cargo ? { ...packed, bytes: cargo } : packed), folder)
    t.deepEqual({ ...input['feeds'] as object }, { ...feeds })
    t.deepEqual({ ...unpackOutput(carried(await packOutput('tensor', { tensors: feeds }, undefined))).output['tensors'] as object }, { ...feeds })
  }), { numRuns: 150 })
})

test('a picture goes as its bytes, and what is drawn of it comes back as such', async (t) => {
  const picture = join(folder, 'a.jpg')
  await writeFile(picture, 'the picture')
  const packed = await packInput('detect', { image: picture, minScore: 0.4, annotate: join(folder, 'drawn.jpg') })
  t.deepEqual(packed.fields, { minScore: 0.4 })
  const there = await mkdtemp(join(folder, 'there-'))
  const { input, output } = await unpackInput('detect', carried(packed), there)
  t.deepEqual(input, { minScore: 0.4, image: join(there, 'input.jpg'), annotate: join(there, 'output.jpg') })
  t.is(await readFile(String(input['image']), 'utf8'), 'the picture')
  await writeFile(output!, 'drawn')
  const back = unpackOutput(carried(await packOutput('detect', { detections: [] }, output)))
  t.deepEqual(back.output, { detections: [] })
  t.is(Buffer.from(back.file!).toString(), 'drawn')
})

test('a file that was not written is missing here too', async (t) => {
  t.deepEqual(unpackOutput(carried(await packOutput('speak', { audioS: 1 }, join(folder, 'none.wav')))), { output: { audioS: 1 } })
})

for (const [task, fields] of [['detect', { image: '/etc/shadow' }], ['read', { image: 'x' }], ['transcribe', { file: '/etc/shadow' }], ['speak', { text: 'hi', file: '/etc/cron.d/x' }], ['detect', { annotate: '/etc/cron.d/x' }], ['keyword', { file: '../x' }]] as const) {
  test(`another node cannot have a file opened here: ${task} ${JSON.stringify(fields)}`, async (t) => {
    await t.throwsAsync(unpackInput(task, { fields }, folder), { code: 'MALFORMED' })
  })
}

test('what does not fit together is refused', async (t) => {
  const file = { extension: '.jpg' }
  await t.throwsAsync(unpackInput('read', { fields: {}, file }, folder), { code: 'MALFORMED' })
  await t.throwsAsync(unpackInput('normality', { fields: {}, file, bytes: Buffer.from('x') }, folder), { code: 'MALFORMED' })
  await t.throwsAsync(unpackInput('read', { fields: {}, wants: file }, folder), { code: 'MALFORMED' })
  const tensor = { type: 'float32' as const, dims: [2], offset: 0, byteLength: 8 }
  await t.throwsAsync(unpackInput('tensor', { fields: {}, tensors: { x: tensor }, bytes: Buffer.alloc(7) }, folder), { code: 'MALFORMED' })
  await t.throwsAsync(unpackInput('tensor', { fields: {}, tensors: { x: { ...tensor, dims: [3] } }, bytes: Buffer.alloc(16) }, folder), { code: 'MALFORMED' })
  t.throws(() => unpackOutput({ output: {}, hasFile: true }), { code: 'MALFORMED' })
})

test('more than a link takes is refused before it is read', async (t) => {
  const large = join(folder, 'large.wav')
  await writeFile(large, Buffer.alloc(MAX_CARGO_BYTES + 1))
  await t.throwsAsync(packInput('transcribe', { file: large }), { code: 'TOO_LARGE' })
  await t.throwsAsync(packOutput('speak', {}, large), { code: 'TOO_LARGE' })
  await t.throwsAsync(packInput('normality', { values: Array.from({ length: 2_000_000 }, () => 0.123456) }), { code: 'TOO_LARGE' })
  await t.throwsAsync(packInput('tensor', { feeds: { x: { type: 'uint8', dims: [MAX_CARGO_BYTES + 1], data: new Uint8Array(MAX_CARGO_BYTES + 1) } } }), { code: 'TOO_LARGE' })
})
