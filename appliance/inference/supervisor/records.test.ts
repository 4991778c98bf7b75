import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import { FaultReport } from './faults.ts'
import { inputBytes, inputKey } from './input-key.ts'
import { LinesFile } from './lines-file.ts'
import { Quarantine } from './quarantine.ts'

async function temporary(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-records-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
const failing = (t: ExecutionContext) => (error: unknown) => { t.fail(String(error)) }
const subject = (key: string, model = 'm') => ({ key, task: 'read', model, version: '1', input: { image: `${key}.jpg` } })

test('two losses in a row make poison, a right answer between them does not', async (t) => {
  const quarantine = new Quarantine(new ManualClock(), join(await temporary(t), 'q.jsonl'), failing(t))
  t.is(quarantine.lost(subject('a'), 'crash', 'w: SIGSEGV'), undefined)
  t.true(quarantine.suspects('m'))
  quarantine.right('a')
  t.false(quarantine.suspects('m'))
  t.is(quarantine.lost(subject('a'), 'hang', 'w: no answer'), undefined)
  t.is(quarantine.lost(subject('b'), 'crash', 'w: SIGSEGV'), undefined)
  t.like(quarantine.lost(subject('a'), 'memory', 'w: 2 GB'), { key: 'a', input: '{"image":"a.jpg"}', reasons: ['hang: w: no answer', 'memory: w: 2 GB'] })
  t.true(quarantine.holds('m'))
  t.is(quarantine.count('m'), 1)
  await quarantine.stop()
})

test('where workers are killed over several inputs none of those is to blame', async (t) => {
  const clock = new ManualClock()
  const quarantine = new Quarantine(clock, join(await temporary(t), 'q.jsonl'), failing(t))
  for (const key of ['a', 'b', 'a', 'b', 'a']) t.is(quarantine.lost(subject(key), 'killed', 'w: SIGKILL'), undefined)
  await clock.advance(61_000)
  t.truthy(quarantine.lost(subject('a'), 'killed', 'w: SIGKILL') ?? quarantine.lost(subject('a'), 'killed', 'w: SIGKILL'))
  await quarantine.stop()
})

test('quarantine outlives a restart and is bounded', async (t) => {
  const file = join(await temporary(t), 'sub', 'q.jsonl')
  const clock = new ManualClock()
  const first = new Quarantine(clock, file, failing(t))
  await first.start()
  for (let i = 0; i < 502; i++) { first.lost(subject(`k${i}`), 'crash', 'x'); first.lost(subject(`k${i}`), 'crash', 'x') }
  await first.stop()
  const second = new Quarantine(clock, file, failing(t))
  await second.start()
  t.is(second.list().length, 500)
  t.is(second.get('k1'), undefined)
  t.truthy(second.get('k501'))
})

test('the report tells how long service was away, or that it never came back', async (t) => {
  const file = join(await temporary(t), 'faults.jsonl')
  const clock = new ManualClock(0)
  const report = new FaultReport(clock, file, failing(t))
  await report.start()
  report.add({ group: 'text', worker: 'text-1', model: 'a', kind: 'crash', detail: 'x', done: 'y' })
  report.add({ group: 'text', worker: 'text-1', kind: 'hang', detail: 'x', done: 'y' })
  report.add({ group: 'vision', worker: 'vision-1', model: 'a', kind: 'crash', detail: 'x', done: 'y' })
  await clock.advance(100)
  report.recovered('text', 'b')
  await clock.advance(50)
  report.recovered('text', 'a')
  t.deepEqual(report.list().map(({ recoveredAfterMs }) => recoveredAfterMs), [150, 100, undefined])
  await report.stop()
  const lines = (await readFile(file, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as { id: number })
  t.deepEqual(lines.map(({ id }) => id), [2, 1, 3])
  const next = new FaultReport(clock, file, failing(t))
  await next.start()
  t.is(next.list().length, 3)
  t.is(next.add({ group: 'text', worker: 'text-1', kind: 'crash', detail: 'x', done: 'y' }).id, 4)
  t.is(next.list(2).length, 2)
  await next.stop()
})

test('a file of lines turns at its bound, and half a line from a power cut spoils nothing', async (t) => {
  const file = join(await temporary(t), 'l.jsonl')
  await writeFile(file, '{"n":0}\n{"n":')
  const lines = new LinesFile(file, 100, failing(t))
  for (let n = 1; n <= 20; n++) lines.append({ n })
  await lines.flush()
  const read = (await lines.read()).map(({ n }) => n as number)
  t.is(read.at(-1), 20)
  t.true(read.length < 30 && read.length > 10)
  t.deepEqual(read, [...read].sort((a, b) => a - b))
})

test('what the disk does not take is told once, and writing goes on when it does', async (t) => {
  const folder = await temporary(t)
  const lost: unknown[] = []
  // A folder where the file should be: nobody can write there, whoever he is.
  const lines = new LinesFile(join(folder, 'file', 'l.jsonl'), 1_000, (error) => { lost.push(error) })
  await writeFile(join(folder, 'file'), '')
  lines.append({ n: 1 })
  lines.append({ n: 2 })
  await lines.flush()
  t.is(lost.length, 1)
  await rm(join(folder, 'file'))
  lines.append({ n: 3 })
  await lines.flush()
  t.deepEqual(await lines.read(), [{ n: 3 }])
})

test('an input is known by what it says, whatever the order of its keys, and by the very file it names', async (t) => {
  const file = join(await temporary(t), 'a.jpg')
  await writeFile(file, 'x')
  const key = (input: Record<string, unknown>, version = '1') => inputKey('detect', 'm', version, input)
  const first = await key({ image: file, minScore: 0.4 })
  t.is(await key({ minScore: 0.4, image: file }), first)
  t.not(await key({ image: file, minScore: 0.5 }), first)
  t.not(await key({ image: file, minScore: 0.4 }, '2'), first)
  await utimes(file, 1, 1)
  t.not(await key({ image: file, minScore: 0.4 }), first)
  const tensor = (data: unknown) => key({ feeds: { x: { type: 'float32', dims: [2], data } } })
  t.not(await tensor(Float32Array.of(1, 2)), await tensor(Float32Array.of(1, 3)))
  t.is(await tensor(BigInt64Array.of(1n)), await tensor(BigInt64Array.of(1n)))
})

test('the size of an input is that of the file it names, or of its tensors', async (t) => {
  const file = join(await temporary(t), 'a.wav')
  await writeFile(file, 'x'.repeat(1000))
  t.is(await inputBytes({ file }), 1000)
  t.is(await inputBytes({ file: `${file}.gone` }), 0)
  t.is(await inputBytes({ feeds: { a: { data: new Float32Array(10) }, b: { data: new Uint8Array(3) } } }), 43)
  t.is(await inputBytes({ image: { pattern: 'shapes' } }), 0)
})
