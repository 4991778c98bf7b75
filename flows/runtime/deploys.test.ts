import test, { type ExecutionContext } from 'ava'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '../../appliance/contracts/clock.ts'
import type { SystemEvent } from '../../appliance/contracts/events.ts'
import { Hub } from '../../appliance/contracts/hub.ts'
import { MtorError } from '../../appliance/contracts/errors.ts'
import { Deploys } from './deploys.ts'
import type { FlowNode } from './flow.ts'
import { decryptable, seal } from './key.ts'
import { memoryValues } from './testing.ts'

const tab = (label: string): FlowNode[] => [{ id: 't', type: 'tab', label }]
const KEY = (n: number) => `flows/deploy/${n}`

async function bench(t: ExecutionContext) {
  const dir = await mkdtemp(join(tmpdir(), 'mtor-deploys-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const hub = new Hub(new ManualClock(), 'base')
  const events: SystemEvent[] = []
  hub.onSystem((event) => { events.push(event) })
  const values = memoryValues()
  const open = async () => { const deploys = new Deploys({ dir, keep: 100, hub, values }); await deploys.open(); return deploys }
  return { dir, events, values, open, named: (name: string) => events.filter((event) => event.name === name) }
}

test('each deploy is told and on record in the journal, which follows what becomes of it', async (t) => {
  const b = await bench(t)
  const deploys = await b.open()
  await deploys.save({ flows: tab('a'), author: 'ann' })
  await deploys.save({ flows: tab('b'), author: 'cli' })
  await deploys.save({ flows: tab('b'), author: 'cli' })
  t.deepEqual(b.named('deployed').map(({ data }) => [data!['n'], data!['author'], data!['summary']]), [[1, 'ann', 'added tab “a”'], [2, 'cli', 'changed tab “b”']])
  await deploys.good(1)
  t.like(b.values.kept.get(KEY(1)), { n: 1, author: 'ann', good: true, crashed: false })
  t.like(b.values.kept.get(KEY(2)), { n: 2, good: false })
  t.deepEqual([...b.values.kept.keys()].sort(), [KEY(1), KEY(2)])
})

test('a deploy that was kept just before the end is on record after the next start; what ran well is known from the journal', async (t) => {
  const b = await bench(t)
  const deploys = await b.open()
  await deploys.save({ flows: tab('a'), author: 'ann' })
  await deploys.good(1)
  b.values.kept.delete(KEY(1))
  await rm(join(b.dir, 'marks.json'))
  await b.open()
  t.like(b.values.kept.get(KEY(1)), { n: 1, good: false })
  b.values.kept.set(KEY(1), { ...b.values.kept.get(KEY(1)) as object, good: true })
  t.true((await b.open()).store.current!.good)
})

test('a journal that is away keeps no deploy away', async (t) => {
  const b = await bench(t)
  const deploys = await b.open()
  const { put } = b.values
  b.values.put = async () => { throw new MtorError('JOURNAL_UNAVAILABLE', 'the disk is gone') }
  t.is((await deploys.save({ flows: tab('a'), author: 'ann' })).n, 1)
  t.is(b.named('journal.failed').length, 1)
  b.values.put = put
  await deploys.save({ flows: tab('b'), author: 'ann' })
  t.is(b.values.kept.size, 2)
})

test('where the flows in force are damaged the last good ones come back, as a new deploy, and it is said', async (t) => {
  const b = await bench(t)
  const deploys = await b.open()
  for (const label of ['good', 'newer', 'broken']) await deploys.save({ flows: tab(label), credentials: { $: label }, author: 'ann' })
  await deploys.good(1)
  await writeFile(join(b.dir, 'deploys/000003.json'), '{')
  const again = await b.open()
  t.like(again.store.current, { n: 4, of: 1, author: 'appliance', flows: tab('good') })
  t.is(b.named('damaged').length, 1)
  t.regex(b.named('rolled-back')[0]!.say!, /damaged.*older/)
  t.true((await readdir(join(b.dir, 'deploys'))).includes('000003.json.damaged'))
  t.false(b.values.kept.has(KEY(3)))
})

test('without good ones the newest that did not crash come back, and without any there are no flows', async (t) => {
  const b = await bench(t)
  const deploys = await b.open()
  for (const label of ['a', 'b', 'c']) await deploys.save({ flows: tab(label), author: 'ann' })
  await deploys.store.mark(2, 'crashed')
  await writeFile(join(b.dir, 'deploys/000003.json'), '{')
  t.like((await b.open()).store.current, { n: 4, of: 1 })
  for (const n of [1, 2, 4]) await writeFile(join(b.dir, `deploys/00000${n}.json`), '{')
  t.like((await b.open()).store.current, { n: 5, flows: [], author: 'appliance' })
})

test('a crash loop goes back to good flows, then to older ones, never to what crashed, at last to none; none that crash are no news', async (t) => {
  const b = await bench(t)
  const deploys = await b.open()
  for (const label of ['a', 'b', 'c']) await deploys.save({ flows: tab(label), author: 'ann' })
  await deploys.good(1)
  await deploys.good(2)
  t.like(await deploys.fallBack(), { n: 4, of: 2 })
  t.like(await deploys.fallBack(), { n: 5, of: 1 })
  t.like(await deploys.fallBack(), { n: 6 })
  t.deepEqual(deploys.store.current!.flows, [])
  t.deepEqual(b.named('rolled-back').map(({ data }) => data!['of']), [2, 1, undefined])
  t.true(b.named('rolled-back').every(({ say }) => say !== undefined))
  t.is((await deploys.fallBack()).n, 6)
  t.is(b.named('rolled-back').length, 3)
})

test('credentials come back with their flows; where there are none, Node-RED gets sealed emptiness', async (t) => {
  const b = await bench(t)
  const deploys = await b.open()
  t.true(decryptable((await deploys.current()).credentials, deploys.key))
  t.true('$' in (await deploys.current()).credentials)
  const credentials = seal({ t: { password: 'x' } }, deploys.key)
  await deploys.save({ flows: tab('a'), credentials, author: 'ann' })
  await deploys.save({ flows: tab('b'), author: 'ann' })
  t.deepEqual((await deploys.current()).credentials, credentials, 'a deploy that says nothing of them leaves them')
})

test('a damaged key is mended from its copy; with both lost, flows go on without credentials and it is said', async (t) => {
  const b = await bench(t)
  const deploys = await b.open()
  await deploys.save({ flows: tab('a'), credentials: seal({ t: { password: 'x' } }, deploys.key), author: 'ann' })
  await writeFile(join(b.dir, 'credential.key'), 'x')
  const mended = await b.open()
  t.is(mended.key, deploys.key)
  t.is(b.named('damaged').length, 1)
  t.is(mended.store.current!.n, 1)
  for (const name of ['credential.key', 'credential.key.copy']) await writeFile(join(b.dir, name), 'x')
  const lost = await b.open()
  t.like(lost.store.current, { n: 2, author: 'appliance', flows: tab('a'), credentials: {} })
  t.truthy(b.named('credentials.lost')[0]!.say)
})

test('settings of Node-RED are kept; damaged ones are set aside and begin anew', async (t) => {
  const b = await bench(t)
  const deploys = await b.open()
  t.deepEqual(await deploys.readSettings('settings'), {})
  await deploys.writeSettings('settings', { users: { _: { theme: 'dark' } } })
  t.deepEqual(await deploys.readSettings('settings'), { users: { _: { theme: 'dark' } } })
  await writeFile(join(b.dir, 'settings.json'), '[1')
  t.deepEqual(await deploys.readSettings('settings'), {})
  t.true((await readdir(b.dir)).includes('settings.json.damaged'))
  t.is(b.named('damaged').length, 1)
})
