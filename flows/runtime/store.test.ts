import test, { type ExecutionContext } from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FlowNode } from './flow.ts'
import { FlowStore } from './store.ts'

const at = { boot: 1, mono: 5 }
const tab = (label: string): FlowNode[] => [{ id: 't', type: 'tab', label }]

async function folder(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mtor-flow-store-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}
async function opened(dir: string, options?: ConstructorParameters<typeof FlowStore>[1]) {
  const store = new FlowStore(dir, options)
  return { store, damaged: await store.open() }
}

test('deploys are counted, kept with their credentials, and found again; the same once more is none', async (t) => {
  const dir = await folder(t)
  const { store } = await opened(dir)
  t.is(store.current, undefined)
  t.like((await store.add({ at, flows: tab('a'), credentials: { $: 'x' }, author: 'ann' })).meta, { n: 1, author: 'ann', summary: 'added tab “a”', good: false })
  const second = await store.add({ at, flows: tab('b'), author: 'cli' })
  t.like(second, { isNew: true, meta: { n: 2, summary: 'changed tab “b”' } })
  t.deepEqual(await store.add({ at, flows: tab('b'), author: 'eve' }), { isNew: false, meta: second.meta })
  t.is((await store.add({ at, flows: tab('b'), credentials: { $: 'y' }, author: 'ann' })).meta.n, 3, 'other credentials are another deploy')
  await store.mark(1, 'good')
  const again = await opened(dir)
  t.deepEqual(again.damaged, [])
  t.deepEqual(again.store.list(), store.list())
  t.like(again.store.current, { n: 3, credentials: { $: 'y' }, flows: tab('b') })
  t.like(await again.store.read(1), { good: true, credentials: { $: 'x' }, flows: tab('a') })
  await t.throwsAsync(again.store.read(4), { code: 'NOT_FOUND' })
})

test('a damaged deploy is set aside, its number is not given again, and none is in force', async (t) => {
  const dir = await folder(t)
  const { store } = await opened(dir)
  for (const label of ['a', 'b', 'c']) await store.add({ at, flows: tab(label), author: 'cli' })
  const file = join(dir, 'deploys/000003.json')
  const whole = await readFile(file, 'utf8')
  await writeFile(file, whole.replace('"label":"c"', '"label":"d"'))
  const again = await opened(dir)
  t.deepEqual(again.damaged, [{ file: 'deploys/000003.json', n: 3, aside: `${file}.damaged` }])
  t.is(again.store.current, undefined)
  t.deepEqual(again.store.list().map(({ n }) => n), [2, 1])
  t.is((await again.store.add({ at, flows: tab('e'), author: 'cli' })).meta.n, 4)
  t.true((await readdir(join(dir, 'deploys'))).includes('000003.json.damaged'))
})

for (const [what, text] of [['cut off', '{"n":1,"flo'], ['empty', ''], ['other JSON', '[]'], ['zeroes', '\0'.repeat(100)]] as const) {
  test(`a file of a deploy that is ${what} is damaged`, async (t) => {
    const dir = await folder(t)
    await (await opened(dir)).store.add({ at, flows: tab('a'), author: 'cli' })
    await writeFile(join(dir, 'deploys/000001.json'), text)
    t.is((await opened(dir)).damaged.length, 1)
  })
}

test('marks that are damaged are set aside, and can be told again', async (t) => {
  const dir = await folder(t)
  const { store } = await opened(dir)
  await store.add({ at, flows: tab('a'), author: 'cli' })
  await store.mark(1, 'good')
  await writeFile(join(dir, 'marks.json'), '{"good":')
  const again = await opened(dir)
  t.is(again.damaged[0]!.file, 'marks.json')
  t.false(again.store.list()[0]!.good)
  await again.store.remember([{ n: 1, good: true, crashed: false }])
  t.true((await opened(dir)).store.list()[0]!.good)
})

test('flows that were ever in a crash loop are not the last good ones, under whatever number they ran well', async (t) => {
  const { store } = await opened(await folder(t))
  for (const label of ['a', 'b', 'a']) await store.add({ at, flows: tab(label), author: 'cli' })
  await store.mark(1, 'good')
  t.is(store.lastGood()!.n, 1)
  await store.mark(3, 'crashed')
  t.is(store.lastGood(), undefined)
  await store.mark(2, 'good')
  t.is(store.lastGood()!.n, 2)
})

test('old deploys are dropped, but not the last good one', async (t) => {
  const dir = await folder(t)
  const { store } = await opened(dir, { keep: 3 })
  await store.add({ at, flows: tab('good'), author: 'cli' })
  await store.mark(1, 'good')
  for (let i = 0; i < 6; i++) await store.add({ at, flows: tab(String(i)), author: 'cli' })
  t.deepEqual(store.list().map(({ n }) => n), [7, 6, 5, 1])
  t.deepEqual((await opened(dir)).store.list(), store.list())
})

test('who only reads changes nothing, not even what is damaged', async (t) => {
  const dir = await folder(t)
  const { store } = await opened(dir)
  await store.add({ at, flows: tab('a'), author: 'cli' })
  await writeFile(join(dir, 'deploys/000002.json'), 'x')
  await writeFile(join(dir, 'deploys/000003.json.1.new'), 'x')
  const before = await readdir(join(dir, 'deploys'))
  t.is((await opened(dir, { readOnly: true })).damaged.length, 1)
  t.deepEqual(await readdir(join(dir, 'deploys')), before)
  t.deepEqual((await opened(join(dir, 'nowhere'), { readOnly: true })).store.list(), [])
})

test('a deploy that was cut off while it was written leaves the one before in force, and its number free', async (t) => {
  const dir = await folder(t)
  const { store } = await opened(dir)
  await store.add({ at, flows: tab('a'), author: 'cli' })
  await writeFile(join(dir, 'deploys/000002.json.1.new'), '{"n":2,')
  t.is((await opened(dir, { readOnly: true })).store.current?.n, 1, 'for who looks meanwhile')
  const again = await opened(dir)
  t.deepEqual(again.damaged, [])
  t.is(again.store.current?.n, 1)
  t.deepEqual(await readdir(join(dir, 'deploys')), ['000001.json'])
  t.is((await again.store.add({ at, flows: tab('b'), author: 'cli' })).meta.n, 2)
})

test('kill −9 in the middle of deploys leaves the old flows or the new ones, with their own credentials', async (t) => {
  const dir = await folder(t)
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url).href)
  const code = `
    const { FlowStore } = await import(${url('./store.ts')})
    const store = new FlowStore(${JSON.stringify(dir)}, { keep: 20 })
    await store.open()
    for (let i = (store.current?.n ?? 0) + 1; ; i++) {
      await store.add({ at: { boot: 1, mono: 1 }, flows: [{ id: 'a', type: 'x', i, fill: 'x'.repeat(20000) }], credentials: { $: String(i) }, author: 'cli' })
      process.stdout.write(i + '\\n')
    }`
  let acknowledged = 0
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (data: Buffer) => { said += String(data) })
    while (said.split('\n').length < 3 + round) await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'close')
    acknowledged = Number(said.trimEnd().split('\n').at(-1))
    const { store, damaged } = await opened(dir, { keep: 20 })
    t.deepEqual(damaged, [])
    const { n, flows, credentials } = store.current!
    t.true(n >= acknowledged && n <= acknowledged + 1, `${n} after ${acknowledged}`)
    t.is(flows[0]!['i'], n)
    t.is(credentials['$'], String(n))
  }
})
