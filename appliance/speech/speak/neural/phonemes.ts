import { MtorError } from '../../../contracts/errors.ts'
import { hasProgram, LastWords, spawnTied } from '../../../inference/child.ts'

const TIMEOUT_MS = 5_000
const MAX_BYTES = 64 * 1024

/** Text cut where a voice makes a pause, each part with the sign that stands there ('' where there is none). */
export function clausesOf(text: string): { words: string; sign: string }[] {
  return text.replace(/\s+/g, ' ').trim().split(/(?<=[,;:.!?])\s+/).flatMap((part) => {
    const [, words = '', sign = ''] = /^(.*?)([,;:.!?])?[,;:.!?]*$/.exec(part) ?? []
    // Without a letter or digit there is nothing to say.
    return /[\p{L}\p{N}]/u.test(words) ? [{ words, sign }] : []
  })
}

/**
 * How a text is said, in the International Phonetic Alphabet, with the signs of its pauses, by espeak-ng. The text is
 * given on standard input: it can be no option.
 * @throws MtorError ENGINE_MISSING where espeak-ng is not there or fails
 */
export async function phonemesOf(text: string, voice: string): Promise<string> {
  if (!hasProgram('espeak-ng')) throw new MtorError('ENGINE_MISSING', 'espeak-ng is needed to know how words are said', { hint: 'apt-get install espeak-ng' })
  const said = await Promise.all(clausesOf(text).map(async ({ words, sign }) => `${await ipa(words, voice)}${sign}`))
  return said.join(' ')
}

function ipa(words: string, voice: string): Promise<string> {
  const child = spawnTied('espeak-ng', ['-q', '--ipa', '-v', voice, '--stdin'])
  const last = new LastWords(child)
  const parts: Buffer[] = []
  let bytes = 0
  child.stdout!.on('data', (part: Buffer) => { bytes += part.length; if (bytes > MAX_BYTES) child.kill('SIGKILL'); else parts.push(part) })
  child.stdin!.on('error', () => {})
  child.stdin!.end(words)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { child.kill('SIGKILL') }, TIMEOUT_MS)
    const failed = (why: string) => { clearTimeout(timer); reject(new MtorError('ENGINE_MISSING', `espeak-ng: ${why}`)) }
    child.once('error', (error) => failed(error.message))
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      if (code !== 0) return failed(last.toString() || `ended with ${signal ?? code}`)
      // "(fr)" says that the next word is taken for another language; long text comes in lines.
      resolve(Buffer.concat(parts).toString('utf8').replace(/\([a-z-]+\)/g, '').replace(/\s+/g, ' ').trim())
    })
  })
}
