import { MtorError, toMtorError } from '../../contracts/errors.ts'
import type { SpeechEngine } from '../engine.ts'
import { VOSK_COMMANDS, type CommandTuning } from '../judge.ts'
import type { SpeechModelOptions } from '../models.ts'
import { VOSK_TUNING, type WakeTuning } from '../wake.ts'
import { PocketSphinxEngine, POCKETSPHINX_COMMANDS, POCKETSPHINX_TUNING } from './pocketsphinx.ts'
import { VoskEngine } from './vosk.ts'

export interface EngineKind {
  name: 'vosk' | 'pocketsphinx'
  wake: WakeTuning
  commands: CommandTuning
  load(options: SpeechModelOptions): Promise<SpeechEngine>
}

/** In the order they are tried by 'auto'. */
export const ENGINES: readonly EngineKind[] = [
  { name: 'vosk', wake: VOSK_TUNING, commands: VOSK_COMMANDS, load: (options) => VoskEngine.load(options) },
  { name: 'pocketsphinx', wake: POCKETSPHINX_TUNING, commands: POCKETSPHINX_COMMANDS, load: (options) => PocketSphinxEngine.load(options) },
]

export interface Opened { engine: SpeechEngine; wake: WakeTuning; commands: CommandTuning; /** Why the engines before it were not taken. */ refused: MtorError[] }

/** Opens the engine asked for, or the first that works. @throws MtorError ENGINE_MISSING or MODEL_UNTRUSTED. */
export async function openEngine(wanted: 'auto' | EngineKind['name'], options: SpeechModelOptions): Promise<Opened> {
  const refused: MtorError[] = []
  for (const kind of ENGINES) {
    if (wanted !== 'auto' && wanted !== kind.name) continue
    try { return { engine: await kind.load(options), wake: kind.wake, commands: kind.commands, refused } } catch (error) {
      refused.push(toMtorError(error, 'ENGINE_MISSING'))
    }
  }
  if (refused.length === 1) throw refused[0]!
  throw new MtorError('ENGINE_MISSING', `no speech engine works here: ${refused.map((e) => e.message).join('; ')}`, { hint: refused.map((e) => e.hint).join('; ') })
}
