import { Command } from 'commander'
import test, { type ExecutionContext } from 'ava'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FlowNode } from '../../flows/runtime/flow.ts'
import { flowRoutes } from '../../flows/runtime/routes.ts'
import { FlowStore } from '../../flows/runtime/store.ts'
import { makeConfig } from '../config/load.ts'
import { ControlClient } from '../gateway/client.ts'
import { ControlServer } from '../gateway/control.ts'
import { addFlowsCommands } from './flows.ts'

const at = { wall: Date.UTC(2026, 0, 2, 3, 4, 5), boot: 1, mono: 1 }
const flows = (func: string): FlowNode[] => [
  { id: 'tab', type: 'tab', label: 'Airlock' }, { id: 'realm', type: 'mtor-realm', name: 'box' },
  { id: 'in', type: 'inject', z: 'tab', wires: [['fn']] }, { id: 'fn', type: 'function', z: 'tab', name: 'Open', func, wires: [[]] },
]

/** A store with two deploys, and `mtor flows …` on it; without `routes` no daemon runs. */
async function bench(t: ExecutionContext) {
  const stateDir = await mkdtemp(join(tmpdir(), 'mtor-flows-cli-'))
  t.teardown(() => rm(stateDir, { recursive: true, force: true }))
  const store = new FlowStore(join(stateDir, 'flows'))
  await store.open()
  await store.add({ at, flows: flows('return msg'), credentials: { $: 'secret' }, author: 'ann' })
  await store.mark(1, 'good')
  await store.add({ at, flows: flows('return null'), author: 'cli' })
  const socket = join(stateDir, 'c.sock')
  const run = async (json: boolean, ...args: string[]) => {
    const printed: { value: unknown; text: string }[] = []
    const program = new Command('mtor').exitOverride().configureOutput({ writeErr: () => {} })
    addFlowsCommands(program, { config: () => makeConfig({ stateDir }), client: () => new ControlClient(socket), json: () => json, print: (value, text) => { printed.push({ value, text: text() }) }, interrupted: new AbortController() })
    const before = process.exitCode
    process.exitCode = 0
    try { await program.parseAsync(['flows', ...args], { from: 'user' }); return { values: printed.map(({ value }) => value), text: printed.map(({ text }) => text).join('\n'), exitCode: process.exitCode } } finally { process.exitCode = before }
  }
  const write = async (name: string, value: unknown) => { const file = join(stateDir, name); await writeFile(file, typeof value === 'string' ? value : JSON.stringify(value)); return file }
  return { stateDir, store, socket, write, text: (...args: string[]) => run(false, ...args), json: (...args: string[]) => run(true, ...args) }
}

test.serial('without the daemon deploys are listed, shown, compared and exported from the store', async (t) => {
  const b = await bench(t)
  t.regex((await b.text('list')).text, /daemon does not run flows now[\s\S]*2 +2026-01-02 03:04:05 +cli +changed function “Open”\n1 +\S+ \S+ +ann +good +added tab “Airlock”/)
  t.like(await b.json('list'), { values: [{ n: 2, author: 'cli' }, { n: 1, author: 'ann', good: true }] })
  t.regex((await b.text('show')).text, /^n .*[\s\S]*tab “Airlock”\n {2}inject in \(in\)\n {2}function “Open” \(fn\)\nconfiguration\n {2}mtor-realm “box”/)
  const [shown] = (await b.json('show', '1')).values as [{ n: number; flows: unknown; credentials?: unknown }]
  t.deepEqual([shown.n, shown.flows, shown.credentials], [1, flows('return msg'), undefined])
  t.is((await b.text('diff')).text, 'deploy 1 → 2\n~ function “Open” on “Airlock” (fn): func')
  t.is((await b.text('diff', '2', '1')).text, 'deploy 2 → 1\n~ function “Open” on “Airlock” (fn): func')
  const file = join(b.stateDir, 'out.json')
  t.regex((await b.text('export', file, '--deploy', '1')).text, /Deploy 1 is in/)
  t.deepEqual(JSON.parse(await readFile(file, 'utf8')), flows('return msg'))
  await t.throwsAsync(b.text('show', '9'), { code: 'NOT_FOUND' })
  await t.throwsAsync(b.text('show', 'x'), { code: 'USAGE' })
  await t.throwsAsync(b.text('rollback'), { code: 'NOT_RUNNING' })
  await t.throwsAsync(b.text('status'), { code: 'NOT_RUNNING' })
})

