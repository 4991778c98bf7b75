import test, { type ExecutionContext } from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ControlServer, type ControlRoute } from './gateway/control.ts'

const start = (...args: string[]) => spawn(process.execPath, [join(import.meta.dirname, 'cli.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })

/** What a command printed, and its exit code. */
async function run(...args: string[]) {
  const child = start(...args)
  let out = '', err = ''
  child.stdout.on('data', (data: Buffer) => { out += data })
  child.stderr.on('data', (data: Buffer) => { err += data })
  const [code] = await once(child, 'close') as [number]
  return { code, out, err, values: () => out.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>) }
}

/** A control socket with these routes. */
async function daemon(t: ExecutionContext, routes: Record<string, ControlRoute>): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-cli-'))
  const server = new ControlServer(join(dir, 'c.sock'), routes)
  await server.start()
  t.teardown(async () => { await server.stop(); rmSync(dir, { recursive: true }) })
  return server.path
}

for (const [what, args, code, exit] of [
  ['an unknown command', ['fly'], 'USAGE', 2], ['a missing argument', ['say'], 'USAGE', 2], ['no command', [], 'USAGE', 2],
  ['a file that is not there', ['config', 'check', '/nowhere.yaml'], 'CONFIG_INVALID', 2], ['no daemon', ['--socket', '/nowhere.sock', 'status'], 'NOT_RUNNING', 3],
  ['a stop that reaches nobody', ['--socket', '/nowhere/c.sock', 'stop'], 'NOT_RUNNING', 3],
] as const) {
  test(`with --json ${what} is one line of JSON and exit code ${exit}`, async (t) => {
    const result = await run('--json', ...args)
    t.is(result.code, exit)
    t.is(result.err, '')
    t.like(result.values(), [{ error: { code } }])
  })
}

test('without --json a wrong command line is told once, in words', async (t) => {
  const { code, out, err } = await run('fly')
  t.is(code, 2)
  t.is(out, '')
  t.is(err.match(/unknown command/g)?.length, 1)
})

test('with --json a list is one value a line', async (t) => {
  const socket = await daemon(t, { 'GET /dead-letters': async () => [{ n: 1 }, { n: 2 }] })
  t.deepEqual((await run('--json', '--socket', socket, 'dead-letters')).values(), [{ n: 1 }, { n: 2 }])
})

test('Ctrl-C ends what follows with 130, and the daemon sees it go', async (t) => {
  const gone = Promise.withResolvers<void>()
  const socket = await daemon(t, { 'GET /events': async function* ({ signal }) { yield { n: 1 }; await new Promise<void>((done) => signal.addEventListener('abort', () => { gone.resolve(); done() })) } })
  const child = start('--json', '--socket', socket, 'events', '--follow')
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  const [code] = await once(child, 'exit') as [number]
  t.is(code, 130)
  await gone.promise
})
