import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { cleanUp, manifestOf, noise, pinnedFile, temporary } from './testing.ts'

cleanUp(test)

const run = promisify(execFile)
const STORE = pathToFileURL(join(import.meta.dirname, 'index.ts')).href
const CLOCK = pathToFileURL(join(import.meta.dirname, '../../contracts/clock.ts')).href
const DATA = noise(1_500_000, 4)

/** Code for a process of its own, with a store `store` in the folder that is its first argument. */
const withStore = (code: string) => `
import { ModelStore } from ${JSON.stringify(STORE)}
import { systemClock } from ${JSON.stringify(CLOCK)}
import { readdirSync } from 'node:fs'
const [modelsDir, shippedDir] = process.argv.slice(1)
const events = []
const store = new ModelStore({ modelsDir, shippedDir, clock: systemClock, scrubPeriodMs: 1e9, onEvent: ({ name }) => events.push(name) })
const codeOf = async (work) => { try { return await work() } catch (error) { return error.code ?? String(error) } }
${code}
`

async function shipped() {
  const folder = await temporary()
  writeFileSync(join(folder, 'source.bin'), DATA)
  const manifests = join(folder, 'manifests')
  mkdirSync(manifests)
  writeFileSync(join(manifests, 'eyes.yaml'), JSON.stringify(manifestOf('eyes', { kind: 'file', path: join(folder, 'source.bin') }, [pinnedFile('source.bin', DATA)])))
  return manifests
}

/** A disk of this many bytes below `folder`, for the command that follows: a tmpfs where this process may mount one, else a limit on the size of files. */
function smallDisk(folder: string, bytes: number): string[] {
  for (const unshare of [['unshare', '--mount'], ['unshare', '--mount', '--map-root-user']]) {
    const [command, ...args] = [...unshare, 'sh', '-c', `mount -t tmpfs -o size=${bytes} none "$0" && exec "$@"`, folder]
    try { execFileSync(command!, [...args, 'true'], { stdio: 'ignore' }); return [command!, ...args] } catch { /* Not allowed here. */ }
  }
  return ['prlimit', `--fsize=${Math.floor(bytes / 2)}`]
}

const node = (code: string) => [process.execPath, '--no-warnings', '--input-type=module', '-e', code]

test('a disk that fills up while a model is brought says DISK_FULL and keeps nothing of it', async (t) => {
  const modelsDir = await temporary()
  const code = withStore(`
const first = await codeOf(() => store.pull('eyes'))
console.log(JSON.stringify({ first, left: readdirSync(modelsDir, { recursive: true }).filter((name) => name.includes('eyes')), presence: await store.presence('eyes') }))
`)
  // The model fits once, but not a second time as its copy.
  const [command, ...args] = [...smallDisk(modelsDir, 2_200_000), ...node(code), modelsDir, await shipped()]
  const { stdout } = await run(command!, args, { timeout: 60_000 })
  t.deepEqual(JSON.parse(stdout.trim()), { first: 'DISK_FULL', left: [], presence: 'absent' })
})

/** As a user who may not write where nobody may: root gives up the right to pass over that. */
const bound = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search,-fowner'] : []

test('a store that cannot be written serves what is in it, from the copy where the first is damaged', async (t) => {
  const modelsDir = await temporary()
  const manifests = await shipped()
  const [pull, ...pullArgs] = [...node(withStore("await store.pull('eyes')")), modelsDir, manifests]
  await run(pull!, pullArgs, { timeout: 60_000 })
  writeFileSync(join(modelsDir, 'eyes/1/source.bin'), noise(1_500_000, 5))
  const all = [modelsDir, ...readdirSync(modelsDir, { recursive: true, withFileTypes: true }).map((entry) => join(entry.parentPath, entry.name))]
  execFileSync('chmod', ['a-w', ...all])
  t.teardown(() => { execFileSync('chmod', ['u+w', ...all]) })
  const code = withStore(`
const folder = await codeOf(async () => (await store.trusted('eyes')).folder)
console.log(JSON.stringify({ folder, events, scrub: (await store.scrub()).problems.length, pull: await codeOf(() => store.pull('eyes')) }))
`)
  const [command, ...args] = [...bound, ...node(code), modelsDir, manifests]
  const { stdout } = await run(command!, args, { timeout: 60_000 })
  t.deepEqual(JSON.parse(stdout.trim()), { folder: join(modelsDir, 'copy/eyes/1'), events: ['model.unmended'], scrub: 1, pull: 'MODEL_UNAVAILABLE' })
})

test('two processes that bring the same model at once bring it once, and a third after one was killed is not kept waiting', async (t) => {
  const modelsDir = await temporary()
  const manifests = await shipped()
  const code = withStore("console.log((await store.pull('eyes')).how)")
  const [command, ...args] = [...node(code), modelsDir, manifests]
  const both = await Promise.all([run(command!, args, { timeout: 60_000 }), run(command!, args, { timeout: 60_000 })])
  t.deepEqual(both.map(({ stdout }) => stdout.trim()).sort(), ['fetched', 'present'])
  // One that dies in the middle, with the lock held and its scratch folder full.
  const dying = withStore("await store.remove('eyes'); await store.pull('eyes', { onProgress: ({ phase }) => { if (phase === 'copy') process.kill(process.pid, 'SIGKILL') } })")
  const [die, ...dieArgs] = [...node(dying), modelsDir, manifests]
  await t.throwsAsync(run(die!, dieArgs, { timeout: 60_000 }), { message: /Command failed/ })
  t.deepEqual(readdirSync(join(modelsDir, '.incoming')), ['eyes'])
  const { stdout } = await run(command!, args, { timeout: 60_000 })
  t.is(stdout.trim(), 'fetched')
  t.deepEqual(readdirSync(join(modelsDir, '.incoming')), [])
})
