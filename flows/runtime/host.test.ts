import test from 'ava'
import { readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { request as requestSecurely } from 'node:https'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { hashPassword } from '../../appliance/bus/index.ts'
import { ManualClock } from '../../appliance/contracts/clock.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { CORE_TYPES } from './lint/types.ts'
import { PROBE_TAB } from './probe-flow.ts'
import { becomes, endpoint, startFlows, type Bench } from './testing.ts'

/** Proven in this life of Node-RED: what is told of the last one stands until the next begins. */
const runs = ({ host }: Pick<Bench, 'host'>) => { const { state, startMs } = host.status(); return state === 'running' && startMs !== undefined }

test('a deploy in the editor is kept, on record and told; after kill −9 of Node-RED the same flows run again', async (t) => {
  const b = await startFlows(t)
  const { url, rssMB, startMs } = await b.host.ready()
  t.regex(url!, /^http:\/\/127\.0\.0\.1:\d+\/$/)
  t.true(rssMB! > 0 && startMs! > 0)
  t.deepEqual([...b.host.types].sort(), [...CORE_TYPES].sort(), 'what lint expects to be installed is what is installed')

  t.is((await b.admin('/flows', { json: endpoint('hello', 'msg.payload = "hello"\nreturn msg') })).status, 204)
  const [meta] = b.host.deploys.store.list()
  t.like(meta, { n: 1, author: 'editor', good: false, crashed: false })
  t.regex(meta!.summary, /^added tab “hello”/)
  t.deepEqual(b.values.kept.get('flows/deploy/1'), meta)
  t.like(await b.event('deployed'), { component: 'flows', severity: 'info', data: { n: 1, author: 'editor' } })
  await becomes(async () => await (await b.admin('/hello')).text() === 'hello')

  process.kill(b.host.status().pid!, 'SIGKILL')
  await becomes(() => b.host.status().restarts === 1 && runs(b))
  await becomes(async () => await (await b.admin('/hello')).text() === 'hello')
  t.is(b.host.status().deploy!.n, 1)
})

test('a deploy by the command line goes through Node-RED; going back to an older one is a new deploy', async (t) => {
  const b = await startFlows(t)
  await b.host.ready()
  const one = await b.host.deploy({ flows: endpoint('a', 'msg.payload = "one"\nreturn msg'), author: 'cli' })
  const two = await b.host.deploy({ flows: endpoint('a', 'msg.payload = "two"\nreturn msg'), author: 'cli' })
  t.deepEqual([one.n, two.n, two.summary], [1, 2, 'changed function “a”'])
  t.is(await (await b.admin('/a')).text(), 'two')
  t.like(await b.host.rollBack(1, 'cli'), { n: 3, of: 1, author: 'cli' })
  t.is(await (await b.admin('/a')).text(), 'one')
  await t.throwsAsync(b.host.rollBack(9, 'cli'), { code: 'NOT_FOUND' })
})

test('the probe flow is there in the editor, comes back where a deploy lacks it, and is not kept', async (t) => {
  const b = await startFlows(t)
  await b.host.ready()
  t.is((await b.admin('/flows', { json: endpoint('a', 'return msg') })).status, 204)
  const shown = await (await b.admin('/flows')).json() as { id: string }[]
  t.truthy(shown.find(({ id }) => id === PROBE_TAB))
  t.deepEqual(b.host.deploys.store.current!.flows.map(({ id }) => id), ['a-tab', 'a-in', 'a-function', 'a-out'])
  // One tab at a time, by the admin API, goes another way.
  t.is((await b.admin(`/flow/${PROBE_TAB}`, { method: 'DELETE' })).status, 204)
  await becomes(async () => (await (await b.admin('/flows')).json() as { id: string }[]).some(({ id }) => id === PROBE_TAB))
  t.is(b.host.deploys.store.list().length, 1, 'that is no deploy')
})

test('an endless loop in a function node ends by itself, in its start code too; one that waits in between ends Node-RED', async (t) => {
  const b = await startFlows(t, { config: { functionTimeoutS: 0.3, probePeriodMs: 500, probeTimeoutMs: 2_500 } })
  await b.host.ready()
  await b.host.deploy({ flows: [...endpoint('loop', 'while (true) {}'), ...endpoint('start', 'msg.payload = "runs"\nreturn msg', { initialize: 'while (true) {}' }), ...endpoint('wait', 'while (true) await null')], author: 'cli' })
  const { pid } = b.host.status()
  void b.admin('/loop').catch(() => {})
  await becomes(() => b.events.some(({ name, message }) => name === 'log' && /“loop”: .*timed out after 300ms/.test(message ?? '')))
  await becomes(() => b.events.some(({ name, message }) => name === 'log' && /timed out after 300ms/.test(message ?? '') && /“start”/.test(message ?? '')))
  t.is(b.host.status().pid, pid)
  void b.admin('/wait').catch(() => {})
  t.regex((await b.event('hung')).message!, /2 probe intents in a row did not come back/)
  await becomes(() => runs(b) && b.host.status().pid !== pid)
  t.is(b.host.deploys.store.list().length, 1, 'once is no crash loop')
})

test('flows that take more memory than they may end Node-RED, and nothing else', async (t) => {
  const b = await startFlows(t, { config: { maxMemoryMB: 220 } })
  await b.host.ready()
  // Buffers lie outside the heap: only the core sees them.
  await b.host.deploy({ flows: endpoint('hog', 'const all = context.all = []\nconst more = () => { all.push(Buffer.alloc(8 * 1024 * 1024, 1)); setTimeout(more, 20) }\nmore()'), author: 'cli' })
  void b.admin('/hog').catch(() => {})
  t.regex((await b.event('memory')).message!, /more than flows\.maxMemoryMB 220/)
  await becomes(() => b.host.status().restarts === 1 && runs(b))
  t.true(b.host.status().rssMB! < 231)
})

test('flows that end Node-RED three times in a minute give way to the last good ones, and that is said aloud', async (t) => {
  const b = await startFlows(t, { config: { goodAfterMs: 400 } })
  await b.host.ready()
  await b.host.deploy({ flows: endpoint('a', 'msg.payload = "good"\nreturn msg'), author: 'cli' })
  await b.event('good')
  t.true(b.host.deploys.store.current!.good)
  // What Node-RED does not catch: a promise that nobody waits for.
  await b.host.deploy({ flows: [...endpoint('a', 'return msg'), ...endpoint('b', 'return msg', { initialize: 'void (async () => { throw new Error("thrown aside") })()' })], author: 'cli' })
  const told = await b.event('rolled-back')
  t.like(told, { severity: 'critical', code: 'FLOW_INVALID', data: { n: 3, of: 1 } })
  t.truthy(told.say)
  await becomes(() => runs(b))
  await becomes(async () => await (await b.admin('/a')).text() === 'good')
  t.deepEqual(b.host.deploys.store.list().map(({ n, crashed, author }) => [n, crashed, author]), [[3, false, 'appliance'], [2, true, 'cli'], [1, false, 'cli']])
  t.regex(b.events.find(({ name }) => name === 'gone')!.message!, /thrown aside/)
})

test('a flow that fails with every message does not flood the core', async (t) => {
  const b = await startFlows(t)
  await b.host.ready()
  await b.host.deploy({ flows: [...endpoint('a', 'for (let i = 0; i < 5000; i++) node.error("again")\nreturn msg')], author: 'cli' })
  await (await b.admin('/a')).text()
  t.true(b.told('log') >= 1 && b.told('log') < 30, String(b.told('log')))
})

test('node types that are not installed are named, and no crash', async (t) => {
  const b = await startFlows(t)
  await b.host.ready()
  await b.host.deploy({ flows: [{ id: 't', type: 'tab', label: 'x' }, { id: 'x', type: 'exec', z: 't', wires: [] }], author: 'cli' })
  t.like(await b.event('types.missing'), { code: 'FLOW_INVALID' })
  t.like(b.host.status(), { state: 'incomplete', missing: ['exec'] })
  await b.host.deploy({ flows: [], author: 'cli' })
  await becomes(() => b.host.status().state === 'running')
})

test('where another program has the port, a free one is taken', async (t) => {
  const b = await startFlows(t)
  const { url } = await b.host.ready()
  const other = await startFlows(t, { config: { port: Number(new URL(url!).port) } })
  const ready = await other.host.ready()
  t.not(ready.url, url)
  t.true(other.events.some(({ name, message }) => name === 'log' && message!.includes('another program has port')))
})

test('Node-RED reads and writes its own folder only, starts no program, and knows no secret', async (t) => {
  const b = await startFlows(t, { before: async (host) => { await writeFile(join(host.deploys.store.dir, 'secret'), 'secret') } })
  await b.host.ready()
  const dir = b.host.deploys.store.dir
  const outside = join(b.stateDir, 'outside')
  const write = (id: string, filename: string) => [{ id, type: 'file', z: 'a-tab', filename, filenameType: 'str', appendNewline: false, createDir: false, overwriteFile: 'true', encoding: 'none', wires: [['a-out']] }]
  await b.host.deploy({ flows: [...endpoint('a', 'msg.payload = "note"\nreturn [msg, msg]', { outputs: 2, wires: [['inside'], ['outside']] }), ...write('inside', 'note.txt'), ...write('outside', outside)], author: 'cli' })
  t.is(await (await b.admin('/a')).text(), 'note')
  const refused = async () => { await becomes(() => b.events.some(({ name, message }) => name === 'log' && /has been restricted/.test(message ?? ''))); b.events.length = 0 }
  await refused()
  t.is(readFileSync(join(dir, 'node-red/files/note.txt'), 'utf8'), 'note')
  t.throws(() => readFileSync(outside), { code: 'ENOENT' })
  const reading = [join(dir, 'secret'), join(dir, 'credential.key'), `/proc/${process.pid}/environ`, '/etc/passwd']
  for (const filename of reading) {
    await b.host.deploy({ flows: [...endpoint('a', 'return msg', { wires: [['read']] }), { id: 'read', type: 'file in', z: 'a-tab', filename, filenameType: 'str', format: 'utf8', allProps: false, wires: [['a-out']] }], author: 'cli' })
    void b.admin('/a').catch(() => {})
    await refused()
  }
  const environment = readFileSync(`/proc/${b.host.status().pid}/environ`, 'utf8').split('\0').map((line) => line.split('=')[0])
  t.deepEqual(environment.filter((name) => name!.startsWith('MTOR_')).sort(), ['MTOR_REALM_CLIENT', 'MTOR_REALM_NAME', 'MTOR_REALM_PASSWORD', 'MTOR_REALM_URL', 'MTOR_REALM_USER'])
  const command = readFileSync(`/proc/${b.host.status().pid}/cmdline`, 'utf8')
  t.true(command.includes('--permission') && !command.includes('--allow-child-process'))
  t.false(command.includes(`--allow-fs-read=${b.stateDir}\0`))
  t.is(Number(readFileSync(`/proc/${b.host.status().pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[16]), 10, 'it yields to the core')
})

const answerOf = (url: string, headers: Record<string, string>) => new Promise<number | undefined>((resolve, reject) => { request(url, { headers }, (response) => { response.resume(); resolve(response.statusCode) }).on('error', reject).end() })

test('on loopback a page of another site reaches nothing, whatever name it gives to this machine', async (t) => {
  const b = await startFlows(t)
  const { url } = await b.host.ready()
  const { port } = new URL(url!)
  t.is(await answerOf(`${url}settings`, {}), 200)
  t.is(await answerOf(`${url}settings`, { host: `localhost:${port}` }), 200)
  t.is(await answerOf(`${url}settings`, { host: `evil.example:${port}` }), 403)
  t.is(await answerOf(`${url}settings`, { origin: 'http://evil.example' }), 403)
  const opens = (origin: string) => new Promise<boolean>((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/comms`, { origin })
    socket.once('open', () => { resolve(true); socket.terminate() }).once('error', () => { resolve(false) })
  })
  t.true(await opens(`http://127.0.0.1:${port}`))
  t.false(await opens('http://evil.example'))
})

test('with operators the editor asks for name and password: operators change flows, observers look, nobody else comes in', async (t) => {
  const passwordHash = await hashPassword('secret', { N: 1024 })
  const b = await startFlows(t, { clients: [{ username: 'ann', passwordHash, role: 'operator' }, { username: 'eve', passwordHash, role: 'observer' }, { username: 'dev', passwordHash, role: 'device' }] })
  await b.host.ready()
  t.is((await b.admin('/flows')).status, 401)
  const token = async (username: string, password: string) => {
    const response = await b.admin('/auth/token', { json: { client_id: 'node-red-editor', grant_type: 'password', scope: '', username, password } })
    return response.ok ? `Bearer ${(await response.json() as { access_token: string }).access_token}` : response.status
  }
  const [ann, eve] = [await token('ann', 'secret'), await token('eve', 'secret')]
  for (const [name, password] of [['ann', 'guessed'], ['dev', 'secret'], ['nobody', 'secret'], ['', '']] as const) t.true(Number(await token(name, password)) >= 400, name)
  t.is(b.told('login.refused') > 0, true)
  const deploy = (authorization: unknown) => b.admin('/flows', { json: endpoint('a', 'return msg'), headers: { authorization: String(authorization) } })
  t.is((await b.admin('/flows', { headers: { authorization: String(eve) } })).status, 200)
  t.is((await deploy(eve)).status, 401)
  t.is((await deploy(ann)).status, 204)
  t.is(b.host.deploys.store.current!.author, 'ann')
  t.false(JSON.stringify(await (await b.admin('/settings', { headers: { authorization: String(ann) } })).json()).includes('scrypt'))
})

test('a damaged file of context is set aside, and Node-RED starts', async (t) => {
  const b = await startFlows(t, { before: async (host) => {
    const folder = join(host.deploys.store.dir, 'node-red/context/global')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'global.json'), '{"count":')
  } })
  t.is((await b.host.ready()).state, 'running')
  t.true(b.events.some(({ name, message }) => name === 'log' && /global\.json\.damaged/.test(message ?? '')))
  await b.host.deploy({ flows: endpoint('a', 'const count = (global.get("count") ?? 0) + 1\nglobal.set("count", count)\nmsg.payload = String(count)\nreturn msg'), author: 'cli' })
  t.is(await (await b.admin('/a')).text(), '1')
  t.is(await (await b.admin('/a')).text(), '2')
})

