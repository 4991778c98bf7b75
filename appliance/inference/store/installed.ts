import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'

const require = createRequire(import.meta.url)

/** The folder of an installed npm package. @throws MtorError ENGINE_MISSING */
export function installedFolder(npmPackage: string, folder: string): string {
  for (const base of require.resolve.paths(npmPackage) ?? []) {
    try { return join(dirname(require.resolve(join(base, npmPackage, 'package.json'))), folder) } catch { /* Not in this one. */ }
  }
  throw new MtorError('ENGINE_MISSING', `package ${npmPackage} is not installed`, { hint: 'Run npm start, which installs what is missing, or: npm ci' })
}
