import type { Config } from '../config/schema.ts'
import type { DeclaredIntent } from '../contracts/handlers.ts'
import type { SystemEventInput } from '../contracts/events.ts'
import type { AnswerForm } from '../understand/answers.ts'
import type { Doubt } from '../understand/port.ts'
import type { KnownUtterance } from './proof.ts'

/**
 * What the core and the speech process say to each other over the child's IPC channel.
 * All times are CLOCK_MONOTONIC milliseconds, comparable across processes of one board.
 */
export interface SpeechTimeline {
  /** First sample of the utterance's speech. */
  speechStartMs: number
  /** Last sample with speech, as voice activity saw it. */
  speechEndMs: number
  /** When the silence after it was long enough to decide the end. */
  endpointMs: number
  /** When the final text was there. */
  transcriptMs: number
  /** When the wake word was accepted, if this utterance had one. */
  wakeMs?: number
  /** Where the wake word ended, if it was in the same breath. */
  wakeEndMs?: number
}

export interface UtteranceMessage {
  kind: 'utterance'
  text: string
  /** 'command': decoded in the grammar. 'free': open vocabulary (chat, log, mail). 'rejected': speech that is in no grammar. */
  how: 'command' | 'free' | 'rejected'
  confidence: number
  engine: string
  timeline: SpeechTimeline
  /** Of 'free': the words of the grammar it began with, and when what follows them began. */
  free?: { lead: string; fromMs: number }
  /** Of 'free', where better ears are to hear it: WAV file of what follows the lead; who takes the message removes it. */
  audio?: string
  /** It was heard as the answer to the question of 'expect-answer'; of free speech, what the commands' grammar made of it where that is a sentence. */
  answer?: { inGrammar?: string }
  /** Why it may be something else than was said. */
  doubt?: Doubt
}

/** What Wyoming has to tell, as an event of speech. */
export type WyomingReport = Omit<SystemEventInput, 'component'>
/** What the speech process needs to know of Wyoming. */
export type WyomingSettings = Config['dialects']['wyoming'] & { node: string; /** Of the appliance. */ version: string }

export type FromSpeech =
  | { kind: 'ready'; engine: string; loadMs: number; engines: string[]; /** Names and versions, as in the model store. */ models: { model: string; version: string }[] }
  | { kind: 'capture'; state: 'open' | 'closed' | 'failed'; device: string; message?: string }
  /** `levelDb`: of the word, dB below full scale. `endMs`: where the word ended, where that is known. */
  | { kind: 'wake'; confidence: number; levelDb: number; atMs: number; endMs?: number }
  | { kind: 'stop-word'; confidence: number; atMs: number }
  /** A learned word that only tells (speech.learnedWords, does: event). */
  | { kind: 'keyword'; word: string; confidence: number; atMs: number }
  | UtteranceMessage
  /** Right after a command: it was not meant. */
  | { kind: 'objection'; text: string; confidence: number; atMs: number }
  /** Somebody has begun to answer the question of 'expect-answer', or has ended: with words, which follow, or without. */
  | { kind: 'answering'; on: boolean }
  /** After a wake word nothing that could be understood followed. */
  | { kind: 'wake-timeout'; atMs: number }
  | { kind: 'listened'; requestId: number; audioS: number; error?: { code: string; message: string } }
  | { kind: 'speaking'; requestId: number; state: 'started' | 'done' | 'stopped' | 'failed'; atMs: number; message?: string }
  /** The ears could not be loaded; the voice still works. */
  | { kind: 'deaf'; error: { code: string; message: string } }
  /** Once a second. `lastFrameAgeMs` is −1 while nothing is captured. */
  | { kind: 'health'; rssBytes: number; cpuS: number; audioS: number; lastFrameAgeMs: number }
  /** The known recording was run through the ears. `message`: what came out wrong. */
  | { kind: 'proven'; ok: boolean; text: string; tookMs: number; message?: string }
  /** A lesson can be heard from now on. `unknownWords` are in no dictionary of the engine, so sentences with them are never heard; `tookMs`: for so long nothing else was heard, which is made up for. */
  | { kind: 'learned'; requestId: number; unknownWords: string[]; tookMs: number; error?: { code: string; message: string } }
  /** Have the neural voice say this into a file; answered by 'synthesised'. */
  | { kind: 'synthesise'; requestId: number; text: string; file: string }
  | { kind: 'wyoming'; event: WyomingReport }
  /** A Wyoming client's text is to be carried out; answered by 'handled'. */
  | { kind: 'handle'; requestId: number; text: string }
  | { kind: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string; data?: Record<string, unknown> }

export type ToSpeech =
  | { kind: 'capture'; device: string; channels?: number }
  | { kind: 'capture-stop' }
  /** Plays a WAV file through the ALSA capture path in real time, then goes back to the former device. */
  | { kind: 'listen'; requestId: number; file: string }
  /** Ends a `listen` before its time; it is answered with an error CANCELLED. */
  | { kind: 'listen-stop'; requestId: number }
  | { kind: 'speak'; requestId: number; text: string; interrupt: boolean }
  /** `ok` false: the other voice is to say it. */
  | { kind: 'synthesised'; requestId: number; ok: boolean }
  /** What became of the text of a Wyoming client, and what the box says of it. */
  | { kind: 'handled'; requestId: number; ok: boolean; text: string }
  | { kind: 'earcon'; name: 'heard' | 'understood' | 'refused' }
  /** Cuts off what is being said. */
  | { kind: 'silence' }
  /** After a question the answer needs no wake word for this long; `form`: to the question of a program, what it may be. */
  | { kind: 'expect-answer'; forMs: number; form?: AnswerForm }
  /** Sentences of flows, and words they expect as answers, in place of those of the last lesson. */
  | { kind: 'learn'; requestId: number; declares: readonly DeclaredIntent[]; answers: readonly string[] }
  /** What follows the wake word is for another node: it is only listened to for a stop. */
  | { kind: 'forget' }
  | { kind: 'shutdown' }

/** What the speech process is started with, as JSON in the environment variable MTOR_SPEECH. */
export interface SpeechSettings {
  config: Config['speech']
  understand: Config['understand']
  /** Names of the sequences that can be run by voice. */
  sequences: string[]
  stateDir: string
  runDir: string
  /** The model store; left out: models/ of the project. */
  models?: { modelsDir: string; copyDir?: string }
  /** With what the ears prove themselves; left out: the recording that comes with the appliance. */
  known?: KnownUtterance
  /** Left out: the process opens no port. */
  wyoming?: WyomingSettings
}
