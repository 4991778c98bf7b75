import { WAKE_WORD } from '../grammar.ts'
import { modelsOf } from '../models.ts'

export interface Offered {
  node: string
  version: string
  /** Name of the engine that hears; undefined where nothing does. */
  engine: string | undefined
  voice: string | undefined
  handle: boolean
  satellite: boolean
}

const PROGRAM = 'mtor'
const LANGUAGES = ['en']

/** The answer to `describe`. @see the `wyoming` package of PyPI, info.py */
export function infoOf({ node, version, engine, voice, handle, satellite }: Offered): Record<string, unknown> {
  const artifact = (name: string, description: string, of = version) => ({ name, description, version: of, installed: true, attribution: { name: 'MTOR appliance', url: '' } })
  const program = (description: string, more: Record<string, unknown>) => [{ ...artifact(PROGRAM, description), ...more }]
  return {
    asr: engine === undefined ? [] : program('Speech to text, open vocabulary', {
      models: modelsOf(engine).slice(0, 1).map((model) => ({ ...artifact(model.model, engine, model.version), languages: LANGUAGES })),
      supports_transcript_streaming: false, requires_external_vad: true, prefers_auto_gain_enabled: true, prefers_noise_reduction_enabled: false,
    }),
    wake: engine === undefined ? [] : program('Wake word', { models: [{ ...artifact(WAKE_WORD, 'Two stages; says no to words that sound like it'), languages: LANGUAGES, phrase: WAKE_WORD }] }),
    tts: voice === undefined ? [] : program('Text to speech', { voices: [{ ...artifact(voice, 'The voice of the box'), languages: LANGUAGES, speakers: null }], supports_synthesize_streaming: false }),
    handle: handle ? program('Sentences of the box', { models: [{ ...artifact('sentence-templates', 'Sentence templates'), languages: LANGUAGES }], supports_handled_streaming: false, supports_home_control: false }) : [],
    intent: [], mic: [], snd: [],
    ...(satellite ? { satellite: { ...artifact(node, `MTOR appliance ${node}`), area: null, has_vad: true, active_wake_words: [WAKE_WORD], max_active_wake_words: 1, supports_trigger: false } } : {}),
  }
}
