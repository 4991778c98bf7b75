import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { MtorError } from '../../contracts/errors.ts'
import type { Manifest } from '../../inference/manifest.ts'
import type { LoadContext } from '../../inference/task.ts'
import { broughtModels, drawGrain, drawSign, signSize, turnByExif } from '../testing.ts'
import { drawText } from './font.ts'
import { readScore, textLines } from './lines.ts'
import { task } from './task.ts'

const folder = await mkdtemp(join(tmpdir(), 'mtor-read-'))
const model = await broughtModels().trusted('tesseract-eng')
const contextOf = (over: Partial<LoadContext['model']> = {}): LoadContext => ({ model: { ...model, ...over }, threads: 1, open: () => { throw new TypeError('reads without a session') } })
const reader = await task.load(contextOf())
test.after.always(async () => { await reader.close(); await rm(folder, { recursive: true, force: true }) })
const file = (name: string) => join(folder, name)

test('the known answers of the manifest come out', async (t) => {
  for (const { input, output } of model.manifest.knownAnswers) t.is((await reader.run(input as never)).text, (output as { text: string }).text)
})

test('a sign is read, upright, small, near, upside down and turned by its EXIF data, with where it is', async (t) => {
  for (const [name, turnedDeg, scale] of [['upright', 0, 1], ['small', 0, 0.4], ['near', 0, 2], ['upside', 180, 1]] as const) {
    await drawSign(file(`${name}.jpg`), 'EXIT 47', { turnedDeg, scale })
    const { text, lines } = await reader.run({ image: file(`${name}.jpg`) })
    t.is(text, 'EXIT 47', name)
    t.true(lines[0]!.confidence > 0.7, name)
    const { x, y, width, height } = lines[0]!.box
    const { widthPx, heightPx } = signSize('EXIT 47', scale)
    t.true(x >= 70 * scale && y >= 70 * scale && x + width <= widthPx - 60 * scale && y + height <= heightPx - 60 * scale, `${name}: ${JSON.stringify(lines[0]!.box)} in ${widthPx} × ${heightPx}`)
  }
  await turnByExif(file('upside.jpg'), file('exif.jpg'), 3)
  t.is((await reader.run({ image: file('exif.jpg') })).text, 'EXIT 47')
})

test('grain is no text', async (t) => {
  await drawGrain(file('grain.jpg'))
  t.deepEqual(await reader.run({ image: file('grain.jpg') }), { text: '', lines: [] })
})

test('what is no picture is IMAGE_INVALID, and the next picture is read all the same', async (t) => {
  await drawSign(file('whole.jpg'), 'HALL 4')
  const whole = await readFile(file('whole.jpg'))
  await writeFile(file('cut.jpg'), whole.subarray(0, whole.length / 2))
  await writeFile(file('words.jpg'), 'no picture')
  for (const name of ['cut.jpg', 'words.jpg', 'absent.jpg']) t.is((await t.throwsAsync(reader.run({ image: file(name) }), { instanceOf: MtorError }))!.code, 'IMAGE_INVALID', name)
  t.is((await reader.run({ image: file('whole.jpg') })).text, 'HALL 4')
})

test('trained data that are none, or are not there, are MODEL_INVALID', async (t) => {
  await writeFile(file('eng.traineddata'), 'not trained at all')
  const manifest = (path: string): Manifest => ({ ...model.manifest, files: [{ path, sha256: '0'.repeat(64), bytes: 1 }] })
  t.is((await t.throwsAsync(task.load(contextOf({ folder, manifest: manifest('eng.traineddata') })), { instanceOf: MtorError }))!.code, 'MODEL_INVALID')
  t.is((await t.throwsAsync(task.load(contextOf({ folder, manifest: manifest('eng.onnx') })), { instanceOf: MtorError }))!.code, 'MODEL_INVALID')
  await copyFile(join(model.folder, model.manifest.files[0]!.path), file('again.traineddata.gz'))
  const again = await task.load(contextOf({ folder, manifest: manifest('again.traineddata.gz') }))
  t.is((await again.run({ image: { pattern: 'text', text: 'MTOR 42' } })).text, 'MTOR 42')
  await again.close()
})

test('the font draws what it has, and says what it lacks', (t) => {
  const { data, widthPx, heightPx } = drawText('A 1')
  t.is(data.length, widthPx * heightPx)
  t.deepEqual(new Set(data), new Set([255, 0]))
  for (const text of ['', 'a', 'Ä', 'X'.repeat(25)]) t.is(t.throws(() => drawText(text), { instanceOf: MtorError }).code, 'MODEL_INVALID', text)
})

test('words are text by how sure they are, the surer the shorter; unsure ones count beside sure ones only', (t) => {
  const word = (text: string, confidence: number, x = 0) => ({ text, confidence, box: { x, y: 0, width: 10, height: 5 } })
  const texts = (...lines: ReturnType<typeof word>[][]) => textLines(lines).map((line) => line.text)
  t.deepEqual(texts([word('US', 0.7)], [word('al', 0.75)], [word('|', 0.99)], [word('—', 0.99)], [word('a', 0.9)]), [])
  t.deepEqual(texts([word('IN', 0.94)], [word('4', 0.95)], [word('gate', 0.71)]), ['IN', '4', 'gate'])
  t.deepEqual(texts([word('High', 0.95), word('400', 0.55), word('~', 0.9), word('V', 0.3)]), ['High 400'])
  t.deepEqual(textLines([[word('ab', 0.9, 10), word('cd', 0.9, 30)]]), [{ text: 'ab cd', confidence: 0.9, box: { x: 10, y: 0, width: 30, height: 5 } }])
  t.is(readScore(textLines([[word('Exit!', 0.8)]])), 3.2)
})
