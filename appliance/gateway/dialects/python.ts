import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { lock } from '../../../setup/lock.mjs'
import { MtorError } from '../../contracts/errors.ts'

const CACHE = resolve(import.meta.dirname, '../../../.cache/python')
const run = promisify(execFile)
const INSTALL_MS = 170_000

/**
 * For tests: a Python with these packages of PyPI, in a virtual environment below .cache that is made once. The
 * packages are installed exactly as listed, without what they depend on, so the list names that too: programs of
 * others are then only as large as what is asked of them.
 * @throws MtorError DOWNLOAD_FAILED with pip's last words; a test that needs it fails with that
 */
export async function pythonWith(name: string, packages: readonly string[]): Promise<string> {
  const folder = join(CACHE, `${name}-${createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 12)}`)
  const python = join(folder, 'bin/python'), complete = join(folder, 'complete')
  if (existsSync(complete)) return python
  await mkdir(CACHE, { recursive: true })
  const unlock = await lock(folder)
  try {
    if (existsSync(complete)) return python
    await rm(folder, { recursive: true, force: true })
    await run('python3', ['-m', 'venv', folder])
    await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', ...packages], { timeout: INSTALL_MS })
    await writeFile(complete, packages.join('\n'))
    return python
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string }
    throw new MtorError('DOWNLOAD_FAILED', `the Python packages of ${name} could not be installed: ${stderr.trim().split('\n').slice(-3).join(' ') || message}`, { cause: error, hint: 'This test needs python3-venv and PyPI.' })
  } finally { unlock() }
}
