import { MtorError } from '../../contracts/errors.ts'

/**
 * The byte that each character of a byte-level vocabulary stands for: printable bytes stand for themselves, the others
 * for the characters from U+0100 on, in order.
 * @see A. Radford et al., "Language Models are Unsupervised Multitask Learners", 2019; github.com/openai/gpt-2, encoder.py
 */
const BYTE_OF: ReadonlyMap<string, number> = new Map((() => {
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte): [string, number] => [String.fromCharCode(printable(byte) ? byte : next++), byte])
})())

/** The words and signs of a Whisper, by number. */
export class Vocabulary {
  readonly #tokens: readonly string[]
  readonly #ids: ReadonlyMap<string, number>
  /** The first of the signs; all that follow are signs too. */
  readonly endOfText: number

  /** @param text one token a line @throws MtorError MODEL_INVALID */
  constructor(text: string) {
    this.#tokens = text.replace(/\n$/, '').split('\n')
    this.#ids = new Map(this.#tokens.map((token, id) => [token, id]))
    this.endOfText = this.id('<|endoftext|>')
  }

  get size(): number { return this.#tokens.length }

  /** @throws MtorError MODEL_INVALID where there is no such token */
  id(token: string): number {
    const id = this.#ids.get(token)
    if (id === undefined) throw new MtorError('MODEL_INVALID', `the vocabulary has no ${token}`)
    return id
  }

  /** Text of tokens; signs are left out, bytes that are no UTF-8 become U+FFFD. */
  text(ids: readonly number[]): string {
    const bytes = ids.filter((id) => id < this.endOfText).flatMap((id) => Array.from(this.#tokens[id] ?? '', (character) => BYTE_OF.get(character) ?? 0x3f))
    return Buffer.from(bytes).toString('utf8')
  }
}
