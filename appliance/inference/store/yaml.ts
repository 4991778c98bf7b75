import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDocument } from 'yaml'
import { MtorError } from '../../contracts/errors.ts'

/** Manifests that come with the appliance. */
export const SHIPPED_DIR = join(import.meta.dirname, '../manifests')

/** Reads a manifest in YAML or JSON, unchecked. @throws MtorError MODEL_INVALID with file and line, NOT_FOUND */
export function readYaml(file: string): unknown {
  let text: string
  try { text = readFileSync(file, 'utf8') } catch (error) { throw new MtorError('NOT_FOUND', `${file}: ${(error as Error).message}`, { cause: error }) }
  const document = parseDocument(text)
  const problem = document.errors[0]
  if (problem) throw new MtorError('MODEL_INVALID', `${file}: ${problem.message.split('\n')[0]}`)
  return document.toJS() as unknown
}
