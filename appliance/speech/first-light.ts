import type { Clock } from '../contracts/clock.ts'
import { MtorError } from '../contracts/errors.ts'
import type { SystemEvent } from '../contracts/events.ts'
import type { Hub } from '../contracts/hub.ts'
import type { VoiceTimeline } from './conversation.ts'

/** One stage of the way of a spoken request. */
export interface Stage { stage: string; ms: number; sinceEndOfSpeechMs: number }
export interface FirstLight { ok: boolean; text?: string; state?: string; stages: Stage[]; message?: string }

/** Names of the stages, in the order of the timeline, and what each one proves. */
const STAGES: readonly [keyof VoiceTimeline, string][] = [
  ['wakeMs', 'wake word heard'],
  ['speechEndMs', 'end of speech'],
  ['endpointMs', 'silence decided'],
  ['transcriptMs', 'transcript'],
  ['understoodMs', 'intent understood'],
  ['acceptedMs', 'accepted: in the journal'],
  ['startedMs', 'dispatched'],
  ['deviceStartedMs', 'controller moves'],
  ['finishedMs', 'done'],
  ['replyStartedMs', 'reply spoken'],
]

/** The stages of a timeline, with milliseconds since the stage before and since the end of speech. */
export function stagesOf(timeline: Partial<VoiceTimeline>): Stage[] {
  const end = timeline.speechEndMs ?? 0
  let before: number | undefined
  return STAGES.flatMap(([key, stage]) => {
    const at = timeline[key]
    if (at === undefined) return []
    const ms = before === undefined ? 0 : at - before
    before = at
    return [{ stage, ms, sinceEndOfSpeechMs: at - end }]
  })
}

/** What first light says. Only a simulated rover is moved, and only where it may move; else the box is asked for the time. */
export function knownUtterance(rover: { port: string } | undefined, refusal: unknown): { sentence: string; type: 'drive.move' | 'time.tell' } {
  return rover?.port === 'simulated' && !refusal ? { sentence: 'drive forward half a metre', type: 'drive.move' } : { sentence: 'what time is it', type: 'time.tell' }
}

/**
 * The known answer of the whole chain: plays a known utterance into the capture path and waits until the reply was
 * spoken. Nothing is short-circuited: ALSA, wake word, recogniser, journal, dispatch, serial line, voice.
 */
export async function firstLight(options: {
  hub: Hub
  clock: Clock
  /** Plays a WAV through the capture path. */
  listen(file: string): Promise<unknown>
  file: string
  expectedType: string
  timeoutMs: number
}): Promise<FirstLight> {
  const { hub, clock, listen, file, expectedType, timeoutMs } = options
  const { promise, resolve } = Promise.withResolvers<FirstLight>()
  let lastHeard: string | undefined
  const off = hub.onSystem((event: SystemEvent) => {
    if (event.component !== 'speech') return
    if (event.name === 'heard') lastHeard = event.message
    if (event.name !== 'timeline') return
    const data = event.data as unknown as VoiceTimeline & { type: string; state: string; text: string }
    const ok = data.type === expectedType && data.state === 'succeeded'
    resolve({ ok, text: data.text, state: data.state, stages: stagesOf(data), ...(ok ? {} : { message: `heard “${data.text}”, ${data.type} ${data.state}; expected ${expectedType} succeeded` }) })
  })
  const timer = clock.setTimeout(() => resolve({ ok: false, stages: [], message: `no answer within ${Math.round(timeoutMs / 1000)} s${lastHeard === undefined ? '; nothing was heard' : `; heard “${lastHeard}”`}` }), timeoutMs)
  try {
    listen(file).catch((error: unknown) => resolve({ ok: false, stages: [], message: error instanceof MtorError ? `${error.code}: ${error.message}` : String(error) }))
    return await promise
  } finally { off(); clock.clearTimeout(timer) }
}