test.serial('lint says what is wrong in a file or in what is deployed, by its exit code too; a file that is no flows is told', async (t) => {
  const b = await bench(t)
  const good = await b.text('lint')
  t.deepEqual([good.text, good.exitCode], ['Nothing is wrong.', 0])
  const bad = await b.write('bad.json', [...flows('while (true) {}'), { id: 'x', type: 'exec', z: 'tab', wires: [] }])
  const found = await b.text('lint', bad)
  t.regex(found.text, /· function “Open” on “Airlock” \(fn\): its code has a loop that never ends\n✗ exec x on “Airlock” \(x\): programs/)
  t.is(found.exitCode, 1)
  t.like(await b.json('lint', bad), { values: [{ severity: 'warning', id: 'fn' }, { severity: 'error', id: 'x' }], exitCode: 1 })
  t.is((await b.text('lint', await b.write('loop.json', flows('while (true) {}')))).exitCode, 0, 'a doubt is no fault')
  const taken = await b.write('taken.json', [...flows('return msg'), { id: 'd', type: 'mtor-intent-define', z: 'tab', realm: 'realm', intentType: 'airlock.open', title: 'Open', slots: [], sentences: ['stop'], deadlineS: 5 }])
  t.regex((await b.text('lint', taken)).text, /mtor-intent-define d on “Airlock” \(d\): SENTENCE_TAKEN/)
  await t.throwsAsync(b.text('lint', await b.write('x.json', '[')), { code: 'MALFORMED' })
  await t.throwsAsync(b.text('lint', await b.write('y.json', [{ id: 'a' }])), { code: 'FLOW_INVALID', message: /entry 0 is no node/ })
  await t.throwsAsync(b.text('lint', '/nowhere.json'), { code: 'NOT_FOUND' })
})

test.serial('with the daemon: what it runs is listed, older flows come back, and a file is deployed unless lint finds a fault', async (t) => {
  const b = await bench(t)
  const deployed: { author: string; of?: number }[] = []
  // The store is the real one; Node-RED itself is tried in flows/runtime/host.test.ts.
  const host = {
    types: ['tab', 'inject', 'function', 'mtor-realm'], status: () => ({ state: 'running', url: 'http://127.0.0.1:1880/', login: false, restarts: 2, rssMB: 150 }), deploys: { store: b.store, read: (n: number) => b.store.read(n) },
    deploy: async (deploy: { flows: FlowNode[]; author: string; of?: number }) => { deployed.push({ author: deploy.author, ...(deploy.of === undefined ? {} : { of: deploy.of }) }); return (await b.store.add({ at, ...deploy })).meta },
    rollBack: async (n: number, author: string) => host.deploy({ ...await b.store.read(n), author, of: n }),
  }
  const server = new ControlServer(b.socket, flowRoutes(host as never, () => ['hatch.open']))
  await server.start()
  t.teardown(() => server.stop())
  t.regex((await b.text('list')).text, /^Flows: running, http:\/\/127\.0\.0\.1:1880\/, 150 MB, 2 restarts\n/)
  t.regex((await b.text('status')).text, /state +running/)
  t.is((await b.text('diff', '1')).text, 'deploy 1 → 2\n~ function “Open” on “Airlock” (fn): func')
  t.regex((await b.text('rollback')).text, /^Deploy 1 is back, as deploy 3\.$/)
  const file = await b.write('new.json', flows('return [msg]'))
  t.regex((await b.text('import', file)).text, /^Deploy 4: changed function “Open”\.$/)
  const bad = await b.write('bad.json', [...flows('return msg'), { id: 'd', type: 'debug', z: 'tab', wires: [] }])
  await t.throwsAsync(b.text('import', bad), { code: 'FLOW_INVALID', message: /no node of type debug/ }, 'the daemon knows what is installed')
  t.is(b.store.current!.n, 4)
  await b.text('import', bad, '--force')
  t.deepEqual(deployed, [{ author: 'cli', of: 1 }, { author: 'cli' }, { author: 'cli' }])
  const handles = [{ id: 'i', type: 'mtor-intent-in', z: 'tab', realm: 'realm', intentType: 'hatch.open', wires: [['r'], []] }, { id: 'r', type: 'mtor-intent-result', z: 'tab', wires: [] }]
  host.types.push('mtor-intent-in', 'mtor-intent-result')
  t.is((await b.text('lint', await b.write('hatch.json', [...flows('return msg'), ...handles]))).text, 'Nothing is wrong.', 'another handler declares it')
})
