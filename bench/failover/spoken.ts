import { systemClock as clock } from '../../appliance/contracts/clock.ts'
import { MtorError, toMtorError } from '../../appliance/contracts/errors.ts'
import type { VoiceTimeline } from '../../appliance/speech/conversation.ts'
import { readFacts } from '../../hil-tests/checkers/logs.ts'
import type { RealmBench } from '../../hil-tests/resources/realm-bench.ts'
import { synthetic } from '../../hil-tests/resources/sounds.ts'

/** A sentence that has led to nothing by then is lost: whoever said it has long said it again. */
const GIVE_UP_MS = 20_000
/** What was played is through: what it led to has been told, or nothing comes of it. */
const AFTER_MS = 1_000
/** There and back. */
const SENTENCES = ['drive forward half a metre', 'drive backwards half a metre', 'turn left ninety degrees', 'turn right ninety degrees', 'move ahead two metres', 'go back two metres']
const VOICES = ['rms', 'slt', 'awb']
/** Ears that hear what is played to them and are otherwise idle, and a voice that nobody hears. */
export const EARS = { speech: { device: 'none', speak: { device: 'none' }, proofPeriodMs: 3600_000 } }

export interface Recording { sentence: string; file: string }
/** One sentence: when it was over and when the controller obeyed it. CLOCK_MONOTONIC ms. */
interface Said { wakeEndMs: number; speechEndMs: number; acceptedMs: number; obeyedMs: number }

/** The same sentence twice: while every node lives, and so that its end falls together with the kill of the owner. */
export interface Spoken {
  led: boolean
  sentence: string
  alive: Said | undefined
  killed: Said | undefined
  /** Undefined where the word "computer" was not heard, and so nobody was killed. */
  killMs: number | undefined
  /** Of a sentence that came to nothing. */
  why?: string
}

interface AnEvent extends Record<string, unknown> { component?: string; name?: string; code?: string; message?: string; state?: string; node?: string; source?: { kind: string }; data?: Record<string, unknown> }

/** A sentence of a synthetic voice for each round. */
export async function recordings(folder: string, rounds: number): Promise<Recording[]> {
  const files: Recording[] = []
  for (let i = 0; i < rounds; i++) {
    const sentence = SENTENCES[i % SENTENCES.length]!
    files.push({ sentence, file: await synthetic(folder, `computer. ${sentence}`, VOICES[Math.floor(i / 2) % VOICES.length]) })
  }
  return files
}

/**
 * Says a sentence to a node through the capture path of its microphone, in real time. `onWake` is told where the word
 * "computer" ended, while the rest is still being said.
 * @throws MtorError DEADLINE where it did not become a command that `by` gave to the rover, with what became of it
 */
async function say(bench: RealmBench, to: string, by: () => string, file: string, onWake: (wakeEndMs: number) => void = () => {}): Promise<Said> {
  const { control } = bench.node(to)
  const over = new AbortController()
  const ends = AbortSignal.any([over.signal, AbortSignal.timeout(GIVE_UP_MS)])
  let timeline: VoiceTimeline & { id: string } | undefined
  let doneBy: string | undefined, became = 'it was not heard'
  const watching = (async () => {
    for await (const { component, name, code = '', message = '', state, source, node, data } of control.lines('GET', '/events?last=0&severity=debug&follow=true', undefined, ends) as AsyncIterable<AnEvent>) {
      if (source?.kind === 'voice') {
        became = [state, 'at', node, code, message].join(' ')
        if (state === 'succeeded') doneBy = node
      } else if (component === 'speech') {
        if (name === 'wake') onWake(data!['endMs'] as number)
        if (name === 'heard' || name === 'refused') became = [name, code, message].join(' ')
        if (name === 'timeline') timeline = data as typeof timeline
        if (name === 'answered') return over.abort()
      }
    }
  })()
  const playing = (async () => {
    for await (const _ of control.lines('POST', '/listen', { file }, ends)) { /* Until it is through and answered. */ }
    clock.setTimeout(() => { over.abort() }, AFTER_MS)
  })()
  try { await Promise.all([watching, playing]) } finally { over.abort() }
  if (timeline?.wakeEndMs === undefined || timeline.acceptedMs === undefined || doneBy !== by()) throw new MtorError('DEADLINE', `what ${to} heard was not carried out by ${by()}: ${became}`)
  const { id, wakeEndMs, speechEndMs, acceptedMs } = timeline
  const obeyed = readFacts<{ at: number; fact: string; intentId?: string }>(bench.simulator.logFile).find(({ fact, intentId }) => fact === 'execute' && intentId === id)
  if (!obeyed) throw new MtorError('INTERNAL', `${to} says that ${id} was carried out, and the controller's log has no such command`)
  return { wakeEndMs, speechEndMs, acceptedMs, obeyedMs: obeyed.at }
}

/**
 * A sentence is said to the other board, and its last word ends when the owner is killed. When that will be is known from
 * the same recording, played before with nobody killed (`before`, or now): so long after the word "computer". Who was
 * killed stays dead. @param afterMs sets the kill so much later
 */
export async function spokenFailover(bench: RealmBench, owner: string, other: string, led: boolean, { sentence, file }: Recording, { before, afterMs = 0 }: { before?: Said | undefined; afterMs?: number } = {}): Promise<Spoken> {
  const seen: Spoken = { led, sentence, alive: before, killed: undefined, killMs: undefined }
  const node = bench.node(owner)
  let ended: Promise<void> | undefined
  try {
    const alive = seen.alive ??= await say(bench, other, () => owner, file)
    const kill = () => {
      seen.killMs = clock.monoMs()
      process.kill(node.pid!, 'SIGKILL')
      ended = node.stop()
    }
    seen.killed = await say(bench, other, () => ended ? other : owner, file, (wakeEndMs) => { clock.setTimeout(kill, wakeEndMs + alive.speechEndMs - alive.wakeEndMs + afterMs - clock.monoMs()) })
  } catch (error) {
    seen.why = toMtorError(error).message
  } finally { await ended }
  return seen
}
