import { toMtorError } from '../../contracts/errors.ts'

/** Does the work of a child file of the store with its one argument, and prints the outcome as the last line. */
export async function answer<I>(work: (input: I) => Promise<unknown>): Promise<void> {
  let said: unknown
  try { said = { value: await work(JSON.parse(process.argv[2]!) as I) } } catch (thrown) {
    const { code, message, hint } = toMtorError(thrown, 'MODEL_INVALID')
    said = { error: { code, message, hint } }
    process.exitCode = 1
  }
  process.stdout.write(`\n${JSON.stringify(said)}\n`)
}
