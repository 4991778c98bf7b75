import test, { type ExecutionContext } from 'ava'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FlowStore } from '../../flows/runtime/store.ts'
import { makeConfig } from '../config/load.ts'
import { MtorError } from '../contracts/errors.ts'
import { examineFlows } from './doctor-flows.ts'

async function examined(t: ExecutionContext, settings: Record<string, unknown> = {}, options: { status?: object; prepare?(store: FlowStore): Promise<void> } = {}) {
  const stateDir = await mkdtemp(join(tmpdir(), 'mtor-doctor-'))
  t.teardown(() => rm(stateDir, { recursive: true, force: true }))
  const store = new FlowStore(join(stateDir, 'flows'))
  if (options.prepare) { await store.open(); await options.prepare(store) }
  const findings = await examineFlows(makeConfig({ node: 'test', stateDir, ...settings }), { call: async () => options.status ?? Promise.reject(new MtorError('NOT_RUNNING', 'nobody')) })
  return (what: string) => findings.find((finding) => finding.what === what)
}
const deployOne = async (store: FlowStore) => { await store.add({ at: { boot: 1, mono: 1 }, flows: [], author: 'ann' }) }

test('Node-RED, who may open the editor and what is deployed are shown without the daemon', async (t) => {
  const of = await examined(t)
  t.like(of('Node-RED'), { state: 'good' })
  t.regex(of('flow editor')!.found, /open to everyone on this machine/)
  t.is(of('deploys')!.found, 'nothing has been deployed yet')
  t.is(of('flows'), undefined)
  t.regex((await examined(t, {}, { prepare: deployOne }))('deploys')!.found, /1 kept, number 1 by ann in force/)
  t.deepEqual((await examined(t, { flows: { enabled: false } }))('flows'), { what: 'flows', state: 'note', found: 'switched off in the configuration' })
})

test('an editor that is open to the network with nobody who can log in, a damaged deploy, and flows that are down are faults', async (t) => {
  t.like((await examined(t, { flows: { host: '0.0.0.0' } }))('flow editor'), { state: 'missing' })
  const of = await examined(t, {}, { prepare: async (store) => { await deployOne(store); await writeFile(join(store.dir, 'deploys/000001.json'), '{') }, status: { state: 'down', restarts: 7 } })
  t.like(of('deploys'), { state: 'missing', found: 'damaged: deploys/000001.json' })
  t.like(of('flows'), { state: 'missing', found: 'down, 7 restarts' })
  t.like((await examined(t, {}, { status: { state: 'running', restarts: 0, url: 'http://x/', rssMB: 150 } }))('flows'), { state: 'good', found: 'running, http://x/, 150 MB, 0 restarts' })
})
