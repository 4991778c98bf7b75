import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import sharp, { type Sharp } from 'sharp'
import type { Box, TestPattern } from '../../inference/port.ts'
import { flipWeights } from '../../inference/worker/flip.ts'
import { temporary } from '../../inference/worker/testing.ts'
import { HALF_PX, loadDetector, squares, TOY_OPTIONS, toyGraph } from './testing.ts'

const RED = { colour: '#ff0000', x: 60, y: 50 }, BLUE = { colour: '#0000ff', x: 250, y: 110 }
const centre = ({ x, y, width, height }: Box) => ({ x: x + width / 2, y: y + height / 2 })
const isNear = (box: Box, { x, y }: { x: number; y: number }, byPx: number) => Math.abs(centre(box).x - x) <= byPx && Math.abs(centre(box).y - y) <= byPx

test('objects are told where they are in the picture, however it was scaled', async (t) => {
  const folder = await temporary(t)
  const detector = await loadDetector(folder)
  const file = join(folder, 'squares.png')
  await squares(320, 160, [RED, BLUE]).toFile(file)
  for (const sizePx of [undefined, 256, 250]) {
    const { detections, ...size } = await detector.run({ image: file, sizePx })
    t.deepEqual(size, { widthPx: 320, heightPx: 160 })
    t.deepEqual(detections.map(({ label }) => label).sort(), ['blue thing', 'red thing'])
    const factor = (sizePx === undefined ? 128 : 256) / 320
    for (const { label, score, box } of detections) {
      t.true(isNear(box, label === 'red thing' ? RED : BLUE, 4 / factor), JSON.stringify(box))
      t.true(Math.abs(box.width - 2 * HALF_PX / factor) < 1)
      t.true(score > 0.4 && score <= 1)
    }
  }
  t.deepEqual((await detector.run({ image: file, minScore: 1 })).detections, [])
  await detector.close()
})

test('a picture lies upright whatever its camera says of it; grey, deep, transparent and progressive ones are taken too', async (t) => {
  const folder = await temporary(t)
  const detector = await loadDetector(folder)
  const run = async (name: string, picture: Sharp) => {
    await picture.toFile(join(folder, name))
    return await detector.run({ image: join(folder, name) })
  }
  // 6: the camera was held so that the picture must be turned by 90° clockwise.
  const turned = await run('turned.jpg', sharp(await squares(320, 160, [RED]).rotate(-90).png().toBuffer()).jpeg({ quality: 95 }).withMetadata({ orientation: 6 }))
  t.is(turned.widthPx, 320)
  t.is(turned.heightPx, 160)
  t.true(isNear(turned.detections[0]!.box, RED, 12), JSON.stringify(turned.detections))
  for (const [name, picture] of [
    ['deep.png', squares(320, 160, [RED]).toColourspace('rgb16').png()], ['transparent.png', squares(320, 160, [RED]).ensureAlpha(0.9).png()],
    ['progressive.jpg', squares(320, 160, [RED]).jpeg({ progressive: true, quality: 95 })], ['lossy.webp', squares(320, 160, [RED]).webp()], ['palette.png', squares(320, 160, [RED]).png({ palette: true })],
    ['cmyk.jpg', squares(320, 160, [RED]).toColourspace('cmyk').jpeg({ quality: 95 })],
  ] as const) {
    const { detections } = await run(name, picture)
    t.is(detections[0]?.label, 'red thing', name)
    t.true(isNear(detections[0]!.box, RED, 12), name)
  }
  t.deepEqual((await run('grey.png', squares(320, 160, [RED]).greyscale().toColourspace('b-w'))).detections, [])
  t.is((await sharp(join(folder, 'grey.png')).metadata()).channels, 1)
  await detector.close()
})

