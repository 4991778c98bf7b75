import { writeFileSync } from 'node:fs'
import { build, CORPUS_FILE, write } from './corpus.ts'

/** Writes corpus.tsv anew, after a change of commands, frames or answers. */
const sentences = build()
writeFileSync(CORPUS_FILE, write(sentences))
process.stdout.write(`${sentences.length} sentences in ${CORPUS_FILE}\n`)
