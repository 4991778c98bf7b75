import test from 'ava'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** A checkout with nothing in it but setup/, and the Node this test runs with as its Node 24. */
function checkout(files: Record<string, string>, withNode = true) {
  const folder = mkdtempSync(join(tmpdir(), 'mtor-setup-'))
  cpSync(import.meta.dirname, join(folder, 'setup'), { recursive: true })
  if (withNode) {
    mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
    symlinkSync(process.execPath, join(folder, 'node_modules/.bin/node'))
  }
  for (const [file, text] of Object.entries(files)) { mkdirSync(join(folder, file, '..'), { recursive: true }); writeFileSync(join(folder, file), text) }
  return { folder, remove: () => rmSync(folder, { recursive: true }) }
}

const start = (file: string, ...args: string[]): ChildProcess => spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
async function run(file: string, ...args: string[]) {
  const child = start(file, ...args)
  let out = ''; let err = ''
  child.stdout!.on('data', (data: Buffer) => { out += data })
  child.stderr!.on('data', (data: Buffer) => { err += data })
  const [code] = await once(child, 'close') as [number]
  return { code, out, err }
}

test('mtor runs the command line in Node 24 and ends with its exit code', async (t) => {
  const { folder, remove } = checkout({ 'appliance/cli.ts': 'const words: string[] = process.argv.slice(2)\nconsole.log(words.join(" "))\nprocess.exit(5)\n' })
  t.teardown(remove)
  const { code, out } = await run(join(folder, 'setup/mtor.mjs'), 'say', 'two words')
  t.is(out, 'say two words\n')
  t.is(code, 5)
})

test('mtor in a checkout that is not set up says so, installs nothing and ends with 1', async (t) => {
  const { folder, remove } = checkout({}, false)
  t.teardown(remove)
  const { code, err } = await run(join(folder, 'setup/mtor.mjs'), 'status')
  t.is(code, 1)
  t.regex(err, /npm start/)
  t.false(existsSync(join(folder, 'node_modules')))
})

test('a signal reaches the child once although npm repeats it, and its exit code is passed on', async (t) => {
  const { folder, remove } = checkout({ 'appliance/cli.ts': `let got = 0
process.on('SIGTERM', () => { got++; setTimeout(() => process.exit(40 + got), 100) })
setInterval(() => {}, 1000)
console.log('up')
` })
  t.teardown(remove)
  const child = start(join(folder, 'setup/mtor.mjs'))
  await once(child.stdout!, 'data')
  child.kill('SIGTERM')
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit') as [number]
  t.is(code, 41)
})

const HOLDER = (folder: string) => `import { lock } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'lock.mjs')).href)}
const unlock = await lock(${JSON.stringify(folder)})
process.stdout.write('held\\n')
setInterval(() => {}, 1000)
process.on('SIGTERM', () => { unlock(); process.stdout.write('freed\\n', () => process.exit(0)) })
`

test('a second set-up of the same folder waits until the first is done, or was killed', async (t) => {
  const { folder, remove } = checkout({})
  t.teardown(remove)
  const file = join(folder, 'holder.mjs')
  writeFileSync(file, HOLDER(folder))
  const first = start(file)
  await once(first.stdout!, 'data')
  const second = start(file)
  t.regex(String((await once(second.stderr!, 'data'))[0]), /waiting/)
  const secondHolds = once(second.stdout!, 'data')
  first.kill('SIGTERM')
  t.is(String((await secondHolds)[0]), 'held\n')
  const third = start(file)
  await once(third.stderr!, 'data')
  const thirdHolds = once(third.stdout!, 'data')
  second.kill('SIGKILL')
  t.is(String((await thirdHolds)[0]), 'held\n')
  third.kill('SIGKILL')
  await once(third, 'exit')
})
