import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MtorError } from '../../appliance/contracts/errors.ts'

const run = promisify(execFile)

/** Debian's pocketsphinx-testdata: a person says "go forward ten meters", 16 kHz mono raw. */
const GO_FORWARD = '/usr/share/pocketsphinx/test/data/goforward.raw'

/** Makes a WAV: a synthetic "computer", a short pause, then the human "go forward ten meters". @throws MtorError NOT_FOUND */
export async function computerGoForward(dir: string, options: { rateHz?: number; channels?: number } = {}): Promise<string> {
  if (!existsSync(GO_FORWARD)) throw new MtorError('NOT_FOUND', `${GO_FORWARD} is not installed`, { hint: 'apt-get install pocketsphinx-testdata' })
  const wake = join(dir, 'wake.wav'), human = join(dir, 'human.wav'), file = join(dir, `go-forward-${options.rateHz ?? 16000}-${options.channels ?? 1}.wav`)
  await run('flite', ['-voice', 'rms', '-t', 'computer', '-o', wake])
  await run('sox', ['-t', 'raw', '-r', '16000', '-e', 'signed', '-b', '16', '-c', '1', GO_FORWARD, human])
  await run('sox', [wake, '-r', '16000', join(dir, 'wake16.wav'), 'pad', '0.5', '0.2'])
  await run('sox', [join(dir, 'wake16.wav'), human, '-r', String(options.rateHz ?? 16000), '-c', String(options.channels ?? 1), file, 'pad', '0', '0.8'])
  return file
}

/** Speech by a synthetic voice, with silence before and after. */
export async function synthetic(dir: string, text: string, voice = 'rms'): Promise<string> {
  const raw = join(dir, 'synthetic-raw.wav'), file = join(dir, `${text.replaceAll(/[^a-z]+/gi, '-').slice(0, 60)}-${voice}.wav`)
  await run('flite', ['-voice', voice, '-t', text, '-o', raw])
  await run('sox', [raw, file, 'pad', '0.4', '0.8'])
  return file
}