test('a folder that cannot be used keeps nothing else from starting: it is told once aloud, and tried again', async (t) => {
  const clock = new ManualClock()
  let folder = ''
  const b = await startFlows(t, { clock, prepare: async (stateDir) => { folder = join(stateDir, 'flows'); await writeFile(folder, 'no folder') } })
  await clock.advance(30_000)
  await becomes(() => b.told('store.failed') === 2)
  t.deepEqual(b.events.filter(({ name }) => name === 'store.failed').map(({ say }) => say !== undefined), [true, false])
  t.is(b.host.status().state, 'off')
  await rm(folder)
  await clock.advance(30_000)
  await becomes(() => b.host.status().pid !== undefined)
})

test('with TLS the editor speaks it, with the certificate of the bus', async (t) => {
  const b = await startFlows(t, { config: { tls: true } })
  const { url } = await b.host.ready()
  t.regex(url!, /^https:/)
  const ca = readFileSync(join(b.stateDir, 'bus-cert.pem'))
  t.is(await new Promise((resolve, reject) => { requestSecurely(`${url}settings`, { ca }, (response) => { response.resume(); resolve(response.statusCode) }).on('error', reject).end() }), 200)
})

test('a disk that takes nothing keeps the deploy before, and the editor is told', async (t) => {
  const b = await startFlows(t)
  await b.host.ready()
  await b.host.deploy({ flows: endpoint('a', 'return msg'), author: 'cli' })
  b.host.deploys.save = async () => { throw new MtorError('DISK_FULL', 'no space left on device') }
  const refused = await b.admin('/flows', { json: [] })
  t.is(refused.status, 400)
  t.regex(await refused.text(), /no space left/)
  t.is(b.host.deploys.store.current!.n, 1)
})
