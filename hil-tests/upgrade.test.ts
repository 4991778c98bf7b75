import test from 'ava'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import mqtt from 'mqtt'
import { topicsOf } from '../appliance/contracts/topics.ts'
import type { NodeState } from '../appliance/contracts/telemetry.ts'
import type { RealmStatus } from '../appliance/realm/status.ts'
import type { UpgradeReport } from '../appliance/realm/upgrade/plan.ts'
import { readFacts } from './checkers/logs.ts'
import { RealmBench } from './resources/realm-bench.ts'

const CLI = resolve(import.meta.dirname, '../appliance/cli.ts')
const OLD = { protocol: 8, schema: 5, envelope: 1 }, NEW = { protocol: 9, schema: 6, envelope: 1 }, TOO_OLD = { protocol: 7, schema: 4, envelope: 1 }

/** Runs `mtor` at a node. */
const mtor = (bench: RealmBench, node: string, ...args: string[]) => new Promise<{ code: number; out: string }>((done) => {
  execFile(process.execPath, ['--no-warnings', CLI, '--socket', join(bench.node(node).runDir, 'control.sock'), ...args], (error, out, err) => { done({ code: error ? Number(error.code) : 0, out: out + err }) })
})

test.serial('a realm is upgraded one node at a time: links, bus, intents, hand-over and failover work between neighbouring versions; one that is two behind is refused and told', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mu-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const pretend: Record<'a' | 'b' | 'w', typeof OLD> = { a: { ...OLD }, b: { ...OLD }, w: { ...OLD } }
  const bench = new RealmBench(dir, { pretend })
  t.teardown(() => bench.stop())
  await bench.start()
  const names = ['a', 'b', 'w'] as const
  const nodesAt = async (at: string) => (await bench.node(at).control.call('GET', '/realm') as RealmStatus).nodes
  const whole = () => bench.until('all are linked, and the rover is commanded', async () => {
    for (const at of names) if (!(await nodesAt(at)).every(({ online }) => online)) return false
    return await bench.owner() !== undefined && (await bench.devices('w')).some(({ lines }) => lines.length === 2)
  })
  const works = async (at: string) => (await bench.submit(at, 'light.set', { on: true })).events.at(-1)
  const restart = async (node: keyof typeof pretend, versions: typeof OLD) => {
    await bench.node(node).stop()
    Object.assign(pretend[node], versions)
    await bench.node(node).start()
  }
  await whole()

  // The release to come fits, and is told the order.
  const file = join(dir, 'new.json')
  writeFileSync(file, JSON.stringify({ software: '9.0.0', ...NEW }))
  const owner = (await bench.owner())! as 'a' | 'b'
  const other = owner === 'a' ? 'b' : 'a'
  const check = await mtor(bench, 'w', '--json', 'upgrade', '--check', '--to', file)
  t.is(check.code, 0, check.out)
  const report = JSON.parse(check.out) as UpgradeReport
  t.deepEqual(report.inUse, OLD)
  t.deepEqual(report.steps.map((step) => step.split(' ')[0]), ['w', other, owner])
  t.true(report.steps[2]!.includes(`mtor device move rover ${other}`))
  t.is((await mtor(bench, 'w', 'upgrade')).code, 2, 'it installs nothing')

  // The witness and who stands by first: now old and new are one realm.
  await restart('w', NEW)
  await restart(other, NEW)
  await whole()
  t.like((await nodesAt(owner)).find(({ node }) => node === 'w'), { protocol: OLD.protocol, schema: NEW.schema })
  const client = await mqtt.connectAsync(bench.node(other).mqttUrl)
  t.teardown(() => client.end(true))
  const topics = topicsOf('bench')
  const states = new Map<string, NodeState>()
  client.on('message', (_, payload) => { const state = JSON.parse(payload.toString()) as NodeState; states.set(state.node, state) })
  for (const node of names) await client.subscribeAsync(topics.nodeState(node), { qos: 1 })
  await bench.until('the states of all nodes are there', async () => names.every((node) => states.get(node)?.online))
  for (const node of names) t.like(states.get(node), node === owner ? OLD : NEW)
  for (const at of names) t.like(await works(at), { state: 'succeeded', node: owner })

  // Failover from the old to a new one, and, once it is back as the old one, by hand to it and away again.
  bench.node(owner).killCore(200)
  t.like(await works('w'), { state: 'succeeded', node: other })
  await whole()
  await bench.node('w').control.call('POST', '/devices/rover/move', { to: owner })
  t.like(await works(other), { state: 'succeeded', node: owner })
  await bench.node('w').control.call('POST', '/devices/rover/move', { to: other })
  await restart(owner, NEW)
  await whole()
  for (const at of names) t.like(await works(at), { state: 'succeeded', node: other })
  const after = await bench.node('w').control.call('POST', '/realm/upgrade', {}) as UpgradeReport
  t.like(after, { ok: true, inUse: NEW })

  // Whoever comes with what is two behind gets no further than the door.
  await restart('w', TOO_OLD)
  await bench.until('it is refused and told', async () => readFacts<{ name?: string; code?: string }>(bench.node('w').factLog).some(({ name, code }) => name === 'journal.refused' && code === 'VERSION_MISMATCH'))
  await bench.until('the others say so too', async () => [owner, other].every((node) => readFacts<{ name?: string; code?: string }>(bench.node(node).factLog).some(({ name, code }) => name === 'link.refused' && code === 'VERSION_MISMATCH')))
  t.like((await bench.submit('w', 'light.set', { on: true })).receipt, { accepted: false, code: 'VERSION_MISMATCH' })
  t.like((await nodesAt(owner)).find(({ node }) => node === 'w'), { online: false, offline: 'refused', schema: TOO_OLD.schema })
  const refused = await mtor(bench, 'w', '--json', 'upgrade', '--check')
  t.is(refused.code, 1, refused.out)
  t.deepEqual((JSON.parse(refused.out) as UpgradeReport).refused.map(({ node, code }) => [node, code]), [[other, 'VERSION_MISMATCH'], [owner, 'VERSION_MISMATCH']].sort())
  t.like(await works(owner), { state: 'succeeded', node: other }, 'the two that fit go on')

  // With what is one behind it may come back.
  await restart('w', OLD)
  await whole()
  t.like(await works('w'), { state: 'succeeded', node: other })
})
