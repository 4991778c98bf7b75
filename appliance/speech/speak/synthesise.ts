import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import { encodeWav, WavReader } from '../wav.ts'
import { hasProgram, LastWords, spawnTied } from '../../inference/child.ts'

export type SpeakEngine = 'flite' | 'espeak-ng'

/** Voices built into flite; any other name is taken for one of espeak-ng's. @see flite -lv */
const FLITE_VOICES = ['awb', 'rms', 'slt', 'kal', 'kal16', 'awb_time']
const ESPEAK_DEFAULT = 'en-gb'
const MAX_WAV_BYTES = 32 * 1024 * 1024
const TIMEOUT_MS = 15_000

/** The first synthesiser that is installed, or the one asked for; undefined where there is none. */
export function chooseEngine(wanted: 'auto' | SpeakEngine | 'none'): SpeakEngine | undefined {
  if (wanted === 'none') return undefined
  return (wanted === 'auto' ? (['flite', 'espeak-ng'] as const) : [wanted]).find(hasProgram)
}

/**
 * One sentence as a WAV in memory. The text never passes through a shell nor stands where an option may stand: flite takes
 * the argument after -t as it is, espeak-ng reads its stdin.
 * @throws MtorError ENGINE_MISSING where the synthesiser cannot be run or fails, CANCELLED on abort
 */
export async function synthesise(text: string, options: { engine: SpeakEngine; voice: string; signal?: AbortSignal }): Promise<Buffer> {
  const { engine, signal } = options
  const flite = FLITE_VOICES.includes(options.voice)
  if (engine === 'espeak-ng') return withSizes(await run('espeak-ng', ['-v', flite ? ESPEAK_DEFAULT : options.voice, '--stdin', '--stdout'], text, signal))
  // flite writes only to what it can open by name, which our end of its stdout is not.
  const folder = await mkdtemp(join(tmpdir(), 'mtor-say-'))
  try {
    const file = join(folder, 'said.wav')
    await run('flite', ['-voice', flite ? options.voice : 'rms', '-t', text, '-o', file], '', signal)
    return await readFile(file)
  } catch (error) {
    throw error instanceof MtorError ? error : new MtorError('ENGINE_MISSING', `flite wrote no sound: ${(error as Error).message}`, { cause: error })
  } finally { await rm(folder, { recursive: true, force: true }) }
}

/** espeak-ng streams and leaves the sizes in the header open; not every reader of our folder knows that. */
async function withSizes(wav: Buffer): Promise<Buffer> {
  const reader = await WavReader.fromBuffer(wav, 'espeak-ng')
  return encodeWav(await reader.all(), reader.format)
}

/** Runs a program to its end; what it wrote on stdout. */
function run(program: string, args: string[], input: string, signal: AbortSignal | undefined): Promise<Buffer> {
  const child = spawnTied(program, args)
  const words = new LastWords(child)
  child.stdin!.on('error', () => {})
  child.stdin!.end(input)
  const parts: Buffer[] = []
  let bytes = 0
  child.stdout!.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes > MAX_WAV_BYTES) child.kill('SIGKILL')
    else parts.push(part)
  })
  return new Promise((resolve, reject) => {
    const kill = () => { child.kill('SIGKILL') }
    const timer = setTimeout(kill, TIMEOUT_MS)
    signal?.addEventListener('abort', kill, { once: true })
    if (signal?.aborted) kill()
    const settle = (failure: string | undefined) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', kill)
      if (signal?.aborted) reject(new MtorError('CANCELLED', 'cut off'))
      else if (failure !== undefined) reject(new MtorError('ENGINE_MISSING', `${program}: ${failure}`))
      else resolve(Buffer.concat(parts))
    }
    child.once('error', (error) => settle(error.message))
    child.once('close', (code, killedBy) => settle(code === 0 ? undefined : words.toString() || `ended with ${killedBy ?? code}`))
  })
}
