import { MtorError } from '../../contracts/errors.ts'
import type { SpeechEngine } from '../engine.ts'
import type { WakeTuning } from '../wake.ts'
import { VOSK_TUNING } from '../wake.ts'
export const POCKETSPHINX_TUNING: WakeTuning = VOSK_TUNING
export class PocketSphinxEngine { static async load(_: { cacheDir?: string }): Promise<SpeechEngine> { throw new MtorError('ENGINE_MISSING', 'later') } }
