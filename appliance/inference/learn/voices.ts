import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MtorError } from '../../contracts/errors.ts'
import { readMono } from '../../speech/sounds.ts'
import { WavReader } from '../../speech/wav.ts'
import { hasProgram, output } from '../child.ts'

const run = promisify(execFile)
const TIMEOUT_MS = 20_000

/** Who says it, and how. `voice` decides in which set an example is: nobody is in two. */
export interface Speaker { engine: 'flite' | 'espeak-ng'; voice: string }
export interface Manner { /** Of normal speed. */ speed: number; /** 0 to 1, low to high. */ pitch: number; accent: number }

/** kal and kal16 are one man. @see flite -lv */
const FLITE = ['slt', 'rms', 'kal16', 'awb']
const ACCENTS = ['en-us', 'en-gb', 'en-gb-x-rp', 'en-us-nyc', 'en-gb-scotland', 'en-029', 'en-gb-x-gbclan', 'en-gb-x-gbcwmd']
/** No voices of people: a whisper has no pitch, a demon and an announcement system are effects. */
const STRANGE = /^(?:whisper|whisperf|Demonic|announcer|fast|robosoft|UniRobot|anikaRobot|Storm)/

export type SetName = 'train' | 'validate' | 'test'
/** Every seventh voice of espeak-ng validates, every other seventh and a further one tests; the people of flite by name. */
export function setOf({ engine, voice }: Speaker, index: number): SetName {
  if (engine === 'flite') return voice === 'awb' ? 'test' : voice === 'kal16' ? 'validate' : 'train'
  return index % 7 === 3 ? 'validate' : index % 7 === 6 || index % 14 === 0 ? 'test' : 'train'
}

/** All voices that are installed, by the set they are in. @throws MtorError ENGINE_MISSING where there is no synthesiser */
export async function findVoices(): Promise<Record<SetName, Speaker[]>> {
  const sets: Record<SetName, Speaker[]> = { train: [], validate: [], test: [] }
  const espeak = hasProgram('espeak-ng') ? await output('espeak-ng', ['--voices=variant']) ?? '' : ''
  const variants = [...espeak.matchAll(/!v\/(\S+)/g)].map((match) => match[1]!).filter((name) => !STRANGE.test(name) && /^[A-Za-z0-9_]+$/.test(name)).sort()
  for (const [index, voice] of variants.entries()) { const speaker = { engine: 'espeak-ng' as const, voice }; sets[setOf(speaker, index)].push(speaker) }
  if (hasProgram('flite')) for (const voice of FLITE) { const speaker = { engine: 'flite' as const, voice }; sets[setOf(speaker, 0)].push(speaker) }
  if (sets.train.length === 0) throw new MtorError('ENGINE_MISSING', 'neither espeak-ng nor flite is installed: there is nobody to say the word', { hint: 'Install espeak-ng and flite (npm start does).' })
  return sets
}

/** A text as 16 kHz mono. @throws MtorError ENGINE_MISSING where the synthesiser fails */
export async function speakAs(text: string, { engine, voice }: Speaker, { speed, pitch, accent }: Manner): Promise<Int16Array> {
  const folder = await mkdtemp(join(tmpdir(), 'mtor-learn-'))
  const file = join(folder, 'said.wav')
  const [program, args] = engine === 'flite'
    // flite has no pitch of a clustergen voice to set; the diphone voice has.
    ? ['flite', ['-voice', voice, '--setf', `duration_stretch=${(1 / speed).toFixed(2)}`, ...voice === 'kal16' ? ['--setf', `int_f0_target_mean=${Math.round(80 + 80 * pitch)}`] : [], '-t', text, '-o', file]]
    : ['espeak-ng', ['-v', `${ACCENTS[accent % ACCENTS.length]}+${voice}`, '-s', String(Math.round(155 * speed)), '-p', String(Math.round(20 + 60 * pitch)), '-w', file, '--', text]]
  try {
    await run(program as string, args as string[], { timeout: TIMEOUT_MS })
    return await readMono(await WavReader.open(file))
  } catch (error) { throw new MtorError('ENGINE_MISSING', `${program} could not say “${text}”: ${(error as Error).message.split('\n')[0]}`, { cause: error }) } finally { await rm(folder, { recursive: true, force: true }) }
}

/** Runs `work` over the list, so many at a time; results in the order of the list. */
export async function inParallel<T, R>(list: readonly T[], atOnce: number, work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(list.length)
  let next = 0
  await Promise.all(Array.from({ length: Math.min(atOnce, list.length) }, async () => {
    for (let index = next++; index < list.length; index = next++) results[index] = await work(list[index]!, index)
  }))
  return results
}
