import test from 'ava'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import { Hub } from '../contracts/hub.ts'
import { ControlClient } from './client.ts'
import { ControlServer, type ControlRoute } from './control.ts'
import { Feed } from './feed.ts'
import { FactLog } from './log.ts'
import { actionOf } from './screen.ts'
import { eventLine } from './show.ts'
import { table } from './table.ts'

async function serve(t: import('ava').ExecutionContext, routes: Record<string, ControlRoute>) {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-gateway-'))
  const server = new ControlServer(join(dir, 'c.sock'), routes)
  await server.start()
  t.teardown(async () => { await server.stop(); await server.stop(); rmSync(dir, { recursive: true }) })
  return { client: new ControlClient(server.path), path: server.path, server }
}

test('a route gets its parameters, query and body, and answers JSON', async (t) => {
  const { client } = await serve(t, { 'POST /a/:id/b': async ({ params, query, body }) => ({ params, q: query.get('q'), body }) })
  t.deepEqual(await client.call('POST', '/a/x%2Fy/b?q=1', { n: 2 }), { params: { id: 'x/y' }, q: '1', body: { n: 2 } })
})

test('an error of a route reaches the caller with its code, before and in the middle of lines', async (t) => {
  const { client } = await serve(t, {
    'GET /fails': () => Promise.reject(new MtorError('BUSY', 'too much')),
    'GET /lines': async function* () { yield { n: 1 }; throw new MtorError('DEADLINE', 'late') },
  })
  await t.throwsAsync(client.call('GET', '/fails'), { code: 'BUSY', message: 'too much' })
  await t.throwsAsync(client.call('GET', '/nowhere'), { code: 'NOT_FOUND' })
  const got: unknown[] = []
  await t.throwsAsync(async () => { for await (const line of client.lines('GET', '/lines')) got.push(line) }, { code: 'DEADLINE' })
  t.deepEqual(got, [{ n: 1 }])
})

test('a caller that hangs up ends the lines it followed', async (t) => {
  const ended = Promise.withResolvers<void>()
  const { client } = await serve(t, { 'GET /lines': async function* ({ signal }) { try { yield { n: 1 }; await new Promise((done) => signal.addEventListener('abort', done)) } finally { ended.resolve() } } })
  const abort = new AbortController()
  for await (const line of client.lines('GET', '/lines', undefined, abort.signal)) { t.deepEqual(line, { n: 1 }); abort.abort() }
  await ended.promise
})

