import { CODES, isCode } from '../contracts/codes.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import type { FromSpeech } from './messages.ts'
import type { VitalSigns } from './vital-signs.ts'

/** The event that a message of the speech process is worth; `before`: what was known of it until then. */
export function eventOf(message: FromSpeech, before: Pick<VitalSigns, 'capture'>): Omit<SystemEventInput, 'component'> | undefined {
  switch (message.kind) {
    case 'ready':
      return { severity: 'info', name: 'process.ready', message: `hearing with ${message.engine} after ${message.loadMs} ms`, data: { engine: message.engine, loadMs: message.loadMs } }
    case 'deaf':
      return { severity: 'error', name: 'process.deaf', code: codeOf(message.error.code), message: message.error.message }
    case 'capture': {
      const data = { device: message.device }
      if (message.state === 'failed') return { severity: 'warning', name: 'capture.lost', code: 'AUDIO_DEVICE', message: `${message.device}: ${message.message ?? 'lost'}`, say: CODES.AUDIO_DEVICE.say, data }
      const back = message.state === 'open' && before.capture?.state === 'failed'
      return { severity: 'info', name: `capture.${message.state}`, message: `${message.device}${message.message ? `: ${message.message}` : ''}`, data, ...back ? { say: 'The microphone is back.' } : {} }
    }
    case 'speaking': {
      if (message.state !== 'failed') return undefined
      const [, code = 'AUDIO_DEVICE', why = 'it could not be said'] = /^(?:([A-Z_]+): )?(.*)$/s.exec(message.message ?? '') ?? []
      return { severity: 'warning', name: 'speak.failed', code: codeOf(code), message: why }
    }
    case 'proven':
      return message.ok ? undefined : { severity: 'warning', name: 'proof.wrong', code: 'MODEL_UNTRUSTED', message: message.message ?? `“${message.text}” was heard` }
    case 'learned': {
      const { unknownWords, tookMs, error } = message
      if (error) return { severity: 'error', name: 'learn.failed', code: codeOf(error.code), message: error.message }
      return { severity: unknownWords.length > 0 ? 'warning' : 'info', name: 'learned', message: unknownWords.length > 0 ? `sentences with these words cannot be heard: ${unknownWords.join(', ')}` : 'the sentences of flows can be heard', data: { unknownWords, tookMs } }
    }
    case 'wyoming':
      return message.event
    case 'keyword':
      return { severity: 'info', name: 'keyword', message: `“${message.word}” was said`, data: { word: message.word, confidence: message.confidence } }
    case 'log':
      return { severity: message.level === 'warn' ? 'warning' : message.level, name: 'log', message: message.message, data: message.data }
    default:
      return undefined
  }
}

const codeOf = (code: string) => isCode(code) ? code : 'INTERNAL'
