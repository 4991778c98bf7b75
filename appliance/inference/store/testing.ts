import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, open, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestFn } from 'ava'
import { ManualClock } from '../../contracts/clock.ts'
import { MtorError } from '../../contracts/errors.ts'
import type { SystemEventInput } from '../../contracts/events.ts'
import type { Manifest, ModelSource } from '../manifest.ts'
import { ModelStore, type ModelStoreOptions } from './index.ts'

/** What the store's tests share: folders that go away, content from a seed, manifests, a server that can be cut off. */

const folders: string[] = []
export async function temporary(): Promise<string> { const folder = await mkdtemp(join(tmpdir(), 'mtor-store-')); folders.push(folder); return folder }
/** To be called once in a test file. */
export function cleanUp(test: TestFn): void { test.after.always(async () => { for (const folder of folders) await rm(folder, { recursive: true, force: true }) }) }

export const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex')

/** Bytes that differ from seed to seed and do not pack well. */
export function noise(bytes: number, seed = 1): Buffer {
  const data = Buffer.alloc(bytes)
  let state = seed
  for (let at = 0; at < bytes; at++) { state = state * 48_271 % 0x7fffffff; data[at] = state & 0xff }
  return data
}

export async function put(folder: string, files: Record<string, Uint8Array | string>): Promise<void> {
  for (const [path, data] of Object.entries(files)) { await mkdir(dirname(join(folder, path)), { recursive: true }); await writeFile(join(folder, path), data) }
}

export const pinnedFile = (path: string, data: Uint8Array, from?: string) => ({ path, sha256: sha256(data), bytes: data.length, ...(from === undefined ? {} : { from }) })

export const manifestOf = (name: string, source: ModelSource, files: Manifest['files'], more: Partial<Manifest> = {}): Manifest => ({
  name, version: '1', title: name, task: 'tensor', licence: { spdx: 'MIT' }, source, files, signature: { inputs: [], outputs: [] }, memoryMB: 10, timeoutMs: 1000, prove: 'idle',
  knownAnswers: [{ input: { feeds: {} }, output: { tensors: {} } }], options: {}, ...more,
})

export interface Bench { store: ModelStore; modelsDir: string; shippedDir: string; clock: ManualClock; events: SystemEventInput[] }

/** A store in a folder of its own, with these manifests as those that come with the appliance. */
export async function bench(manifests: readonly Manifest[] = [], more: Partial<ModelStoreOptions> = {}): Promise<Bench> {
  const modelsDir = more.modelsDir ?? await temporary()
  const shippedDir = more.shippedDir ?? await temporary()
  // JSON is YAML too.
  for (const manifest of manifests) await writeFile(join(shippedDir, `${manifest.name}.yaml`), JSON.stringify(manifest))
  const events: SystemEventInput[] = []
  const clock = new ManualClock()
  return { store: new ModelStore({ clock, onEvent: (event) => { events.push(event) }, scrubPeriodMs: 3600_000, ...more, modelsDir, shippedDir }), modelsDir, shippedDir, clock, events }
}

/** Turns over one bit, and sets size and time back as they were: as rot on a disk does. */
export async function flip(file: string, position = 10): Promise<void> {
  const before = await stat(file)
  const handle = await open(file, 'r+')
  try {
    const byte = Buffer.alloc(1)
    await handle.read(byte, 0, 1, position)
    byte[0]! ^= 1
    await handle.write(byte, 0, 1, position)
  } finally { await handle.close() }
  await utimes(file, before.atime, before.mtime)
}

/** Waits for a condition, at most half a minute. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (const sinceMs = performance.now(); !condition();) {
    if (performance.now() - sinceMs > 30_000) throw new MtorError('DEADLINE', `waited in vain for ${what}`)
    await sleep(10)
  }
}

export async function serve(listener: RequestListener): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(() => resolve()) }),
  }
}
