import test, { type ExecutionContext } from 'ava'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credentialKey, decryptable, seal } from './key.ts'

async function folder(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mtor-flow-key-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}

test('the key is made on first use, readable by its owner only, and stays', async (t) => {
  const dir = await folder(t)
  const { key, how } = await credentialKey(dir)
  t.regex(key, /^[0-9a-f]{64}$/)
  t.is(how, 'made')
  t.deepEqual(await credentialKey(dir), { key, how: 'there', aside: [] })
  for (const name of ['credential.key', 'credential.key.copy']) t.is((await stat(join(dir, name))).mode & 0o777, 0o600)
  t.not((await credentialKey(await folder(t))).key, key)
})

for (const damaged of ['credential.key', 'credential.key.copy']) {
  for (const [what, text] of [['emptied', ''], ['cut off', 'abcdef'], ['of another key', `${'0'.repeat(64)} 0000000000000000\n`]] as const) {
    test(`${damaged}, ${what}, is set aside and mended from the other`, async (t) => {
      const dir = await folder(t)
      const { key } = await credentialKey(dir)
      await writeFile(join(dir, damaged), text)
      t.deepEqual(await credentialKey(dir), { key, how: 'mended', aside: [join(dir, `${damaged}.damaged`)] })
      t.is(await readFile(join(dir, `${damaged}.damaged`), 'utf8'), text)
      t.deepEqual(await credentialKey(dir), { key, how: 'there', aside: [] })
    })
  }
}

test('one that is missing is made from the other; with both damaged the key is a new one', async (t) => {
  const dir = await folder(t)
  const { key } = await credentialKey(dir)
  await rm(join(dir, 'credential.key'))
  t.like(await credentialKey(dir), { key, how: 'mended' })
  for (const name of ['credential.key', 'credential.key.copy']) await writeFile(join(dir, name), 'x')
  const found = await credentialKey(dir)
  t.is(found.how, 'made')
  t.not(found.key, key)
  t.is((await readdir(dir)).length, 4)
})

test('whether credentials fit a key is known without Node-RED', async (t) => {
  const [{ key }, { key: other }] = await Promise.all([credentialKey(await folder(t)), credentialKey(await folder(t))])
  const sealed = seal({ n: { password: 'pröbe' } }, key)
  t.false(JSON.stringify(sealed).includes('password'))
  t.true(decryptable(sealed, key))
  t.false(decryptable(sealed, other))
  t.false(decryptable({ $: 'nonsense' }, key))
  t.false(decryptable({ $: 5 }, key))
  t.true(decryptable({}, key))
})
