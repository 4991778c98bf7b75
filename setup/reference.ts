// npm run reference: writes docs/reference/ from the schemas. A test fails while a committed page is out of date.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { TOPICS } from '../appliance/bus/permissions.ts'
import { asyncApiDocument } from '../appliance/contracts/asyncapi.ts'
import { codesPage, configPage, intentsPage } from './markdown.ts'

export const REFERENCE_DIR = resolve(import.meta.dirname, '../docs/reference')

/** The generated pages, by file name. */
export const referencePages = (): Record<string, string> => ({
  'asyncapi.json': `${JSON.stringify(asyncApiDocument(TOPICS), null, 2)}\n`,
  'codes.md': codesPage(),
  'config.md': configPage(),
  'intents.md': intentsPage(),
})

if (import.meta.main) {
  mkdirSync(REFERENCE_DIR, { recursive: true })
  for (const [file, text] of Object.entries(referencePages())) {
    writeFileSync(join(REFERENCE_DIR, file), text)
    process.stdout.write(`docs/reference/${file}\n`)
  }
}
