import { CODES, isCode, type Code } from './codes.ts'

/**
 * The only error this project throws on purpose. `message` says what was expected and what was got;
 * `code` is of the catalogue; `hint` says what to do.
 */
export class MtorError extends Error {
  readonly code: Code
  readonly hint: string
  /** The sentence the box says aloud: the code's own, unless who threw it knew better ("No camera is fitted."). */
  readonly say: string
  readonly data: Record<string, unknown> | undefined

  constructor(code: Code, message: string, options: { cause?: unknown; say?: string; hint?: string; data?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MtorError'
    this.code = code
    this.hint = options.hint ?? CODES[code].hint
    this.say = options.say ?? CODES[code].say
    this.data = options.data
  }

  toJSON() { return { code: this.code, message: this.message, hint: this.hint, ...(this.data ? { data: this.data } : {}) } }
}

/** Wraps anything thrown as an MtorError; what is not one already becomes `code` (default INTERNAL). */
export function toMtorError(thrown: unknown, code: Code = 'INTERNAL'): MtorError {
  if (thrown instanceof MtorError) return thrown
  if (thrown instanceof Error) return new MtorError(isCode((thrown as { code?: unknown }).code) ? (thrown as unknown as { code: Code }).code : code, thrown.message, { cause: thrown })
  return new MtorError(code, String(thrown))
}
