import test from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MtorError } from '../contracts/errors.ts'
import { lockFolder } from './folder-lock.ts'

const holder = (folder: string) => spawn(process.execPath, ['--input-type=module', '-e', `import { lockFolder } from ${JSON.stringify(join(import.meta.dirname, 'folder-lock.ts'))}
lockFolder(process.argv[1]); console.log('held'); process.stdin.resume()`, folder], { stdio: ['pipe', 'pipe', 'inherit'] })

test('a folder that another process holds is refused with its process id, and is free again once that was killed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mtor-lock-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const other = holder(folder)
  await once(other.stdout, 'data')
  const error = t.throws(() => lockFolder(folder), { instanceOf: MtorError })
  t.is((error as MtorError).code, 'ALREADY_RUNNING')
  t.true(error.message.includes(String(other.pid)))
  other.kill('SIGKILL')
  await once(other, 'exit')
  const free = lockFolder(folder)
  t.throws(() => lockFolder(folder))
  free()
  free()
  lockFolder(folder)()
})

test('a folder that cannot be made is a mistake of the configuration', (t) => {
  t.is((t.throws(() => lockFolder('/dev/null/state')) as MtorError).code, 'CONFIG_INVALID')
})
