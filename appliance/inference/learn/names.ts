import { MtorError } from '../../contracts/errors.ts'

/** What is normal of this node, in the model store; it is there once `mtor learn normal` has been run. */
export const NORMAL_MODEL = 'telemetry-normal'

/** The name a learned word has in the model store. @throws MtorError USAGE */
export function modelOfWord(word: string): string {
  const name = `word-${word.toLowerCase().trim().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, '')}`
  if (!/^[A-Za-z' -]{2,30}$/.test(word) || name.length > 48) throw new MtorError('USAGE', `“${word}” is no word to learn: expected 2 to 30 letters, spaces between words`)
  return name
}
