import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MtorError } from '../contracts/errors.ts'

const run = promisify(execFile)

/** Runs openssl in a folder, so that no path has to be written into its configuration; node:crypto reads X.509 certificates but makes none. @throws MtorError CONFIG_INVALID when it is missing or fails */
export async function openssl(folder: string, args: readonly string[]): Promise<void> {
  try { await run('openssl', [...args], { cwd: folder, timeout: 10_000, env: { PATH: process.env.PATH, LC_ALL: 'C', OPENSSL_CONF: '/dev/null' } }) } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const said = String((error as { stderr?: unknown }).stderr ?? '').trim().split('\n').slice(-2).join('; ').slice(0, 300)
    throw new MtorError('CONFIG_INVALID', missing ? 'a realm needs certificates and openssl is not installed' : `openssl ${args[0]} failed: ${said || (error as Error).message}`, { cause: error, hint: 'Install openssl; see: mtor doctor' })
  }
}

/** Does something in a folder that only we can enter, which is then removed. */
export async function inPrivateFolder<T>(parent: string, action: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(parent, { recursive: true, mode: 0o700 })
  const folder = await mkdtemp(join(parent, '.making-'))
  try { return await action(folder) } finally { await rm(folder, { recursive: true, force: true }) }
}
