import { appendFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { MtorError } from '../../contracts/errors.ts'
import { deviceOf, listCards } from '../capture/devices.ts'
import { LastWords, spawnTied } from '../../inference/child.ts'

/** What a sound is, for the line that a folder keeps of it. */
export type Sound = { text: string } | { earcon: string }

/** Where sounds go. `play` resolves when the sound is through and rejects CANCELLED on abort, AUDIO_DEVICE otherwise. */
export interface Sink {
  play(wav: Buffer, sound: Sound, signal: AbortSignal): Promise<void>
}

/** @param device ALSA name, 'auto' (the first playback card), 'none', or 'file:PATH' (against `baseDir`) */
export function openSink(device: string, baseDir: string): Sink {
  if (device === 'none') return { play: async () => {} }
  return device.startsWith('file:') ? new FolderSink(resolve(baseDir, device.slice(5))) : new AlsaSink(device)
}

/** Plays through aplay; killing it silences the card at once, because the kernel drops a PCM whose owner is gone. */
class AlsaSink implements Sink {
  readonly #wanted: string
  constructor(device: string) { this.#wanted = device }

  async play(wav: Buffer, _sound: Sound, signal: AbortSignal): Promise<void> {
    const device = this.#wanted === 'auto' ? await firstCard() : this.#wanted
    // A box without a loudspeaker is silent; that is no fault.
    if (device === undefined || signal.aborted) return
    const child = spawnTied('aplay', ['-q', '-D', device, '-t', 'wav', '-'])
    const words = new LastWords(child)
    child.stdin!.on('error', () => {})
    child.stdin!.end(wav)
    const kill = () => { child.kill('SIGKILL') }
    signal.addEventListener('abort', kill, { once: true })
    try {
      await new Promise<void>((done, fail) => {
        child.once('error', (error) => fail(new MtorError('AUDIO_DEVICE', `aplay: ${error.message}`)))
        child.once('close', (code) => {
          if (signal.aborted) fail(new MtorError('CANCELLED', 'cut off'))
          else if (code === 0) done()
          else fail(new MtorError('AUDIO_DEVICE', `aplay on ${device}: ${words.toString() || `ended with ${code}`}`))
        })
      })
    } finally { signal.removeEventListener('abort', kill) }
  }
}

async function firstCard(): Promise<string | undefined> {
  const card = (await listCards('aplay'))[0]
  return card && deviceOf(card)
}

/** More WAV files than this are not kept: the oldest goes. */
const MAX_FILES = 1_000
export const SPOKEN_INDEX = 'spoken.jsonl'

/** Numbered WAV files in a folder, with a JSON line {file, text} or {file, earcon} for each, at once and not in real time. */
class FolderSink implements Sink {
  readonly #folder: string
  #last: Promise<number> | undefined
  constructor(folder: string) { this.#folder = folder }

  async play(wav: Buffer, sound: Sound, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw new MtorError('CANCELLED', 'cut off')
    try {
      const number = (await (this.#last ??= this.#lastNumber())) + 1
      this.#last = Promise.resolve(number)
      const file = nameOf(number)
      await writeFile(join(this.#folder, file), wav)
      await appendFile(join(this.#folder, SPOKEN_INDEX), `${JSON.stringify({ file, ...sound })}\n`)
      await rm(join(this.#folder, nameOf(number - MAX_FILES)), { force: true })
    } catch (error) {
      this.#last = undefined
      throw new MtorError('AUDIO_DEVICE', `cannot write into ${this.#folder}: ${(error as Error).message}`, { cause: error })
    }
  }

  async #lastNumber(): Promise<number> {
    await mkdir(this.#folder, { recursive: true })
    return (await readdir(this.#folder)).reduce((last, name) => Math.max(last, Number(/^(\d{6,})\.wav$/.exec(name)?.[1] ?? 0)), 0)
  }
}
const nameOf = (number: number) => `${String(Math.max(0, number)).padStart(6, '0')}.wav`
