import { join } from 'node:path'
import test from 'ava'
import { hashAside } from './read-aside.ts'
import { cleanUp, flip, noise, put, sha256, temporary } from './testing.ts'
import { TrustedFiles } from './trusted-files.ts'

cleanUp(test)

test('files are hashed in a process aside; what cannot be read is left out', async (t) => {
  const folder = await temporary()
  const data = noise(70_000)
  await put(folder, { 'a file.bin': data, '-o': 'x', 'odd\\name': 'y' })
  const names = ['a file.bin', '-o', 'odd\\name', 'gone']
  const hashes = await hashAside(names.map((name) => join(folder, name)))
  t.is(hashes.get(join(folder, 'a file.bin')), sha256(data))
  t.is(hashes.get(join(folder, '-o')), sha256('x'))
  t.false(hashes.has(join(folder, 'gone')))
})

test('what was found damaged aside is no longer remembered as right', async (t) => {
  const folder = await temporary()
  const data = noise(2_000)
  const path = join(folder, 'a.bin')
  await put(folder, { 'a.bin': data })
  const trusted = new TrustedFiles()
  t.is(await trusted.check(path, sha256(data)), 'good')
  t.is(await trusted.heard(path, sha256(data), 'f'.repeat(64)), 'damaged')
  await flip(path)
  t.is(await trusted.check(path, sha256(data)), 'damaged')
})

test('a cancelled reading ends at once', async (t) => {
  const folder = await temporary()
  await put(folder, { 'a.bin': noise(100) })
  const cancel = new AbortController()
  const reading = hashAside([join(folder, 'a.bin')], cancel.signal)
  cancel.abort()
  await t.throwsAsync(reading, { name: 'AbortError' })
})
