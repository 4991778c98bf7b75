import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { missing } from './steps.mjs'

const stampFile = (root) => join(root, '.cache/models.json')
const manifestsDir = (root) => join(root, 'appliance/inference/manifests')

/** What the default models depend on: their manifests, and which configuration says where the store is. */
export function modelsKey(root) {
  const hash = createHash('sha256').update(process.env.MTOR_CONFIG ?? '')
  for (const name of readdirSync(manifestsDir(root)).sort()) hash.update(name).update(readFileSync(join(manifestsDir(root), name)))
  return hash.digest('hex')
}

const readStamp = (root) => { try { return JSON.parse(readFileSync(stampFile(root), 'utf8')) } catch { return undefined } }
const isAsItWas = ({ path, bytes, mtimeMs }) => { const now = statSync(path, { throwIfNoEntry: false }); return now?.size === bytes && now.mtimeMs === mtimeMs }

/**
 * Whether the default models are there as they were brought, by sizes and times alone; the daemon compares hashes. Where the
 * network was not there the last time, a start does not wait for it again: the box works without eyes.
 * @returns {'current' | 'given up' | 'missing'}
 */
export function modelsState(root, purpose) {
  if (!existsSync(manifestsDir(root))) return 'current'
  const stamp = readStamp(root)
  if (stamp?.key !== modelsKey(root) || !stamp.files.every(isAsItWas)) return 'missing'
  return stamp.failed.length === 0 ? 'current' : purpose === 'start' ? 'given up' : 'missing'
}

/** Says what is not there, where it was tried before. */
export const sayGivenUp = (root) => missing(`without ${readStamp(root)?.failed.join(', ')}; when there is a network: npx mtor models pull --default`)

/** Brings the default models with Node 24 (setup/models.ts), which says how far it is. A failure is told, never thrown: the box works with what is there. */
export async function bringModels(root) {
  const child = spawn(join(root, 'node_modules/.bin/node'), ['--no-warnings', join(root, 'setup/models.ts'), stampFile(root), modelsKey(root)], { stdio: ['ignore', 'ignore', 'inherit'] })
  const code = await new Promise((resolve) => { child.on('error', () => resolve(1)); child.on('close', resolve) })
  if (code !== 0) missing('models were not all brought; see: npx mtor models list')
}