test('what is no picture is refused as such, and the detector goes on', async (t) => {
  const folder = await temporary(t)
  const detector = await loadDetector(folder)
  const good = join(folder, 'good.jpg')
  await squares(320, 160, [RED]).jpeg().toFile(good)
  const jpeg = await readFile(good)
  await mkdir(join(folder, 'folder.jpg'))
  const refuses = async (name: string, content: Uint8Array | string | undefined, message: RegExp) => {
    if (content !== undefined) await writeFile(join(folder, name), content)
    const error = await t.throwsAsync(() => detector.run({ image: join(folder, name) }), { message }, name)
    t.like(error, { code: 'IMAGE_INVALID' }, name)
  }
  await refuses('missing.jpg', undefined, /no such file/)
  await refuses('folder.jpg', undefined, /is no file/)
  await refuses('empty.jpg', '', /is empty/)
  await refuses('text.jpg', 'This is a text that calls itself a picture.', /is no JPEG, PNG or WebP/)
  await refuses('vector.svg', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', /is no JPEG, PNG or WebP/)
  await refuses('cut.jpg', jpeg.subarray(0, jpeg.length / 2), /cannot be decoded/)
  await refuses('head.jpg', jpeg.subarray(0, 20), /cannot be (read|decoded)/)
  await refuses('huge.png', await sharp({ create: { width: 8000, height: 6300, channels: 3, background: '#123' } }).png({ compressionLevel: 1 }).toBuffer(), /has 50 megapixels; 50 at most/)
  t.is((await detector.run({ image: good })).detections[0]?.label, 'red thing')
  await detector.close()
})

test('the picture with boxes is a JPEG of its size with the frame of the box in it', async (t) => {
  const folder = await temporary(t)
  const detector = await loadDetector(folder)
  const file = join(folder, 'squares.png'), annotate = join(folder, 'new/boxes.jpg')
  await squares(320, 160, [BLUE]).toFile(file)
  const { detections: [{ box } = { box: undefined }] } = await detector.run({ image: file, annotate })
  const { data, info } = await sharp(annotate).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  t.is((await sharp(annotate).metadata()).format, 'jpeg')
  t.deepEqual([info.width, info.height], [320, 160])
  const at = (x: number, y: number) => [...data.subarray(3 * (Math.round(y) * 320 + Math.round(x)), 3 * (Math.round(y) * 320 + Math.round(x)) + 3)]
  const [red, green, blue] = at(box!.x, box!.y + box!.height / 2)
  t.true(Math.max(Math.abs(red! - 128), Math.abs(green! - 128), Math.abs(blue! - 128)) > 60, `the frame is ${red}, ${green}, ${blue} on grey`)
  t.true(at(10, 80).every((value) => Math.abs(value - 128) < 12), 'the rest is as it was')
  await detector.close()
})

test('a picture with boxes that cannot be written is told as that', async (t) => {
  const folder = await temporary(t)
  const detector = await loadDetector(folder)
  const file = join(folder, 'squares.png')
  await squares(320, 160, [BLUE]).toFile(file)
  t.like(await t.throwsAsync(() => detector.run({ image: file, annotate: join(file, 'boxes.jpg') })), { code: 'IMAGE_INVALID' })
  await detector.close()
})

test('a test pattern gives the same digest and figures each time; flipped bits of the weights give another', async (t) => {
  const folder = await temporary(t)
  const pattern: TestPattern = { pattern: 'shapes', seed: 3, widthPx: 64, heightPx: 64, views: 3 }
  const look = async (bytes: Uint8Array, image: TestPattern) => {
    const detector = await loadDetector(folder, bytes)
    t.is(detector.digest!(), undefined)
    const output = await detector.run({ image })
    const digest = detector.digest!()
    await detector.close()
    return { output, digest }
  }
  const first = await look(toyGraph(), pattern)
  t.regex(first.digest!, /^[0-9a-f]{64}$/)
  t.deepEqual(await look(toyGraph(), pattern), first)
  t.is(first.output.summary!.length, 32)
  t.not((await look(toyGraph(), { ...pattern, seed: 4 })).digest, first.digest)
  t.not((await look(toyGraph(), { ...pattern, views: 2 })).digest, first.digest)
  t.not((await look(flipWeights(toyGraph(), 2, 8), pattern)).digest, first.digest)
})

test('a graph of a fixed size is served at that size, one picture at a time', async (t) => {
  const folder = await temporary(t)
  const detector = await loadDetector(folder, toyGraph(192))
  const file = join(folder, 'squares.png')
  await squares(320, 160, [RED]).toFile(file)
  const { detections } = await detector.run({ image: file, sizePx: 64 })
  t.true(isNear(detections[0]!.box, RED, 8))
  t.is((await detector.run({ image: { pattern: 'shapes', seed: 1, widthPx: 64, heightPx: 64 } })).summary!.length, 32)
  t.like(await t.throwsAsync(() => detector.run({ image: { pattern: 'shapes', seed: 1, widthPx: 64, heightPx: 64, views: 2 } })), { code: 'MODEL_INVALID' })
  t.like(await t.throwsAsync(() => detector.run({ image: { pattern: 'shapes', seed: 1, widthPx: 256, heightPx: 64 } })), { code: 'MODEL_INVALID' })
  await detector.close()
})

test('a manifest that does not fit its graph is told when it is loaded or first used', async (t) => {
  const folder = await temporary(t)
  const wrong = async (options: Record<string, unknown>, message: RegExp) => { t.like(await t.throwsAsync(async () => { const detector = await loadDetector(folder, toyGraph(), options); await detector.run({ image: { pattern: 'shapes', seed: 1, widthPx: 32, heightPx: 32 } }) }, { message }), { code: 'MODEL_INVALID' }) }
  await wrong({ ...TOY_OPTIONS, decoder: 'magic' }, /options of toy/)
  await wrong({ ...TOY_OPTIONS, colour: 1 }, /unknown colour/)
  await wrong({ ...TOY_OPTIONS, heat: 'warmth' }, /no output warmth/)
  await wrong({ ...TOY_OPTIONS, labels: ['one'] }, /for 2 classes, the labels for 1/)
  await wrong({ ...TOY_OPTIONS, decoder: 'yolo' }, /boxes have the shape/)
})
