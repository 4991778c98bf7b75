import { Understander } from '../understand/index.ts'
import type { FromSpeech } from './messages.ts'
import { SpeechPipeline } from './pipeline.ts'
import { concatenate, silence } from './sounds.ts'
import { SAMPLE_RATE_HZ } from './vad.ts'

const FRAME = 512

/** For tests: ears for the sentences of the templates, all they tell, and sound that is played to them in its own time. */
export async function hearing() {
  const understander = await Understander.load()
  const messages: FromSpeech[] = []
  const pipeline = await SpeechPipeline.load({
    engine: 'vosk', grammar: understander.speechGrammar(), completeness: (text) => understander.completeness(text), meaning: (text) => understander.meaning(text),
    endSilenceMs: 240, maxSilenceMs: 900, answerWindowMs: 8_000, emit: (message) => { messages.push(message) },
  })
  let nowMs = 1_000
  /** As one piece. */
  const push = (samples: Int16Array): Promise<void> => {
    nowMs += samples.length * 1_000 / SAMPLE_RATE_HZ
    return pipeline.push(samples, nowMs)
  }
  const play = async (...parts: Int16Array[]): Promise<void> => {
    const samples = concatenate(parts)
    for (let i = 0; i < samples.length; i += FRAME) await push(samples.subarray(i, i + FRAME))
  }
  return {
    understander, pipeline, messages, push, play,
    clear: () => { messages.length = 0 },
    /** Behind a moment of silence, to the end of what is said; resolves with everything told since the last `clear`. */
    hear: async (...parts: Int16Array[]): Promise<FromSpeech[]> => {
      await play(silence(0.4), ...parts)
      await pipeline.flush()
      return [...messages]
    },
  }
}
