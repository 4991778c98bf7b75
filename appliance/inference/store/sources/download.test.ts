import { readdir, readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import test from 'ava'
import type { Progress } from './context.ts'
import { bench, cleanUp, manifestOf, noise, pinnedFile, serve } from '../testing.ts'

cleanUp(test)

const DATA = noise(300_000, 7)

/**
 * A server of one file that knows ranges; `cut` says after how many bytes it sends no more, undefined: never. It breaks off
 * when `reached` is told that this much has arrived: no byte is lost on the way by chance.
 */
async function server(options: { cut?: (asked: number) => number | undefined; etag?: () => string | undefined; data?: () => Buffer; ranges?: boolean } = {}) {
  const asked: (string | undefined)[] = []
  let held: { response: ServerResponse; atByte: number } | undefined
  const { url, close } = await serve((request: IncomingMessage, response: ServerResponse) => {
    const data = options.data?.() ?? DATA
    const etag = options.etag ? options.etag() : '"one"'
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')
    asked.push(request.headers.range)
    const fits = options.ranges !== false && range !== null && request.headers['if-range'] === etag
    const from = fits ? Number(range[1]) : 0
    response.writeHead(fits ? 206 : 200, { 'content-length': data.length - from, ...(etag === undefined ? {} : { etag }), ...(fits ? { 'content-range': `bytes ${from}-${data.length - 1}/${data.length}` } : {}) })
    const cut = options.cut?.(asked.length)
    if (cut === undefined) { response.end(data.subarray(from)); return }
    held = { response, atByte: from + cut }
    response.write(data.subarray(from, from + cut))
  })
  const onProgress = ({ phase, doneBytes }: Progress) => { if (phase === 'fetch' && held && doneBytes >= held.atByte) { held.response.destroy(); held = undefined } }
  return { url: `${url}/eyes.onnx`, close, asked, onProgress }
}

const storeFor = (url: string, data = DATA) => bench([manifestOf('eyes', { kind: 'url', url }, [pinnedFile('eyes.onnx', data)])])

test('a download that breaks off goes on where it was, and what came is verified', async (t) => {
  const { url, close, asked, onProgress } = await server({ cut: (count) => count < 3 ? 100_000 : undefined })
  t.teardown(close)
  const { store, modelsDir } = await storeFor(url)
  const seen: number[] = []
  t.is((await store.pull('eyes', { onProgress: (progress) => {
    onProgress(progress)
    if (progress.phase === 'fetch') { seen.push(progress.doneBytes); t.is(progress.totalBytes, DATA.length) }
  } })).how, 'fetched')
  t.deepEqual(await readFile(join(modelsDir, 'eyes/1/eyes.onnx')), DATA)
  t.deepEqual(asked, [undefined, 'bytes=100000-', 'bytes=200000-'])
  t.is(seen.at(-1), DATA.length)
  t.deepEqual(await readdir(join(modelsDir, '.incoming')), [])
})

test('a download that was cancelled goes on from there when it is asked for again', async (t) => {
  const { url, close, asked } = await server({ cut: (count) => count === 1 ? 120_000 : undefined })
  t.teardown(close)
  const { store, modelsDir } = await storeFor(url)
  const cancel = new AbortController()
  await t.throwsAsync(store.pull('eyes', { signal: cancel.signal, onProgress: ({ doneBytes }) => { if (doneBytes >= 120_000) cancel.abort() } }), { code: 'CANCELLED' })
  t.is(await store.presence('eyes'), 'absent')
  await store.pull('eyes')
  t.is(asked[1], 'bytes=120000-')
  t.deepEqual(await readFile(join(modelsDir, 'eyes/1/eyes.onnx')), DATA)
})

test('the beginning of a download goes with the model that is removed', async (t) => {
  const { url, close } = await server({ cut: () => 120_000 })
  t.teardown(close)
  const { store, modelsDir } = await storeFor(url)
  const cancel = new AbortController()
  await t.throwsAsync(store.pull('eyes', { signal: cancel.signal, onProgress: ({ doneBytes }) => { if (doneBytes >= 120_000) cancel.abort() } }), { code: 'CANCELLED' })
  t.is((await readdir(join(modelsDir, '.incoming'))).filter((name) => name.endsWith('.part')).length, 1)
  await store.remove('eyes')
  t.deepEqual(await readdir(join(modelsDir, '.incoming')), [])
})

test('where the file has changed since the beginning was fetched, it is fetched anew', async (t) => {
  const later = noise(280_000, 9)
  let changed = false
  const { url, close, onProgress } = await server({ cut: () => { const first = !changed; changed = true; return first ? 90_000 : undefined }, etag: () => changed ? '"two"' : '"one"', data: () => changed ? later : DATA })
  t.teardown(close)
  const { store, modelsDir } = await storeFor(url, later)
  await store.pull('eyes', { onProgress })
  t.deepEqual(await readFile(join(modelsDir, 'eyes/1/eyes.onnx')), later)
})

test('a server without validators or ranges is asked for the whole again', async (t) => {
  const { url, close, asked, onProgress } = await server({ cut: (count) => count === 1 ? 50_000 : undefined, etag: () => undefined, ranges: false })
  t.teardown(close)
  const { store } = await storeFor(url)
  t.is((await store.pull('eyes', { onProgress })).how, 'fetched')
  t.deepEqual(asked, [undefined, undefined])
})

test('a download that is complete but not what was pinned is refused, and is not kept as a beginning', async (t) => {
  const { url, close } = await server()
  t.teardown(close)
  const { store, modelsDir } = await storeFor(url, noise(300_000, 8))
  await t.throwsAsync(store.pull('eyes'), { code: 'MODEL_UNTRUSTED' })
  t.deepEqual(await readdir(join(modelsDir, '.incoming')), [])
  t.is(await store.presence('eyes'), 'absent')
})

test('what is not there is not asked for again, and says the status', async (t) => {
  let count = 0
  const { url, close } = await serve((_, response) => { count++; response.writeHead(404).end() })
  t.teardown(close)
  const { store } = await storeFor(`${url}/eyes.onnx`)
  await t.throwsAsync(store.pull('eyes'), { code: 'DOWNLOAD_FAILED', message: /404/ })
  t.is(count, 1)
})

test('a server that nobody runs is a failed download, and says why', async (t) => {
  const { url, close } = await serve((_, response) => { response.end() })
  await close()
  const { store } = await storeFor(`${url}/eyes.onnx`)
  await t.throwsAsync(store.pull('eyes'), { code: 'DOWNLOAD_FAILED', message: /ECONNREFUSED/ })
})
