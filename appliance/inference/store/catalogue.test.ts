import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { Catalogue, checkManifest } from './catalogue.ts'
import { bench, cleanUp, manifestOf, noise, pinnedFile, temporary } from './testing.ts'
import { readYaml, SHIPPED_DIR } from './yaml.ts'
import type { MtorError } from '../../contracts/errors.ts'

cleanUp(test)

const file = pinnedFile('model.onnx', noise(10))
const good = manifestOf('eyes', { kind: 'url', url: 'http://127.0.0.1/x' }, [file])

test('every manifest that comes with the appliance is right, and says what its licence leaves open', async (t) => {
  const problems: MtorError[] = []
  const catalogue = new Catalogue({ modelsDir: await temporary(), copyDir: await temporary(), onInvalid: (error) => problems.push(error) })
  t.deepEqual(problems.map(({ message }) => message), [])
  const names = (await readdir(SHIPPED_DIR)).filter((name) => name.endsWith('.yaml')).map((name) => name.slice(0, -5)).sort()
  t.deepEqual(catalogue.list().map(({ manifest }) => manifest.name), names)
  for (const wanted of ['centernet-coco', 'tesseract-eng', 'vosk-small-en-us', 'libvosk', 'silero-vad']) t.true(catalogue.get(wanted).manifest.default, wanted)
  for (const { manifest } of catalogue.list()) t.true(manifest.licence.spdx !== 'NOASSERTION' || manifest.licence.note !== undefined, manifest.name)
})

test('what a schema cannot say is checked as well', (t) => {
  const wrong = (more: object, message: RegExp) => t.throws(() => checkManifest({ ...good, ...more }, 'eyes.yaml'), { code: 'MODEL_INVALID', message })
  t.is(checkManifest(good, 'eyes.yaml').name, 'eyes')
  wrong({ files: [{ ...file, path: '../model.onnx' }] }, /eyes\.yaml.*files/)
  wrong({ files: [{ ...file, path: '/etc/model.onnx' }] }, /files/)
  wrong({ files: [{ ...file, path: 'a/../../model.onnx' }] }, /files/)
  wrong({ files: [{ ...file, from: 'a//b' }] }, /plain form/)
  wrong({ files: [{ ...file, path: './model.onnx' }] }, /plain form/)
  wrong({ files: [file, file] }, /twice/)
  wrong({ files: [{ ...file, path: 'manifest.json' }] }, /manifest\.json/)
  wrong({ files: [{ ...file, sha256: 'ABC' }] }, /sha256/)
  wrong({ name: '../eyes' }, /name/)
  wrong({ version: '..' }, /version/)
  wrong({ knownAnswers: [] }, /knownAnswers/)
  wrong({ convert: { from: 'tfjs', inputs: [file], output: 'other.onnx' } }, /other\.onnx/)
  wrong({ surprise: 1 }, /surprise/)
  t.is(checkManifest({ ...good, task: 'speech', knownAnswers: [] }, 'x').task, 'speech')
})

test('one manifest that is wrong is named with its file and its problem, and does not keep the others away', async (t) => {
  const { store, shippedDir, events } = await bench([good, { ...good, name: 'hand', memoryMB: 0 }])
  await writeFile(join(shippedDir, 'broken.yaml'), 'name: [')
  await writeFile(join(shippedDir, 'other-name.yaml'), JSON.stringify(good))
  t.deepEqual(store.list().map(({ name }) => name), ['eyes'])
  t.throws(() => store.manifest('hand'), { code: 'MODEL_INVALID', message: /hand\.yaml.*memoryMB/ })
  t.throws(() => store.manifest('broken'), { code: 'MODEL_INVALID', message: /broken\.yaml.*line 1/ })
  t.throws(() => store.manifest('other-name'), { code: 'MODEL_INVALID', message: /other-name\.yaml/ })
  t.deepEqual(events.map(({ name, code }) => `${name} ${code}`), Array(3).fill('model.invalid MODEL_INVALID'))
})

test('a manifest in the store that belongs to another model is not believed', async (t) => {
  const { store, modelsDir, events } = await bench()
  const folder = await temporary()
  await writeFile(join(folder, 'model.onnx'), noise(10))
  await store.install(manifestOf('eyes', { kind: 'learned', by: 'a test' }, [file]), folder)
  await mkdir(join(modelsDir, 'ears/1'), { recursive: true })
  await writeFile(join(modelsDir, 'ears/1/manifest.json'), JSON.stringify(readYaml(join(modelsDir, 'eyes/1/manifest.json'))))
  t.deepEqual(store.list().map(({ name }) => name), ['eyes'])
  t.regex(events.at(-1)!.message!, /ears.*that of eyes/)
  await t.throwsAsync(store.trusted('ears'), { code: 'MODEL_INVALID' })
})
