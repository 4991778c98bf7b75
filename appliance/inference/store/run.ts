import { basename } from 'node:path'
import { isCode } from '../../contracts/codes.ts'
import { MtorError } from '../../contracts/errors.ts'
import { spawnTied } from '../child.ts'

const NO_ROOM = /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded|Errno 28|not enough free space/i

interface RunOptions { cwd?: string; env?: Record<string, string>; signal?: AbortSignal }

/**
 * Runs a program to its end; resolves with its standard output. With `signal` the program and all its children are ended.
 * @throws MtorError CANCELLED, DISK_FULL, ENGINE_MISSING (no such program), DOWNLOAD_FAILED with its last words
 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, words } = await ended(command, args, options)
  if (code === 0) return stdout
  throw failed(`${basename(command)} ended with ${code}: ${words || stdout.trim().slice(-500)}`)
}

const failed = (message: string) => new MtorError(NO_ROOM.test(message) ? 'DISK_FULL' : 'DOWNLOAD_FAILED', message)

/**
 * Runs one of the store's own child files with a value; resolves with the value it prints. What is memory hungry or native
 * (converters, onnxruntime) is kept out of this process that way.
 * @throws MtorError what the child failed with; MODEL_INVALID when it was killed
 */
export async function runChild<R>(file: string, input: unknown, options: { signal?: AbortSignal } = {}): Promise<R> {
  const { code, stdout, words } = await ended(process.execPath, ['--no-warnings', file, JSON.stringify(input)], options)
  const last = stdout.trim().split('\n').pop() ?? ''
  let said: { value?: R; error?: { code: string; message: string; hint?: string } } = {}
  try { said = JSON.parse(last) as typeof said } catch { /* It was killed before it could say anything. */ }
  if (said.error) throw new MtorError(isCode(said.error.code) ? said.error.code : 'MODEL_INVALID', said.error.message, { hint: said.error.hint })
  if (code !== 0 || !('value' in said)) throw NO_ROOM.test(words) ? failed(words) : new MtorError('MODEL_INVALID', `${basename(file)} ended with ${code}: ${words}`)
  return said.value as R
}

/** Of what npm says beside the point. */
const NOISE = /^npm (error|notice|warn)\s*$|complete log|behind a proxy|problem related to network|network connectivity|proxy' config/
/** Lines that name the cause, in the manner of npm, pip and apt. */
const CAUSE = /^(code E|notarget|[45]\d\d |ERROR|E: )|reason:/
function lastWords(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !NOISE.test(line)).map((line) => line.trim().replace(/^npm error /, ''))
  const causes = lines.filter((line) => CAUSE.test(line))
  return (causes.length > 0 ? causes : lines).slice(-4).join('; ').slice(-800)
}

async function ended(command: string, args: readonly string[], { cwd, env, signal }: RunOptions): Promise<{ code: number | string; stdout: string; words: string }> {
  if (signal?.aborted) throw new MtorError('CANCELLED', `${basename(command)}: cancelled`)
  const child = spawnTied(command, args, { cwd, env })
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => { errors = (errors + chunk).slice(-8_000) })
  child.stdin?.on('error', () => {}).end()
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  // It leads a session of its own: its children go with it.
  const stop = () => { if (child.pid !== undefined) try { process.kill(-child.pid, 'SIGKILL') } catch { child.kill('SIGKILL') } }
  signal?.addEventListener('abort', stop, { once: true })
  try {
    const code = await new Promise<number | string>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => reject(new MtorError('ENGINE_MISSING', `cannot run ${command}: ${error.message}`, { cause: error })))
      child.once('close', (status, end) => resolve(status ?? end ?? 'nothing'))
    })
    if (signal?.aborted) throw new MtorError('CANCELLED', `${basename(command)}: cancelled`)
    // The loader that ties a child to us ends with 127 where the program is not there.
    if (code === 127) throw new MtorError('ENGINE_MISSING', `cannot run ${command}: ${lastWords(errors)}`)
    return { code, stdout: Buffer.concat(chunks).toString(), words: lastWords(errors) }
  } finally { signal?.removeEventListener('abort', stop) }
}
