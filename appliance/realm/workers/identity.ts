import { createHash } from 'node:crypto'
import type { Manifest } from '../../inference/manifest.ts'

const known = new WeakMap<Manifest, string>()

/**
 * SHA-256 over what makes a model the one it is: version, task, files, options and known answers, whatever the order of keys.
 * Names do not do: what each box has learned is called the same.
 */
export function identityOf(manifest: Manifest): string {
  let identity = known.get(manifest)
  if (identity === undefined) {
    const { name, version, task, files, options, knownAnswers, prove } = manifest
    identity = createHash('sha256').update(canonical({ name, version, task, prove, options, knownAnswers, files: files.map(({ path, sha256 }) => [path, sha256]) })).digest('hex')
    known.set(manifest, identity)
  }
  return identity
}

const canonical = (value: unknown): string => JSON.stringify(value, (_, part: unknown) =>
  typeof part === 'object' && part !== null && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part)
