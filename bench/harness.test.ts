import test from 'ava'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { pathToFileURL } from 'node:url'
import { quantile, rowsTable } from './table.ts'

/** A folder with measures made for the test, and the harness run over it in a process of its own. */
async function folderWith(measures: Record<string, string>) {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-bench-'))
  for (const [file, text] of Object.entries(measures)) await writeFile(join(folder, file), text)
  await writeFile(join(folder, 'run.mjs'), `import { exit, main } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'harness.ts')).href)}\nexit(await main(${JSON.stringify(folder)}, 'bench'))\n`)
  const start = (...args: string[]): ChildProcess => spawn(process.execPath, ['--no-warnings', join(folder, 'run.mjs'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const run = async (...args: string[]) => {
    const child = start(...args)
    let out = ''; let err = ''
    child.stdout!.on('data', (data: Buffer) => { out += data })
    child.stderr!.on('data', (data: Buffer) => { err += data })
    const [code] = await once(child, 'close') as [number]
    return { code, out, err }
  }
  return { folder, start, run, remove: () => rm(folder, { recursive: true }) }
}

const FLIGHT = `export default {
  name: 'flight', title: 'Two figures', flags: [{ flag: '--height M', help: 'How high' }],
  async run(context) {
    context.progress('flying')
    return [
      { metric: 'height', value: Number(context.flags.height ?? 0), unit: 'm', goal: '>= 10', holds: Number(context.flags.height ?? 0) >= 10 },
      { metric: 'chance', value: context.random(), unit: '1' },
      { metric: 'quick', value: String(context.quick), unit: '' },
    ]
  },
}
`

test('without a name the measures are listed, helpers are not run, and a broken one is listed with its reason', async (t) => {
  const { run, remove } = await folderWith({ 'flight.ts': FLIGHT, 'helper.ts': 'process.exit(9)\n', 'broken.ts': "throw new RangeError('no wings')\nexport default {}\n" })
  t.teardown(remove)
  const { code, out } = await run()
  t.is(code, 0)
  t.regex(out, /flight +Two figures/)
  t.regex(out, /broken +does not load: no wings/)
  t.notRegex(out, /helper/)
})

test('a missed goal is marked in the table and only --check makes it an error', async (t) => {
  const { run, remove } = await folderWith({ 'flight.ts': FLIGHT })
  t.teardown(remove)
  const plain = await run('flight')
  t.is(plain.code, 0)
  t.regex(plain.out, /height +0 +m +>= 10 +✗/)
  t.regex(plain.err, /flying/)
  t.is((await run('flight', '--check')).code, 1)
  t.is((await run('flight', '--check', '--height', '12')).code, 0)
})

test('the JSON report names the machine, and the same seed gives the same rows', async (t) => {
  const { folder, run, remove } = await folderWith({ 'flight.ts': FLIGHT })
  t.teardown(remove)
  const file = join(folder, 'reports', 'a.json')
  await run('flight', '--seed', '7', '--quick', '--json', file)
  const first = JSON.parse(await readFile(file, 'utf8')) as { name: string; machine: { cores: number }; rows: { metric: string; value: unknown }[] }
  t.is(first.name, 'flight')
  t.true(first.machine.cores > 0)
  t.is(first.rows[2]?.value, 'true')
  const second = JSON.parse((await run('flight', '--seed=7', '--json', '-')).out) as typeof first
  t.is(second.rows[1]?.value, first.rows[1]?.value)
  const other = JSON.parse((await run('flight', '--seed', '8', '--json', '-')).out) as typeof first
  t.not(other.rows[1]?.value, first.rows[1]?.value)
})

test('unknown names, unknown flags and bad seeds end with 2 and say what there is', async (t) => {
  const { run, remove } = await folderWith({ 'flight.ts': FLIGHT })
  t.teardown(remove)
  for (const [args, said] of [[['fly'], /flight/], [['flight', '--depth', '1'], /--height M/], [['flight', '--seed', 'x'], /whole number/]] as const) {
    const { code, err } = await run(...args)
    t.is(code, 2)
    t.regex(err, said)
  }
})

test('a measure that throws ends with 1 and its coded error', async (t) => {
  const { run, remove } = await folderWith({ 'sad.ts': "export default { name: 'sad', title: '', async run() { throw new RangeError('no lift') } }\n" })
  t.teardown(remove)
  const { code, err } = await run('sad')
  t.is(code, 1)
  t.regex(err, /INTERNAL: no lift/)
})

test('Ctrl-C aborts the signal, waits for the clean-up and ends with 130', async (t) => {
  const { folder, start, remove } = await folderWith({ 'long.ts': `import { writeFile } from 'node:fs/promises'
export default { name: 'long', title: '', async run({ signal, progress }) {
  const alive = setInterval(() => {}, 1000)
  progress('up')
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
  clearInterval(alive)
  await writeFile(import.meta.dirname + '/cleaned', 'yes')
  return []
} }
` })
  t.teardown(remove)
  const child = start('long')
  await once(child.stderr!, 'data')
  child.kill('SIGINT')
  const [code] = await once(child, 'exit') as [number]
  t.is(code, 130)
  t.is(await readFile(join(folder, 'cleaned'), 'utf8'), 'yes')
})

test('quantiles are by nearest rank, and none of nothing', (t) => {
  t.is(quantile([], 0.5), null)
  t.is(quantile([3, 1, 2], 0.5), 2)
  t.is(quantile([4, 3, 1, 2], 0.5), 2)
  t.is(quantile(Array.from({ length: 100 }, (_, i) => i + 1), 0.95), 95)
})

test('a figure that could not be measured is a dash, never a zero', (t) => {
  const lines = rowsTable([{ metric: 'peer', value: null, unit: 'msg/s' }, { metric: 'us', value: 12_345.6, unit: 'msg/s' }]).split('\n')
  t.regex(lines[2]!, /peer +– +msg\/s/)
  t.regex(lines[3]!, /us +12346 +msg\/s/)
})
