import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Code } from './codes.ts'
import { MtorError } from './errors.ts'

/** One thing wrong with a value: where (JSON pointer) and what was expected. */
export interface Problem { path: string; message: string }

/** A compiled schema: `problems` lists what is wrong (empty when right), `assert` throws `code` with all of it. */
export interface Validator<T extends TSchema> {
  check(value: unknown): value is Static<T>
  problems(value: unknown): Problem[]
  assert(value: unknown, code: Code, what: string): Static<T>
}

/** Compiles a TypeBox schema once. */
export function validator<T extends TSchema>(schema: T): Validator<T> {
  const compiled = Compile(schema)
  const problems = (value: unknown): Problem[] => {
    if (compiled.Check(value)) return []
    const list: Problem[] = []
    for (const error of compiled.Errors(value)) {
      // Of an object with a property too many, typebox also says "schema is false" for the property: one is enough.
      if (error.keyword === 'boolean') continue
      const params = error.params as Record<string, unknown>
      const detail = error.keyword === 'additionalProperties' ? `has unknown ${(params.additionalProperties as string[]).join(', ')}`
        : error.keyword === 'const' ? `must be ${JSON.stringify(params.allowedValue)}`
          : error.message
      list.push({ path: error.instancePath || '/', message: detail })
    }
    return list
  }
  return {
    check: (value): value is Static<T> => compiled.Check(value),
    problems,
    assert(value, code, what) {
      if (compiled.Check(value)) return value as Static<T>
      const list = problems(value)
      throw new MtorError(code, `${what}: ${list.slice(0, 5).map((p) => `${p.path} ${p.message}`).join('; ')}`, { data: { problems: list.slice(0, 20) } })
    },
  }
}
