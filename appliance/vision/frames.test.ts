import { createHash } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { MtorError } from '../contracts/errors.ts'
import { FrameRing } from './frames.ts'

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mtor-frames-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}
const AT = { boot: 3, mono: 12.5 }
/** Puts a picture of these bytes into the ring. */
async function add(ring: FrameRing, text: string, { thumbnail = true, held = false } = {}) {
  const place = await ring.place()
  await writeFile(place.file, text)
  if (thumbnail) await writeFile(place.thumbnail, 'small')
  const frame = await ring.keep(place, { widthPx: 4, heightPx: 3, thumbnail, from: 'directory:/x' }, AT)
  if (!held) ring.release(frame)
  return frame
}

test('a picture is there with thumbnail and what is known of it', async (t) => {
  const root = await folder(t)
  const frame = await add(new FrameRing(root, { maxFrames: 5 }), 'picture')
  t.is(await readFile(frame.file, 'utf8'), 'picture')
  t.is(await readFile(frame.thumbnail!, 'utf8'), 'small')
  t.deepEqual(JSON.parse(await readFile(join(root, `${frame.id}.json`), 'utf8')), { id: frame.id, camera: 'directory:/x', at: AT, widthPx: 4, heightPx: 3, bytes: 7, sha256: createHash('sha256').update('picture').digest('hex') })
  t.deepEqual((await readdir(root)).sort(), [`${frame.id}.jpg`, `${frame.id}.json`, `${frame.id}.thumb.jpg`])
})

test('the oldest goes with all its files, except while it is looked at', async (t) => {
  const root = await folder(t)
  const ring = new FrameRing(root, { maxFrames: 2 })
  const first = await add(ring, 'a', { held: true })
  await writeFile(first.annotated, 'boxes')
  await add(ring, 'b')
  await add(ring, 'c')
  await add(ring, 'd')
  t.true((await readdir(root)).includes(`${first.id}.jpg`), 'held')
  ring.release(first)
  const last = await add(ring, 'e')
  t.deepEqual(ring.last(9).map(({ bytes, id }) => [bytes, id.slice(0, 10)]), [[1, '0000000004'], [1, '0000000005']])
  t.false((await readdir(root)).some((name) => name.startsWith(first.id)))
  t.is(ring.last(1)[0]!.id, last.id)
})

test('after a restart the pictures are there, numbers go on, and what a crash left half-made is gone', async (t) => {
  const root = await folder(t)
  const before = new FrameRing(root, { maxFrames: 5 })
  const kept = await add(before, 'a', { thumbnail: false })
  const cut = await add(before, 'b')
  const damaged = await add(before, 'c')
  // As after a crash: taken but never kept; a record that was never written; one that is torn.
  await writeFile((await before.place()).file, 'half')
  await rm(join(root, `${cut.id}.json`))
  await writeFile(join(root, `${damaged.id}.json`), '{"id":')
  const ring = new FrameRing(root, { maxFrames: 5 })
  await ring.open()
  t.deepEqual(ring.last(9), [kept])
  t.deepEqual((await readdir(root)).sort(), [`${kept.id}.jpg`, `${kept.id}.json`])
  t.true((await add(ring, 'd')).id > damaged.id)
})

test('a smaller ring drops the oldest when it is opened', async (t) => {
  const root = await folder(t)
  const before = new FrameRing(root, { maxFrames: 5 })
  const ids = []
  for (const text of ['a', 'b', 'c', 'd']) ids.push((await add(before, text)).id)
  const ring = new FrameRing(root, { maxFrames: 2 })
  await ring.open()
  t.deepEqual(ring.last(9).map(({ id }) => id), ids.slice(2))
})

test('a disk that is nearly full takes no picture, and has room again later', async (t) => {
  const root = await folder(t)
  const full = new FrameRing(root, { maxFrames: 5, minFreeBytes: Number.MAX_SAFE_INTEGER })
  const error = await t.throwsAsync(full.place(), { instanceOf: MtorError })
  t.is(error.code, 'DISK_FULL')
  t.deepEqual(await readdir(root), [])
  await t.notThrowsAsync(add(new FrameRing(root, { maxFrames: 5 }), 'a'))
})

test('a picture that cannot be kept leaves nothing behind', async (t) => {
  const root = await folder(t)
  const ring = new FrameRing(root, { maxFrames: 5 })
  const place = await ring.place()
  await writeFile(place.file, 'a')
  // The camera promised a thumbnail and made none.
  const error = await t.throwsAsync(ring.keep(place, { widthPx: 1, heightPx: 1, thumbnail: true, from: 'x' }, AT), { instanceOf: MtorError })
  t.is(error.code, 'CAMERA')
  t.deepEqual(await readdir(root), [])
  t.is(ring.size, 0)
})

test('a folder that cannot be made is an error, each time it is tried', async (t) => {
  const root = await folder(t)
  await writeFile(join(root, 'file'), '')
  const ring = new FrameRing(join(root, 'file', 'frames'), { maxFrames: 5 })
  for (let turn = 0; turn < 2; turn++) t.is((await t.throwsAsync(ring.place(), { instanceOf: MtorError })).code, 'CAMERA')
})
