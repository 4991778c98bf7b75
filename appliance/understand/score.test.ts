import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'ava'
import { MtorError } from '../contracts/errors.ts'
import { runUnderstand, Understander } from './index.ts'

const understander = await Understander.load()
const folder = await mkdtemp(path.join(tmpdir(), 'understand-'))
test.after.always(() => rm(folder, { recursive: true }))

const run = async (name: string, content: string, options: { json?: boolean; proposals?: boolean } = {}) => {
  const file = path.join(folder, name)
  await writeFile(file, content)
  const lines: string[] = []
  const { exitCode } = await runUnderstand({ file, json: options.json ?? false, proposals: options.proposals ?? false }, (line) => lines.push(line), understander)
  return { lines, exitCode }
}

test('--json gives one line a sentence, type null where nothing matches', async (t) => {
  const { lines, exitCode } = await run('plain.txt', '# a comment\n\nturn left ninety degrees\r\nhello there\n', { json: true })
  const [one, two] = lines.map((line) => JSON.parse(line))
  t.is(lines.length, 2)
  t.deepEqual(Object.keys(one), ['text', 'type', 'slots', 'ms', 'by'])
  t.like(one, { text: 'turn left ninety degrees', type: 'drive.turn', slots: { angleDeg: 90 }, by: 'template' })
  t.deepEqual(Object.keys(two), ['text', 'type', 'slots', 'ms'])
  t.like(two, { text: 'hello there', type: null, slots: {} })
  t.is(typeof one.ms, 'number')
  t.is(exitCode, 0)
})

test('a proposal is marked as one', async (t) => {
  const { lines } = await run('proposal.txt', 'turn ninety degrees\n', { json: true, proposals: true })
  t.like(JSON.parse(lines[0]!), { type: 'drive.turn', slots: { angleDeg: 90 }, by: 'proposal' })
})

test('expectations are scored, in tabs or in JSON lines', async (t) => {
  const { lines, exitCode } = await run('scored.tsv', [
    'drive back two metres\tdrive.move\t{"distanceM":-2}', 'drive forward two metres\tdrive.move\t{"distanceM":3}', 'stop\tdrive.move', 'gibberish\tstop', 'stop\t-', 'gibberish\t-',
    '{"text":"lights on","type":"light.set","slots":{"on":true}}', '{"text":"drive","type":null}', 'drive forward\tdrive.move\t{"distanceM":null}'].join('\n'))
  t.is(exitCode, 1)
  t.regex(lines.at(-2)!, /^recall 50\.0 % \(6 sentences: 1 missed, 1 wrong type, 1 wrong slots\)/)
  t.is(lines.at(-1), 'false accepts 1 of 3 that must not match')
  t.is((await run('right.tsv', 'stop\tstop\n')).exitCode, 0)
})

test('a byte order mark, empty lines and Windows line ends are no part of a sentence', async (t) => {
  const { lines, exitCode } = await run('windows.txt', '\uFEFF# comment\r\n\r\n   \r\nstop\tstop\r\nlights on\r\n')
  t.deepEqual(lines.slice(0, 2), ['stop  ->  stop', 'lights on  ->  light.set {"on":true}'])
  t.is(exitCode, 0)
  t.deepEqual((await run('empty.txt', '')).lines, [])
})

test('what is no text, no type or no slots is refused with its line; control characters never reach a terminal', async (t) => {
  for (const [content, message] of [['stop\nstop\0\n', /^line 2: .*NUL/], ['stop\tstpo\n', /^line 1: unknown type "stpo"/], ['{"text":"stop","type":"stop","slots":5}\n', /^line 1: .*"slots"/], ['x\tstop\t\u001b[2J\n', /\\u001b/]] as const) {
    const error = await t.throwsAsync<MtorError>(run('bad.txt', content))
    t.is(error?.code, 'USAGE')
    t.regex(error?.message ?? '', message)
  }
  t.is((await run('control.txt', 'turn\u001b[2J left\n')).lines[0], 'turn\\u001b[2J left  ->  nothing')
})

test('a broken line and a missing file are said with a code', async (t) => {
  const broken = await t.throwsAsync<MtorError>(run('broken.tsv', 'stop\nstop\tstop\t{oops\n'))
  t.is(broken?.code, 'USAGE')
  t.regex(broken?.message ?? '', /^line 2: /)
  const missing = await t.throwsAsync<MtorError>(runUnderstand({ file: path.join(folder, 'none.txt'), json: false, proposals: false }, () => undefined, understander))
  t.is(missing?.code, 'NOT_FOUND')
})

test('the trained proposer is kept and read again, and a damaged file is made anew', async (t) => {
  const cacheDirectory = path.join(folder, 'cache')
  const ask = async () => (await Understander.load({ cacheDirectory }).then((each) => each.propose('turn ninety degrees'))).question
  t.is(await ask(), 'turn left by 90 degrees')
  const [file] = await readdir(cacheDirectory)
  t.regex(file ?? '', /^proposer-[0-9a-f]{32}\.json$/)
  await writeFile(path.join(cacheDirectory, file!), '{"damaged"')
  t.is(await ask(), 'turn left by 90 degrees')
  t.is(typeof JSON.parse(await readFile(path.join(cacheDirectory, file!), 'utf8')), 'object')
})

test('a proposal names nothing that was not said, and a question about the world proposes nothing that moves', async (t) => {
  t.like(await understander.propose('run the patrol sequence'), { type: 'sequence.run', missing: ['name'] })
  for (const text of ['who turned on the lights', 'is the drive armed', 'should I go forward', 'why are the lights on', 'what is the', 'stop sign', 'ask your mother']) {
    const { type } = await understander.propose(text)
    t.false(['light.set', 'arm.set', 'drive.move', 'stop', 'chat.ask'].includes(type ?? ''), `${text} -> ${type}`)
  }
})

test('negated and reported sentences are never proposed', async (t) => {
  for (const text of ['do not turn ninety degrees', 'he said turn ninety degrees', 'never drive forward two', 'if you turn ninety degrees', '']) t.is((await understander.propose(text)).type, null, text)
})

test('the example of the reference page loads, and its sentences mean what they say', async (t) => {
  const page = await readFile(new URL('../../docs/reference/sentence-templates.md', import.meta.url), 'utf8')
  const example = Understander.parse([{ file: 'watering.yaml', text: /```yaml\n([\s\S]*?)```/.exec(page)![1]! }])
  t.is(example.catalogue.tests.length, 3)
  for (const { say, type, slots } of example.catalogue.tests) {
    const given = Object.fromEntries(Object.entries(slots).filter(([, value]) => value !== null))
    t.like(example.match(say), { type, slots: given }, say)
  }
  for (const { say } of [...example.catalogue.never, ...example.catalogue.unsure]) t.is(example.match(say).by, null, say)
})
