import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { MtorError, toMtorError } from '../../contracts/errors.ts'
import { folderOf, SILERO_MODEL, TrustedFiles } from '../../speech/models.ts'
import { readMono } from '../../speech/sounds.ts'
import { FRAME_SAMPLES, VoiceActivity } from '../../speech/vad.ts'
import { WavReader } from '../../speech/wav.ts'
import { toFloat } from './augment.ts'
import type { RawSound } from './clips.ts'
import { RATE_HZ } from './features.ts'

/** Prompts of a telephone exchange, one woman: Debian's asterisk-core-sounds-en-wav. */
const PROMPTS = '/usr/share/asterisk/sounds/en_US_f_Allison'
const PROMPTS_TEXT = '/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz'
/** Several readers: Debian's pocketsphinx-testdata. */
const READERS = ['/usr/share/pocketsphinx/test/data/librivox', '/usr/share/pocketsphinx/test/data/cards']
const MAX_FILES = 3_000
const MAX_WORD_S = 1.4
const MIN_WORD_S = 0.15
/** Gaps inside a word (a plosive) are shorter. */
const GAP_FRAMES = 7
/** Voice activity notices soft beginnings late and ends late. */
const EARLIER_SAMPLES = 0.06 * RATE_HZ

/** Recordings of people, by who said it: the folder below the one that was given, else each file is somebody else. */
export interface Recording { path: string; person: string }

/** @throws MtorError NOT_FOUND where there are none */
export async function wavFiles(folder: string): Promise<Recording[]> {
  const entries = await readdir(folder, { recursive: true }).catch((error: Error) => { throw new MtorError('NOT_FOUND', `${folder}: ${error.message}`, { cause: error }) })
  const files = entries.filter((name) => /\.wav$/i.test(name)).sort()
  if (files.length === 0) throw new MtorError('NOT_FOUND', `${folder} holds no WAV files`)
  return files.slice(0, MAX_FILES).map((name) => ({ path: join(folder, name), person: name.includes('/') ? name.slice(0, name.indexOf('/')) : name }))
}

/** What the prompts say, by file name without ending; empty where the package's documentation is not installed. */
async function transcripts(): Promise<Map<string, string>> {
  const text = await readFile(PROMPTS_TEXT).then((bytes) => gunzipSync(bytes).toString('utf8'), () => '')
  return new Map([...text.matchAll(/^([\w/-]+): (.*)$/gm)].map(([, name, said]) => [name!, said!.toLowerCase()]))
}

/** Recorded talk that Debian packages bring, where they are installed; without the prompts in which `word` is said. */
export async function installedTalk(word: string): Promise<{ prompts: Recording[]; readers: Recording[] }> {
  const of = async (folder: string) => existsSync(folder) ? wavFiles(folder).catch(() => []) : []
  const said = await transcripts()
  const prompts = (await of(PROMPTS)).filter(({ path }) => said.get(relative(PROMPTS, path).replace(/\.wav$/, ''))?.includes(word.toLowerCase()) !== true)
  return { prompts, readers: (await Promise.all(READERS.map(of))).flat() }
}

/** One sound of a file as talk. @throws MtorError AUDIO_INVALID */
export async function talkOf({ path }: Recording, kind: 'people' | 'prompts'): Promise<RawSound> {
  return { kind, source: path, human: true, samples: toFloat(await readMono(await WavReader.open(path))) }
}

/** Finds the word in recordings of it: the longest stretch of voice. */
export class WordFinder {
  readonly #vad: VoiceActivity
  private constructor(vad: VoiceActivity) { this.#vad = vad }

  static async open(): Promise<WordFinder> {
    const folder = await new TrustedFiles().folder(SILERO_MODEL, folderOf(SILERO_MODEL))
    return new WordFinder(await VoiceActivity.load(join(folder, Object.keys(SILERO_MODEL.files)[0]!)))
  }

  /** The recording and where the word is in it; a string says why it is of no use. */
  async find({ path }: Recording): Promise<RawSound | string> {
    let samples: Int16Array
    try { samples = await readMono(await WavReader.open(path)) } catch (error) { return toMtorError(error).message }
    this.#vad.reset()
    let best: { from: number; to: number } | undefined, open: { from: number; to: number } | undefined
    const frames = Math.ceil(samples.length / FRAME_SAMPLES)
    for (let index = 0; index < frames; index++) {
      const frame = new Int16Array(FRAME_SAMPLES)
      frame.set(samples.subarray(index * FRAME_SAMPLES, (index + 1) * FRAME_SAMPLES))
      if ((await this.#vad.frame(frame)).speech) {
        if (open && index - open.to <= GAP_FRAMES) open.to = index + 1
        else open = { from: index, to: index + 1 }
        if (!best || open.to - open.from > best.to - best.from) best = open
      }
    }
    if (!best) return `${path}: no voice is heard in it`
    const part = { from: Math.max(0, best.from * FRAME_SAMPLES - EARLIER_SAMPLES), to: Math.min(samples.length, best.to * FRAME_SAMPLES) }
    const seconds = (part.to - part.from) / RATE_HZ
    if (seconds > MAX_WORD_S || seconds < MIN_WORD_S) return `${path}: ${seconds.toFixed(2)} s of voice at a stretch, expected one word of ${MIN_WORD_S} to ${MAX_WORD_S} s`
    return { kind: 'word', source: path, human: true, samples: toFloat(samples), part }
  }

  async close(): Promise<void> { await this.#vad.close() }
}