test('lines wait for a caller that does not read, instead of piling up in the daemon', async (t) => {
  let made = 0
  const all = Promise.withResolvers<void>()
  const { path } = await serve(t, { 'GET /lines': async function* () { for (; made < 500; made++) { await new Promise((done) => setImmediate(done)); yield { text: 'x'.repeat(64_000) } } all.resolve() } })
  const frozen = connect(path)
  t.teardown(() => frozen.destroy())
  frozen.write('GET /lines HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(frozen, 'data')
  frozen.pause()
  for (let turn = 0; turn < 1_000; turn++) await new Promise((done) => setImmediate(done))
  t.true(made < 100, `${made} lines of 64 kB were made for a caller that took none of them`)
  frozen.on('data', () => {}).resume()
  await all.promise
})

test('a daemon that dies in the middle of an answer is said not to be running', async (t) => {
  const { client, server } = await serve(t, { 'GET /lines': async function* ({ signal }) { yield { n: 1 }; await new Promise((done) => signal.addEventListener('abort', done)) } })
  await t.throwsAsync(async () => { for await (const _ of client.lines('GET', '/lines')) void server.stop() }, { code: 'NOT_RUNNING' })
})

test('a body that is too large or no JSON is answered with a code, and the server goes on', async (t) => {
  const { client, path } = await serve(t, { 'POST /x': async ({ body }) => body })
  const raw = (payload: string) => new Promise<string>((resolve, reject) => {
    const sent = request({ socketPath: path, method: 'POST', path: '/x' }, (response) => { let text = ''; response.on('data', (d: Buffer) => { text += d.toString() }); response.on('end', () => resolve(text)) })
    sent.on('error', reject)
    sent.end(payload)
  })
  t.regex(await raw('{broken'), /MALFORMED/)
  t.regex(await raw(`"${'x'.repeat(300_000)}"`), /TOO_LARGE/)
  t.is(await client.call('POST', '/x', 'fine'), 'fine')
})

test('without a daemon the caller is told so', async (t) => {
  await t.throwsAsync(new ControlClient('/nonexistent/c.sock').call('GET', '/status'), { code: 'NOT_RUNNING' })
})

test('the feed gives the past that is wanted, then what comes, and ends with its signal', async (t) => {
  const hub = new Hub(systemClock, 'n')
  const feed = new Feed()
  feed.start(hub)
  for (const name of ['a', 'b', 'c']) hub.system({ severity: 'info', component: 'x', name })
  const abort = new AbortController()
  const names: string[] = []
  for await (const event of feed.read(2, abort.signal, () => true)) {
    names.push((event as { name: string }).name)
    if (names.length === 2) setImmediate(() => hub.system({ severity: 'info', component: 'x', name: 'd' }))
    if (names.length === 3) abort.abort()
  }
  t.deepEqual(names, ['b', 'c', 'd'])
  feed.stop()
})

test('the log has every intent event, and counts the repeats of a noisy fact instead of writing them', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-log-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const hub = new Hub(systemClock, 'n')
  const log = new FactLog(join(dir, 'log', 'x.log'), 'info')
  log.start(hub)
  for (let i = 0; i < 200; i++) {
    hub.system({ severity: 'warning', component: 'noisy', name: 'again' })
    hub.intent({ id: '019a0000-0000-7000-8000-000000000000', type: 'time.tell', state: 'accepted' })
  }
  hub.system({ severity: 'debug', component: 'x', name: 'detail' })
  log.stop()
  const facts = readFileSync(log.file, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as { kind: string; name?: string })
  t.is(facts.filter((f) => f.kind === 'intent').length, 200)
  t.is(facts.filter((f) => f.name === 'again').length, 50)
  t.is(facts.filter((f) => f.name === 'detail').length, 0)
})

test('a full disk loses lines of the log, not the daemon: it is told once, and how many were lost', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mtor-log-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  symlinkSync('/dev/full', join(dir, 'x.log'))
  const hub = new Hub(systemClock, 'n')
  const told: string[] = []
  hub.onSystem((event) => { if (event.name !== 'fact') told.push(event.name) })
  const log = new FactLog(join(dir, 'x.log'), 'info')
  log.start(hub)
  for (let i = 0; i < 5; i++) hub.system({ severity: 'info', component: 'x', name: 'fact' })
  await new Promise((done) => setImmediate(done))
  t.deepEqual(told, ['log.unwritable'])
  log.stop()
  hub.system({ severity: 'info', component: 'x', name: 'fact' })
})

for (const [what, keys, done] of [['a space', ' ', 'stop'], ['an s', 's', 'stop'], ['Esc', '\u001b', 'stop'], ['spaces hit again and again', '   ', 'stop'], ['other keys and a space', 'xy ', 'stop'], ['q', 'q', 'quit'], ['Ctrl-C', '\u0003', 'quit'], ['an arrow', '\u001b[A', undefined], ['a letter without meaning', 'x', undefined]] as const) {
  test(`on the console ${what} ${done ? `is ${done}` : 'does nothing'}`, (t) => { t.is(actionOf(keys), done) })
}

test('tables align, numbers to the right; an event is one line', (t) => {
  t.is(table([['a', '1'], ['bbb', '22']], ['name', 'n']), 'name  n\n────  ──\na      1\nbbb   22'.replace('n\n', ' n\n'))
  t.regex(eventLine({ severity: 'warning', component: 'rover', name: 'device.lost', message: 'gone', at: { mono: 1500, boot: 1 } }), /^\+1\.500s {2}warning {2}rover device\.lost {2}gone$/)
})
