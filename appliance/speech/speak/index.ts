import { writeFile } from 'node:fs/promises'
import { MtorError } from '../../contracts/errors.ts'
import { chooseEngine, synthesise as synthesiseWav } from './synthesise.ts'

export { chooseEngine } from './synthesise.ts'
export { Speaker, type SpeakingState } from './speaker.ts'
export { AskedVoice } from './neural/asked-voice.ts'
export { openSink } from './sink.ts'

/**
 * Writes a text, spoken, as a WAV file: for known answers and benches.
 * @throws MtorError ENGINE_MISSING where no synthesiser is installed
 */
export async function synthesise(text: string, file: string, voice = 'rms'): Promise<void> {
  const engine = chooseEngine('auto')
  if (!engine) throw new MtorError('ENGINE_MISSING', 'neither flite nor espeak-ng is installed')
  await writeFile(file, await synthesiseWav(text, { engine, voice }))
}
